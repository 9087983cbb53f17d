use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, ensure};
use async_nats::ServerAddr;

use super::Settings;

/// Where events come from beside HTTP: a stream of NATS JetStream that all servers on one database share.
#[derive(Debug, Clone)]
pub struct NatsConfig {
    /// The servers, any of which will do.
    pub servers: Vec<ServerAddr>,
    /// The stream; it is made where it is missing.
    pub stream: String,
    /// The subjects of the events.
    pub subject: String,
    /// The durable consumer that all servers share.
    pub consumer: String,
    /// A file with a user's JWT and key.
    pub credentials: Option<PathBuf>,
    /// Monitoring endpoints of the NATS servers, which know when they sync.
    pub monitors: Vec<String>,
    /// How many NATS servers keep the stream, where it is made here.
    pub replicas: usize,
}

/// A text among the settings.
type Field = fn(&Settings) -> &Option<String>;

/// Reads the settings; none where no NATS server is named.
pub(super) fn nats(flags_and_env: &Settings, from_file: &Settings) -> anyhow::Result<Option<NatsConfig>> {
    let given = |field: Field| {
        let text = field(flags_and_env).clone().or_else(|| field(from_file).clone());
        text.filter(|text| !text.trim().is_empty())
    };
    let Some(urls) = given(|settings| &settings.nats_url) else { return Ok(None) };
    let name = |field, setting, default: &str| {
        let name = given(field).unwrap_or_else(|| default.to_owned());
        let is_name = !name.contains(['.', '*', '>', '/', '\\']) && !name.contains(char::is_whitespace);
        ensure!(is_name, "{setting} must be a name without dots, spaces, *, > or slashes, not {name:?}");
        Ok(name)
    };
    let subject = given(|settings| &settings.nats_subject).unwrap_or_else(|| "taskscope.events.>".to_owned());
    let is_subject = !subject.contains(char::is_whitespace) && subject.split('.').all(|token| !token.is_empty());
    ensure!(is_subject, "TASKSCOPE_NATS_SUBJECT must be a subject such as taskscope.events.>, not {subject:?}");
    let replicas = flags_and_env.nats_replicas.or(from_file.nats_replicas).unwrap_or(1);
    ensure!((1..=5).contains(&replicas), "TASKSCOPE_NATS_REPLICAS must be 1 to 5, not {replicas}");
    Ok(Some(NatsConfig {
        servers: servers(&urls)?,
        stream: name(|settings| &settings.nats_stream, "TASKSCOPE_NATS_STREAM", "TASKSCOPE")?,
        subject,
        consumer: name(|settings| &settings.nats_consumer, "TASKSCOPE_NATS_CONSUMER", "taskscope")?,
        credentials: flags_and_env.nats_credentials.clone().or_else(|| from_file.nats_credentials.clone()),
        monitors: monitors(given(|settings| &settings.nats_monitor_url).as_deref().unwrap_or_default())?,
        replicas,
    }))
}

fn servers(urls: &str) -> anyhow::Result<Vec<ServerAddr>> {
    // What is wrong isn't shown: it may hold a password.
    let address = |url: &str| {
        ServerAddr::from_str(url.trim())
            .context("TASKSCOPE_NATS_URL must be a URL such as nats://127.0.0.1:4222, or some with commas between")
    };
    urls.split(',').map(address).collect()
}

fn monitors(urls: &str) -> anyhow::Result<Vec<String>> {
    let urls = urls.split(',').map(|url| url.trim().trim_end_matches('/')).filter(|url| !url.is_empty());
    urls.map(|url| {
        ensure!(
            url.starts_with("http://"),
            "TASKSCOPE_NATS_MONITOR_URL must be a URL such as http://127.0.0.1:8222, or some with commas between, not {url:?}"
        );
        Ok(url.to_owned())
    })
    .collect()
}
