//! A watcher of `/ws`.

use futures::StreamExt;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::PATIENCE;

pub struct Watcher {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub hello: Value,
}

impl Watcher {
    /// Connects and reads the first message.
    pub async fn connect(base: &str, query: &str) -> Self {
        Self::connect_as(base, query, None).await
    }

    /// The same with a cookie or a token.
    pub async fn connect_as(base: &str, query: &str, credential: Option<&str>) -> Self {
        Self::try_connect_as(base, query, credential).await.unwrap()
    }

    /// The same; none where the server refuses it.
    pub async fn try_connect_as(base: &str, query: &str, credential: Option<&str>) -> Option<Self> {
        let mut request = format!("{}/ws?{query}", base.replace("http://", "ws://")).into_client_request().unwrap();
        if let Some(credential) = credential {
            let (name, value) = match credential.contains('=') {
                true => ("cookie", credential.to_owned()),
                false => ("authorization", format!("Bearer {credential}")),
            };
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let (stream, _) = connect_async(request).await.ok()?;
        Some(Self::greeted(stream).await)
    }

    /// Connects with a socket that takes little, so that the server notices who reads nothing.
    pub async fn connect_small(base: &str, query: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(base.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
        let url = format!("{}/ws?{query}", base.replace("http://", "ws://"));
        let (stream, _) = client_async(url, MaybeTlsStream::Plain(stream)).await.unwrap();
        Self::greeted(stream).await
    }

    async fn greeted(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        let mut this = Self { stream, hello: Value::Null };
        let hello = this.next_message().await;
        this.hello = if hello.is_array() { hello[0].clone() } else { hello };
        assert_eq!(this.hello["type"], "hello");
        this
    }

    /// Reads what is there until the connection ends, and gives the number of the last whole message.
    pub async fn rest(&mut self) -> i64 {
        let mut last = self.hello["seq"].as_i64().unwrap();
        while let Ok(Some(Ok(message))) = tokio::time::timeout(PATIENCE, self.stream.next()).await {
            let Message::Text(text) = message else { continue };
            let Value::Array(messages) = serde_json::from_str(&text).unwrap() else { panic!("no array") };
            last = messages.iter().filter_map(|message| message["seq"].as_i64()).fold(last, i64::max);
        }
        last
    }

    /// The code that the server closes with, if it does.
    pub async fn closing(&mut self) -> Option<u16> {
        let closing = async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(PATIENCE, closing).await.expect("an end in time")
    }

    /// The place to come back to after the hello.
    pub fn place(&self, seq: i64) -> String {
        format!("epoch={}&seq={seq}", self.hello["epoch"].as_str().unwrap())
    }

    /// The next message, whatever it is.
    pub async fn next_message(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("a message in time");
            match message.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(_) => panic!("closed"),
                _ => {}
            }
        }
    }

    /// The next message that is not about the server's state.
    pub async fn next_event(&mut self) -> Value {
        // Heartbeats come for ever.
        let event = async {
            loop {
                let message = self.next_message().await;
                if message["type"] != "server" {
                    return message;
                }
            }
        };
        tokio::time::timeout(PATIENCE, event).await.expect("an event in time")
    }

    /// Reads on until a message is what is waited for.
    pub async fn until(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        for _ in 0..1000 {
            if is_it(&self.next_event().await) {
                return;
            }
        }
        panic!("not among 1,000 messages: {what}");
    }

    /// The next events, so many.
    pub async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next_event().await);
        }
        events
    }
}
