//! A way to Postgres that counts what is asked on it.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream, tcp::OwnedReadHalf, unix::OwnedWriteHalf},
};

/// How often each statement was executed, by its text.
pub type Counts = BTreeMap<String, u64>;

/// A port that leads to a Postgres. What clients say to it is read along: `Query` and `Execute` of the frontend protocol are counted.
#[derive(Debug, Clone)]
pub struct Statements {
    port: u16,
    counts: Arc<Mutex<Counts>>,
}

impl Statements {
    /// Opens the port.
    pub fn start(socket: PathBuf) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let this = Self { port: listener.local_addr().unwrap().port(), counts: Arc::default() };
        tokio::spawn(accept(TcpListener::from_std(listener).unwrap(), socket, Arc::clone(&this.counts)));
        this
    }

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// What was asked since this was asked last.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, counts: Arc<Mutex<Counts>>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = UnixStream::connect(&socket).await else { continue };
        client.set_nodelay(true).unwrap();
        let ((from_client, mut to_client), (mut from_server, to_server)) = (client.into_split(), server.into_split());
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            tokio::select! {
                _ = read_along(from_client, to_server, &counts) => {}
                _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
            }
        });
    }
}

/// Carries a client's messages. The first one has no type.
async fn read_along(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, counts: &Mutex<Counts>) -> io::Result<()> {
    let (mut kind, mut prepared, mut bound) = (None, HashMap::new(), String::new());
    loop {
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        let mut words = body.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let mut word = || words.next().unwrap_or_default();
        match kind {
            Some(b'P') => drop(prepared.insert(word(), word())),
            Some(b'B') => {
                word();
                bound = prepared.get(&word()).cloned().unwrap_or_default();
            }
            Some(b'E') => *counts.lock().unwrap().entry(bound.clone()).or_default() += 1,
            Some(b'Q') => *counts.lock().unwrap().entry(word()).or_default() += 1,
            _ => {}
        }
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend(length.to_be_bytes());
        message.extend(body);
        server.write_all(&message).await?;
        kind = Some(client.read_u8().await?);
    }
}
