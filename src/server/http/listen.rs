//! Connections: how many there may be, and how long each may keep us waiting.
//!
//! A client that sends its headers or its body a byte at a time, or opens connections and says nothing, gets a bounded time and a bounded number of
//! places. What is over the number waits in the kernel's queue, and those who are served notice nothing.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
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
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            (stream, address, place) = accept(&listener, &places) => {
                let router = router.clone();
                let service = service_fn(move |mut request: Request<Incoming>| {
                    request.extensions_mut().insert(ConnectInfo(address));
                    let answer = router.clone().oneshot(request.map(Body::new));
                    async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
                });
                let mut builder = Builder::new(TokioExecutor::new()).http1_only();
                builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers);
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
                let connection = graceful.watch(connection);
                tokio::spawn(async move {
                    // Clients hang up as they like.
                    let _ = connection.await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
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
