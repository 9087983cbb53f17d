//! The connection to NATS, and what is said about it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use chrono::Utc;
use percent_encoding::percent_decode_str;
use tokio::sync::Notify;

use crate::server::{config::NatsConfig, notices::Notices};

/// What the notice of a connection that is away is about.
const AWAY: &str = "nats";
/// What the notice of a stream that can't be read is about.
const TROUBLE: &str = "nats stream";
/// The longest pause between two tries to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Says how the connection is. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) notices: Notices,
    connected: Arc<Notify>,
}

impl Link {
    pub(super) fn new(notices: Notices) -> Self {
        metrics::gauge!("taskscope_nats_connected").set(0.0);
        Self { notices, connected: Arc::new(Notify::new()) }
    }

    /// The stream can't be read.
    pub(super) fn trouble(&self, trouble: &(dyn std::error::Error + Send + Sync)) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("taskscope_nats_last_error_timestamp_seconds").set(since.as_secs_f64());
        metrics::counter!("taskscope_nats_errors_total").increment(1);
        self.notices.say(TROUBLE, &format!("Events can't be taken from NATS now; those by HTTP are. NATS says: {trouble}"));
    }

    /// It is read.
    pub(super) fn works(&self) {
        self.notices.clear(TROUBLE);
    }

    /// Waits until the connection is made anew, or for so long.
    pub(super) async fn connected_or(&self, pause: Duration) {
        // That time is over is as good a reason.
        let _ = tokio::time::timeout(pause, self.connected.notified()).await;
    }

    fn event(&self, event: &Event) {
        match event {
            Event::Connected => {
                metrics::gauge!("taskscope_nats_connected").set(1.0);
                self.notices.clear(AWAY);
                self.connected.notify_one();
            }
            Event::Disconnected | Event::Closed => {
                metrics::gauge!("taskscope_nats_connected").set(0.0);
                self.away();
            }
            Event::ServerError(_) | Event::ClientError(_) | Event::SlowConsumer(_) => {
                tracing::warn!(%event, "NATS");
                metrics::counter!("taskscope_nats_errors_total").increment(1);
            }
            Event::LameDuckMode | Event::Draining => tracing::info!(%event, "NATS"),
        }
    }

    fn away(&self) {
        let since = Utc::now().format("%H:%M:%S");
        self.notices.say(
            AWAY,
            &format!("NATS is not reachable since {since} UTC; it is tried again. Events by HTTP are taken meanwhile."),
        );
    }
}

/// Begins to connect, and goes on for ever, now and after every loss.
pub(super) async fn connect(config: &NatsConfig, link: &Link) -> Client {
    link.away();
    let mut pause = Duration::from_millis(100);
    loop {
        match options(config, link).await {
            Ok(options) => match options.connect(config.servers.as_slice()).await {
                Ok(client) => return client,
                Err(error) => link.trouble(&error),
            },
            // A credentials file may be put there later, or be replaced.
            Err(error) => link.trouble(&error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn options(config: &NatsConfig, link: &Link) -> std::io::Result<ConnectOptions> {
    let link = link.clone();
    let mut options = ConnectOptions::new()
        .name("taskscope")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(|attempt| Duration::from_millis(50 << attempt.min(7)).min(LONGEST_PAUSE))
        .event_callback(move |event| {
            link.event(&event);
            std::future::ready(())
        });
    if let Some(file) = &config.credentials {
        options = options.credentials_file(file).await?;
    }
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = |server: &ServerAddr| Some((decoded(server.username()?), server.password().map(decoded)));
    Ok(match config.servers.iter().find_map(named) {
        Some((user, Some(password))) => options.user_and_password(user, password),
        Some((token, None)) => options.token(token),
        None => options,
    })
}
