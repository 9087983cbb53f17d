//! A real NATS server with JetStream, as a process that can be killed.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use async_nats::jetstream::{self, consumer::Info};
use serde_json::Value;
use tempfile::TempDir;

use super::{program::free_port, until};

pub struct NatsServer {
    pub url: String,
    pub monitor: String,
    port: u16,
    monitor_port: u16,
    arguments: Vec<&'static str>,
    directory: TempDir,
    child: Option<Child>,
}

impl NatsServer {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(arguments: &[&'static str]) -> Self {
        let mut this = Self::prepare(arguments);
        this.launch().await;
        this
    }

    /// One that is not started yet.
    pub fn prepare(arguments: &[&'static str]) -> Self {
        let (port, monitor_port) = (free_port(), free_port());
        Self {
            url: format!("nats://127.0.0.1:{port}"),
            monitor: format!("http://127.0.0.1:{monitor_port}"),
            port,
            monitor_port,
            arguments: arguments.to_vec(),
            directory: TempDir::new().unwrap(),
            child: None,
        }
    }

    /// Starts it, for the first time or again with what it has on disk.
    pub async fn launch(&mut self) {
        let mut command = Command::new(program());
        command.args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-m", &self.monitor_port.to_string(), "-sd"]);
        command.arg(self.directory.path()).args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("nats-server must be installed"));
        let address = ("127.0.0.1", self.port);
        until("NATS answers", async || tokio::net::TcpStream::connect(address).await.is_ok()).await;
    }

    /// Ends it without giving it a chance.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub async fn context(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(&self.url).await.unwrap())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Publishes a message to the stream of events, and waits for NATS' word.
pub async fn publish(context: &jetstream::Context, payload: impl ToString) {
    context.publish("taskscope.events.test", payload.to_string().into()).await.unwrap().await.unwrap();
}

/// The events of an execution that has ended well.
pub fn execution(task_id: &str) -> Value {
    let event = |kind: &str| serde_json::json!({"type": kind, "task_id": task_id, "task_name": "from_nats", "timestamp": chrono::Utc::now().to_rfc3339()});
    serde_json::json!([event("task_started"), event("task_completed")])
}

/// How the consumer that all servers share stands.
pub async fn consumer(context: &jetstream::Context) -> Option<Info> {
    context.get_stream_no_info("TASKSCOPE").await.ok()?.consumer_info("taskscope").await.ok()
}

/// Waits until the servers have made stream and consumer.
pub async fn until_taken(context: &jetstream::Context) {
    until("there is a consumer", async || consumer(context).await.is_some()).await;
}

/// Waits until all that was published is acknowledged.
pub async fn until_acknowledged(context: &jetstream::Context) {
    until("all is acknowledged", async || {
        consumer(context).await.is_some_and(|info| info.num_pending == 0 && info.num_ack_pending == 0)
    })
    .await;
}

/// Debian keeps servers out of a user's PATH.
fn program() -> &'static str {
    let places = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server"];
    places.into_iter().find(|path| Path::new(path).exists()).unwrap_or("nats-server")
}
