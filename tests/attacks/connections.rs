//! Attacks that hold on to connections.

use std::time::Duration;

use axum::{Router, routing::get};
use taskscope::server::http::listen::{Limits, serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// A server with few places and little patience; dropping the sender stops it.
async fn start(limits: Limits) -> (std::net::SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = Router::new().route("/", get(|| async { "here" }));
    tokio::spawn(serve(listener, router, limits, async { drop(stopped.await) }));
    (address, stop)
}

async fn asks(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One that sends its headers a byte at a time is cut off, though it never pauses for long; so are those that say nothing.
#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_are_cut_off() {
    let (address, _stop) = start(Limits { connections: 100, headers: Duration::from_millis(500) }).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let drip = async {
        // The server may close at any time, and that is what is waited for.
        while slow.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), drip).await.expect("the slow one is cut off");
    let mut rest = Vec::new();
    let silence = tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut rest)).await;
    silence.expect("the silent one is cut off").unwrap();
    assert!(asks(address).await.ends_with("here"));
}

/// Idle connections take all places for no longer than the patience lasts, and who waits is served then.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_give_their_places_back() {
    let (address, _stop) = start(Limits { connections: 8, headers: Duration::from_millis(500) }).await;
    let mut idle = Vec::new();
    // No more than the kernel's queue takes besides.
    for _ in 0..60 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    drop(idle.split_off(20));
    let answer = tokio::time::timeout(Duration::from_secs(20), asks(address)).await.expect("a place in time");
    assert!(answer.ends_with("here"), "{answer}");
}

/// While all places are taken, nobody else gets one.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_more_connections_than_places() {
    let (address, _stop) = start(Limits { connections: 2, headers: Duration::from_secs(60) }).await;
    let (first, second) = (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(tokio::time::timeout(Duration::from_millis(500), asks(address)).await.is_err());
    drop((first, second));
    assert!(asks(address).await.ends_with("here"));
}
