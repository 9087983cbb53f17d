//! Events through a stream of NATS JetStream, in place of HTTP.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_nats::{
    ConnectOptions, HeaderMap, ServerAddr,
    connection::State,
    jetstream::{self, Context, context::PublishErrorKind},
};
use bytes::Bytes;
use taskscope_wire::BatchOutcome;
use tokio::{sync::OnceCell, time::timeout};

use crate::endpoint::{Answer, Later};

/// How NATS knows a message that is sent again.
const MESSAGE_ID: &str = "Nats-Msg-Id";
/// The longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Where events are published.
#[derive(Debug, Clone)]
pub(crate) struct StreamSettings {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) subject: String,
    pub(crate) credentials: Option<PathBuf>,
}

/// The way to the stream. The connection is made when it is needed, and for ever again.
#[derive(Clone)]
pub(crate) struct EventStream {
    settings: StreamSettings,
    limit: Duration,
    context: Arc<OnceCell<Context>>,
}

impl EventStream {
    pub(crate) fn new(settings: StreamSettings, limit: Duration) -> Self {
        Self { settings, limit, context: Arc::default() }
    }

    /// Publishes a batch, which is taken once the stream says that it has it.
    pub(crate) async fn publish(&self, batch: Bytes) -> Answer<BatchOutcome> {
        match timeout(self.limit, self.try_publish(batch)).await {
            Ok(answer) => answer,
            Err(_) => later("the stream of NATS doesn't answer"),
        }
    }

    async fn try_publish(&self, batch: Bytes) -> Answer<BatchOutcome> {
        let context = match self.context.get_or_try_init(|| connect(&self.settings)).await {
            Ok(context) => context,
            Err(error) => return later(error),
        };
        let client = context.client();
        // What is published without a connection waits inside the client, where nothing bounds it.
        if client.connection_state() != State::Connected {
            return later("NATS is not reachable");
        }
        let largest = client.server_info().max_payload;
        if largest > 0 && batch.len() > largest {
            return Answer::TooLarge(format!("NATS takes {largest} bytes in a message"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, digest(&batch).as_str());
        let published = async { context.publish_with_headers(self.settings.subject.clone(), headers, batch).await?.await };
        match published.await {
            // All of it: what is no event is found out later, and kept by the server.
            Ok(_) => Answer::Taken(BatchOutcome { accepted: 0, rejected: 0, results: Vec::new() }),
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => later("no stream of NATS takes the subject"),
            Err(error) => later(error),
        }
    }
}

async fn connect(settings: &StreamSettings) -> std::io::Result<Context> {
    let mut options = ConnectOptions::new()
        .name("taskscope-client")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| Duration::from_millis(100 << attempt.min(8)).min(LONGEST_PAUSE));
    if let Some(file) = &settings.credentials {
        options = options.credentials_file(file).await?;
    }
    let named = |server: &ServerAddr| Some((server.username()?.to_owned(), server.password().map(str::to_owned)));
    options = match settings.servers.iter().find_map(named) {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    };
    let client = options.connect(settings.servers.as_slice()).await.map_err(std::io::Error::other)?;
    Ok(jetstream::new(client))
}

/// The same for the same events, which have ids of their own.
fn digest(batch: &[u8]) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, batch).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

fn later<T>(reason: impl ToString) -> Answer<T> {
    Answer::Later(Later { reason: reason.to_string(), after: None })
}
