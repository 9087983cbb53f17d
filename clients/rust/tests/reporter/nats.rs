//! Events through a real NATS server: sent is what its stream has, and nothing else.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use async_nats::jetstream::{self, stream};
use taskscope_client::Reporter;
use tempfile::TempDir;

use crate::{LONG, until, work};

struct Nats {
    url: String,
    directory: TempDir,
    port: u16,
    child: Child,
}

impl Nats {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = TempDir::new().unwrap();
        let child = spawn(directory.path(), port);
        let this = Self { url: format!("nats://127.0.0.1:{port}"), directory, port, child };
        this.ready().await;
        this
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.child = spawn(self.directory.path(), self.port);
        self.ready().await;
    }

    async fn ready(&self) {
        for _ in 0..200 {
            if self.context().await.is_ok() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("NATS doesn't answer");
    }

    async fn context(&self) -> Result<jetstream::Context, async_nats::ConnectError> {
        Ok(jetstream::new(async_nats::connect(&self.url).await?))
    }

    /// The ids of the tasks of all events that the stream has.
    async fn task_ids(&self) -> Vec<String> {
        let mut stream = self.context().await.unwrap().get_stream("TASKSCOPE").await.unwrap();
        let messages = stream.info().await.unwrap().state.messages;
        let mut ids = Vec::new();
        for sequence in 1..=messages {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let events: Vec<serde_json::Value> = serde_json::from_slice(&message.payload).unwrap();
            ids.extend(events.iter().map(|event| event["task_id"].as_str().unwrap().to_owned()));
        }
        ids
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(directory: &Path, port: u16) -> Child {
    // Debian keeps servers out of a user's PATH.
    let places = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server"];
    let program = places.into_iter().find(|path| Path::new(path).exists()).unwrap_or("nats-server");
    let mut command = Command::new(program);
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(directory);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_sent_once_the_stream_has_it() {
    let mut nats = Nats::start().await;
    let reporter =
        Reporter::builder("http://127.0.0.1:9").heartbeat(None).nats(&nats.url, "taskscope.events.tasks").start().unwrap();
    let report = |ids: std::ops::Range<u32>| ids.for_each(|id| reporter.queued(&work(id)));
    report(0..10);
    assert!(!reporter.flush(std::time::Duration::from_millis(500)).await);
    assert_eq!(reporter.stats().sent, 0, "no stream has it");
    let config =
        stream::Config { name: "TASKSCOPE".to_owned(), subjects: vec!["taskscope.events.>".to_owned()], ..Default::default() };
    nats.context().await.unwrap().create_stream(config).await.unwrap();
    assert!(reporter.flush(LONG).await);
    nats.kill();
    report(10..700);
    assert!(!reporter.flush(std::time::Duration::from_millis(500)).await);
    nats.start_again().await;
    assert!(reporter.flush(LONG).await);
    until("all is sent", || reporter.stats().sent == 700).await;
    let wanted: Vec<String> = (0..700).map(|id| id.to_string()).collect();
    assert_eq!(nats.task_ids().await, wanted);
}

#[tokio::test]
async fn a_url_that_is_none_is_said_at_once() {
    assert!(Reporter::builder("http://127.0.0.1:9").nats("http://x", "a.b").start().is_err());
}
