use std::{
    process,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::Utc;
use http::{HeaderValue, Uri};
use taskscope_wire::Heartbeat;
use tokio::{runtime::Handle, sync::Notify};

use crate::{
    Reporter,
    buffer::{Buffer, Load},
    endpoint::Endpoint,
    heart::Heart,
    http_client::HttpClient,
    reporter::{Counters, HeartHandle, Inner, Shared},
    sender::Sender,
};

#[cfg(feature = "nats")]
use crate::nats::{EventStream, StreamSettings};

const CLIENT: &str = concat!("taskscope-client ", env!("CARGO_PKG_VERSION"));

/// The settings of a [`Reporter`]. All but the URL have a default.
#[derive(Debug, Clone)]
#[must_use = "nothing is reported before `start`"]
pub struct ReporterBuilder {
    url: String,
    token: Option<String>,
    version: Option<String>,
    queues: Vec<String>,
    concurrency: Option<u32>,
    buffer: Load,
    heartbeat: Option<Duration>,
    worker_name: Option<String>,
    flush_interval: Duration,
    request_limit: Duration,
    environment_proxies: bool,
    #[cfg(feature = "nats")]
    nats: Option<(String, String)>,
    #[cfg(feature = "nats")]
    nats_credentials: Option<std::path::PathBuf>,
}

/// Why a reporter can't start. That the server is away is no reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The URL is none, or not one of a web server.
    #[error("{url:?} is not the URL of a Taskscope: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token has characters that a header can't have.
    #[error("the token must be printable ASCII")]
    Token,
    /// There is no tokio runtime to send from.
    #[error("a reporter must be started inside a tokio runtime")]
    NoRuntime,
    /// https can't be set up, for example because the machine trusts no certificate.
    #[error("the HTTP client can't be set up: {0}")]
    Client(String),
}

