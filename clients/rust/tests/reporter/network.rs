//! Proxies and certificates are found through the environment, which a test can't change for itself: each runs itself as another process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::serve::Listener;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use taskscope_client::{Reporter, ReporterBuilder};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    LONG, run_alone,
    server::{self, Server},
    work,
};

#[test]
fn a_monitor_is_not_looked_for_behind_a_proxy() {
    let server = Server::start();
    let nobody = "http://127.0.0.1:1";
    run_alone(
        "network::one_event_around_the_proxy",
        &[("HTTP_PROXY", nobody), ("http_proxy", nobody), ("ALL_PROXY", nobody), ("TASKSCOPE_TEST_URL", &server.url())],
    );
    assert_eq!(server.task_ids(), ["1"]);
}

#[tokio::test]
#[ignore = "run by the test above, with an environment"]
async fn one_event_around_the_proxy() {
    assert!(arrives(from_environment(), LONG).await);
    let proxied = from_environment().environment_proxies();
    assert!(!arrives(proxied, Duration::from_secs(1)).await, "nobody listens at the proxy's place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_monitor_is_reached_through_a_proxy_that_is_asked_for() {
    let server = Server::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://me:secret@{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move { serve_one_tunnel(listener).await });
    let url = server.url();
    let run = move || run_alone("network::one_event_through_the_proxy", &[("http_proxy", &proxy), ("TASKSCOPE_TEST_URL", &url)]);
    tokio::task::spawn_blocking(run).await.unwrap();
    let head = asked.await.unwrap();
    assert!(head.starts_with(&format!("CONNECT {} ", server.url().trim_start_matches("http://"))), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic"), "{head}");
    assert_eq!(server.task_ids(), ["1"]);
}

#[tokio::test]
#[ignore = "run by the test above, with an environment"]
async fn one_event_through_the_proxy() {
    assert!(arrives(from_environment().environment_proxies(), LONG).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn https_is_spoken_with_certificates_that_the_machine_trusts() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let trusted = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&trusted, certificate.cert.pem()).unwrap();
    let log = Arc::<server::Log>::default();
    let listener = TlsListener { listener, acceptor: acceptor(&certificate) };
    tokio::spawn(axum::serve(listener, server::router(Arc::clone(&log))).into_future());

    let trusted = trusted.path().to_str().unwrap().to_owned();
    let run = move || {
        let url = ("TASKSCOPE_TEST_URL", url.as_str());
        run_alone("network::one_event_to_a_server_that_is_trusted", &[("SSL_CERT_FILE", &trusted), url]);
        run_alone("network::no_event_to_a_server_that_is_not", &[url]);
    };
    tokio::task::spawn_blocking(run).await.unwrap();
    assert_eq!(log.task_ids(), ["1"]);
}

#[tokio::test]
#[ignore = "run by the test above, with an environment"]
async fn one_event_to_a_server_that_is_trusted() {
    assert!(arrives(from_environment(), LONG).await);
}

#[tokio::test]
#[ignore = "run by the test above, with an environment"]
async fn no_event_to_a_server_that_is_not() {
    assert!(!arrives(from_environment(), Duration::from_secs(1)).await);
}

fn from_environment() -> ReporterBuilder {
    Reporter::builder(std::env::var("TASKSCOPE_TEST_URL").unwrap()).heartbeat(None)
}

async fn arrives(builder: ReporterBuilder, limit: Duration) -> bool {
    let reporter = builder.start().unwrap();
    reporter.queued(&work(1));
    reporter.flush(limit).await
}

/// A proxy for one connection. Gives the head of the request for it.
async fn serve_one_tunnel(listener: TcpListener) -> String {
    let (client, _) = listener.accept().await.unwrap();
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.read_line(&mut head).await.unwrap();
    }
    let target = head.split_whitespace().nth(1).unwrap();
    let mut server = TcpStream::connect(target).await.unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // It ends with an error where a side just goes away.
    let _ = copy_bidirectional(&mut client, &mut server).await;
    head
}

fn acceptor(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate.cert.der().clone()], key).unwrap()))
}

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            // Who doesn't trust the certificate hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
