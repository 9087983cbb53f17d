//! A connection to a server that can be lost in every way.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
    sync::watch,
};

/// How long the server isn't told that a silent connection is lost.
const SILENT: Duration = Duration::from_secs(20);
/// Bytes that are on their way to the watcher at most.
const PIPE: usize = 64 * 1024;

/// What happens to a connection from now on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// Everything comes through.
    Carry,
    /// So many bytes of the server more come through, and then it is reset.
    ResetAfter(usize),
    /// Nothing comes through.
    BeSilent,
}

/// Where orders are given. Dropping it closes the connection, if it isn't silent.
#[derive(Debug)]
pub(super) struct Line(watch::Sender<Order>);

impl Line {
    /// Connects to a port of this machine: the watcher's end, and where it is given orders.
    pub(super) async fn connect(port: u16, order: Order) -> io::Result<(DuplexStream, Self)> {
        let server = TcpStream::connect(("127.0.0.1", port)).await?;
        server.set_nodelay(true)?;
        let (end, inner) = tokio::io::duplex(PIPE);
        let (orders, given) = watch::channel(order);
        tokio::spawn(carry(server, inner, given));
        Ok((end, Self(orders)))
    }

    /// Gives an order.
    pub(super) fn give(&self, order: Order) {
        self.0.send_replace(order);
    }
}

/// Ends when one side does, or an order says so.
async fn carry(mut server: TcpStream, mut watcher: DuplexStream, mut orders: watch::Receiver<Order>) -> io::Result<()> {
    let (mut down, mut up) = (vec![0; PIPE], vec![0; 4096]);
    let mut left = None;
    orders.mark_changed();
    loop {
        tokio::select! {
            biased;
            given = orders.changed() => {
                if given.is_err() {
                    return Ok(());
                }
                let order = *orders.borrow_and_update();
                match order {
                    Order::Carry => {}
                    Order::ResetAfter(bytes) => left = Some(bytes),
                    Order::BeSilent => {
                        tokio::time::sleep(SILENT).await;
                        left = Some(0);
                    }
                }
                if left == Some(0) {
                    return reset(&server);
                }
            }
            read = server.read(&mut down[..left.unwrap_or(PIPE)]) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                watcher.write_all(&down[..length]).await?;
                left = left.map(|left| left - length);
                if left == Some(0) {
                    return reset(&server);
                }
            }
            read = watcher.read(&mut up) => {
                let length = read?;
                if length == 0 {
                    return Ok(());
                }
                server.write_all(&up[..length]).await?;
            }
        }
    }
}

/// Makes the closing that follows a reset.
fn reset(server: &TcpStream) -> io::Result<()> {
    server.set_zero_linger()
}
