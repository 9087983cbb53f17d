//! Connections: how many there may be, and how long each may keep us waiting.
//!
//! A client that sends its headers or its body a byte at a time, or opens connections and says nothing, gets a bounded time and a bounded number of
//! places. What is over the number waits in the kernel's queue, and those who are served notice nothing.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::ServiceExt;

/// How long the headers of a request may take, and a connection may say nothing between two requests. Clients that keep connections for later close
/// them earlier, mostly.
const HEADERS: Duration = Duration::from_secs(75);
/// How long to wait after a connection could not be taken: the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(200);
/// Descriptors that connections leave to the spool, the database and everything else.
const RESERVE: u64 = 256;
/// The most connections, however many descriptors there are.
const MOST: u64 = 20_000;

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many there may be.
    pub connections: usize,
    /// How long the headers of a request may take, and the silence before them.
    pub headers: Duration,
}

impl Limits {
    /// What this process can serve. Its limit of descriptors is raised as far as it goes.
    #[must_use]
    pub fn of_process() -> Self {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(MOST, |(soft, hard)| {
            let wanted = hard.min(MOST + RESERVE).max(soft);
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_or(soft, |()| wanted)
        });
        let connections = descriptors.saturating_sub(RESERVE).clamp(16, MOST);
        Self { connections: usize::try_from(connections).unwrap_or(usize::MAX), headers: HEADERS }
    }
}

/// Serves until `stop` is over, then lets the requests end that have begun.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let stopping = watch::Sender::new(());
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            (stream, address, place) = accept(&listener, &places) => {
                let connection = connect(stream, address, router.clone(), limits, stopping.subscribe());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    stopping.send_replace(());
    stopping.closed().await;
}

/// Serves one connection. hyper's own builder is used, since the one that tells versions of HTTP apart waits for the first byte for ever.
async fn connect(stream: TcpStream, address: SocketAddr, router: Router, limits: Limits, mut stopping: watch::Receiver<()>) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    // Clients hang up as they like.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // It is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Small answers go out at once; where that can't be set, they come a little later.
                let _ = stream.set_nodelay(true);
                return (stream, address, place);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
