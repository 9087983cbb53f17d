//! A network whose weather can be chosen: what it accepts on a port of this machine it carries to a server.

use std::{io, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::AbortHandle,
};

use crate::plan::Weather;

/// Where a network leads.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A port of this machine.
    Port(u16),
    /// A socket.
    Socket(PathBuf),
}

/// A running network. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Where it accepts.
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
    accepting: AbortHandle,
}

impl Proxy {
    /// Opens a port.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn start(target: Target) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::Clear);
        let accepting = tokio::spawn(accept(listener, target, seen)).abort_handle();
        Ok(Self { port, weather, accepting })
    }

    /// Changes the weather, also for the connections that there are.
    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Target, weather: watch::Receiver<Weather>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(carry(client, target.clone(), weather.clone()))),
            // Too many open files, for a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A server that isn't there shows as a connection that is closed at once.
async fn carry(client: TcpStream, target: Target, weather: watch::Receiver<Weather>) -> io::Result<()> {
    if *weather.borrow() == Weather::Cut {
        return Ok(());
    }
    client.set_nodelay(true)?;
    match target {
        Target::Port(port) => {
            let server = TcpStream::connect(("127.0.0.1", port)).await?;
            server.set_nodelay(true)?;
            between(client, server, weather).await
        }
        Target::Socket(path) => between(client, UnixStream::connect(path).await?, weather).await,
    }
}

/// Carries both ways until one end closes or the weather ends it.
async fn between(
    client: TcpStream,
    server: impl AsyncRead + AsyncWrite,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (there, back) = (weather.clone(), weather.clone());
    tokio::select! {
        done = pump(&mut from_client, &mut to_server, there) => done,
        done = pump(&mut from_server, &mut to_client, back) => done,
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => Ok(()),
    }
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let now = *weather.borrow_and_update();
        match now {
            Weather::Clear => {}
            Weather::Slow(by) => tokio::time::sleep(by).await,
            Weather::Cut => return Ok(()),
            Weather::HalfOpen => {
                // What was on its way is lost; that nobody is there shows only now.
                let _ = weather.changed().await;
                return Ok(());
            }
        }
        to.write_all(&piece[..length]).await?;
    }
}