impl ReporterBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            token: None,
            version: None,
            queues: Vec::new(),
            concurrency: None,
            buffer: Load { events: 100_000, bytes: 64 * 1024 * 1024 },
            heartbeat: Some(Duration::from_secs(5)),
            worker_name: None,
            flush_interval: Duration::from_millis(100),
            request_limit: Duration::from_secs(10),
            environment_proxies: false,
            #[cfg(feature = "nats")]
            nats: None,
            #[cfg(feature = "nats")]
            nats_credentials: None,
        }
    }

    /// The ingest token, where the server asks for one.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// The application's version.
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The queues that this worker takes tasks from; at most a hundred are told.
    pub fn queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = queues.into_iter().take(Heartbeat::MOST_QUEUES).map(Into::into).collect();
        self
    }

    /// How many tasks this worker runs at once at the most.
    pub fn concurrency(mut self, tasks: u32) -> Self {
        self.concurrency = Some(tasks);
        self
    }

    /// How many events may wait for an answer of the server; 100,000 unless set.
    pub fn buffer_events(mut self, events: usize) -> Self {
        self.buffer.events = events;
        self
    }

    /// About how many bytes they may hold; 64 MiB unless set.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer.bytes = bytes;
        self
    }

    /// How often the worker tells that it lives, from 100 ms to an hour; 5 s unless set. None for a program that only sends tasks to
    /// queues and is no worker.
    pub fn heartbeat(mut self, interval: Option<Duration>) -> Self {
        self.heartbeat = interval;
        self
    }

    /// The worker's name, which no other process may have, nor another life of this one; `host:pid:hex` unless set.
    pub fn worker_name(mut self, name: impl Into<String>) -> Self {
        self.worker_name = Some(name.into());
        self
    }

    /// How long an event waits for company in its request; 100 ms unless set.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// How long a request may take; 10 s unless set.
    pub fn request_limit(mut self, limit: Duration) -> Self {
        self.request_limit = limit;
        self
    }

    /// Sends through the proxies of `HTTP_PROXY` and its kin, by a tunnel. Unless this is called they are passed over: a monitor is near.
    pub fn environment_proxies(mut self) -> Self {
        self.environment_proxies = true;
        self
    }

    /// Publishes events to a stream of NATS JetStream in place of the server's own door: `servers` are URLs such as `nats://127.0.0.1:4222` with
    /// commas between, `subject` one that the stream has, such as `taskscope.events.tasks`. An event counts as sent once the stream
    /// says that it has it. Heartbeats go to the server all the same.
    #[cfg(feature = "nats")]
    pub fn nats(mut self, servers: impl Into<String>, subject: impl Into<String>) -> Self {
        self.nats = Some((servers.into(), subject.into()));
        self
    }

    /// A credentials file, where NATS wants one.
    #[cfg(feature = "nats")]
    pub fn nats_credentials(mut self, file: impl Into<std::path::PathBuf>) -> Self {
        self.nats_credentials = Some(file.into());
        self
    }

    /// Starts to send, in the background of the runtime that this is called in. The runtime needs its timers and sockets
    /// (`enable_all`). The server need not be there.
    ///
    /// # Errors
    /// The URL or the token is none, there is no runtime, or https can't be set up.
    pub fn start(self) -> Result<Reporter, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let endpoint = self.endpoint()?;
        let template = self.heartbeat_template();
        let shared =
            Arc::new(Shared { worker: template.worker.clone(), buffer: Buffer::new(self.buffer), counters: Counters::default() });
        let sender = Sender::new(Arc::clone(&shared), endpoint.clone(), self.flush_interval);
        let sender = runtime.spawn(sender.run()).abort_handle();
        let heart = self.heartbeat.map(|_| start_heart(&runtime, &shared, endpoint, template));
        Ok(Reporter::new(Inner { shared, runtime, sender, heart }))
    }

    fn endpoint(&self) -> Result<Endpoint, StartError> {
        let bad_url = |reason: String| StartError::Url { url: self.url.clone(), reason };
        let base = self.url.parse::<Uri>().map_err(|error| bad_url(error.to_string()))?;
        check_url(&base).map_err(|reason| bad_url(reason.to_owned()))?;
        let client = HttpClient::new(&base, self.request_limit, self.environment_proxies);
        let client = client.map_err(|error| StartError::Client(error.to_string()))?;
        let endpoint = Endpoint::new(client, &self.url, self.token_header()?).map_err(|error| bad_url(error.to_string()))?;
        #[cfg(feature = "nats")]
        let endpoint = endpoint.with_stream(self.stream()?);
        Ok(endpoint)
    }

    #[cfg(feature = "nats")]
    fn stream(&self) -> Result<Option<EventStream>, StartError> {
        let Some((servers, subject)) = &self.nats else { return Ok(None) };
        // What is wrong isn't shown: it may hold a password.
        let bad = |error: std::io::Error| StartError::Url { url: "of NATS".to_owned(), reason: error.to_string() };
        let servers = servers.split(',').map(|server| server.trim().parse().map_err(bad)).collect::<Result<_, _>>()?;
        let settings = StreamSettings { servers, subject: subject.clone(), credentials: self.nats_credentials.clone() };
        Ok(Some(EventStream::new(settings, self.request_limit)))
    }

    fn token_header(&self) -> Result<Option<HeaderValue>, StartError> {
        let header = self.token.as_deref().map(HeaderValue::from_str).transpose();
        let mut header = header.map_err(|_| StartError::Token)?;
        header.iter_mut().for_each(|header| header.set_sensitive(true));
        Ok(header)
    }

    fn heartbeat_template(&self) -> Heartbeat {
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let pid = process::id();
        let unique_name = || format!("{host}:{pid}:{:04x}", fastrand::u16(..));
        let worker = self.worker_name.clone().unwrap_or_else(unique_name);
        let interval = self.heartbeat.map_or(u128::MAX, |interval| interval.as_millis());
        let interval = u32::try_from(interval).unwrap_or(u32::MAX);
        Heartbeat {
            worker,
            host,
            pid,
            started_at: Utc::now(),
            client: CLIENT.to_owned(),
            version: self.version.clone(),
            queues: self.queues.clone(),
            concurrency: self.concurrency,
            running: 0,
            interval_ms: interval.clamp(Heartbeat::SHORTEST_INTERVAL_MS, Heartbeat::LONGEST_INTERVAL_MS),
            buffered: 0,
            dropped: 0,
            stopping: false,
        }
    }
}

fn start_heart(runtime: &Handle, shared: &Arc<Shared>, endpoint: Endpoint, template: Heartbeat) -> HeartHandle {
    let stop = Arc::new(Notify::new());
    let heart = Heart::new(Arc::clone(shared), endpoint, template, Arc::clone(&stop));
    let last_beat = runtime.spawn(heart.run());
    HeartHandle { stop, abort: last_beat.abort_handle(), last_beat: Mutex::new(Some(last_beat)) }
}

fn check_url(url: &Uri) -> Result<(), &'static str> {
    let host = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    match url.scheme_str() {
        Some("https") if !cfg!(feature = "tls") => Err("https needs the feature `tls`"),
        Some("http" | "https") if host.contains('@') => Err("it can't have a user; there is `token`"),
        Some("http" | "https") if url.query().is_some() => Err("it can't have a query"),
        Some("http" | "https") => Ok(()),
        _ => Err("it must begin with http:// or https://"),
    }
}
