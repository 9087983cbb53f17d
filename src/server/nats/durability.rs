//! Whether NATS acknowledges only what is on its disk. By default it doesn't: it syncs every two minutes, and a power cut takes what came since.
//! A server says so at its monitoring endpoint, or to a user of its system account.

use std::time::Duration;

use async_nats::jetstream;
use serde::Deserialize;

use super::{Trouble, connection::Link};
use crate::server::config::NatsConfig;

/// When to look again.
pub(super) const AGAIN: Duration = Duration::from_secs(60);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(3);
/// What the notice is about.
const SYNC: &str = "nats sync";
/// Where the system account learns what the monitoring endpoint says.
const SYSTEM: &str = "$SYS.REQ.SERVER.PING.VARZ";

/// Asks the NATS servers how they sync, and says what that means.
pub(super) async fn look(context: &jetstream::Context, config: &NatsConfig, link: &Link) {
    let answers = match config.monitors.as_slice() {
        [] => system(context).await.map(|answer| vec![answer]),
        monitors => all(monitors).await,
    };
    match answers.map(|servers| servers.iter().find_map(Varz::weakness)) {
        Ok(None) => link.notices.clear(SYNC),
        Ok(Some(weakness)) => link.notices.say(SYNC, &weakness),
        Err(trouble) => {
            tracing::debug!(%trouble, "NATS doesn't say how it syncs");
            link.notices.say(SYNC, UNKNOWN);
        }
    }
}

const UNKNOWN: &str = "It is not known whether NATS acknowledges only what is on its disk: by default it doesn't, and a power cut may take up to two minutes \
    of events. Name its monitoring endpoint with TASKSCOPE_NATS_MONITOR_URL.";

/// What is read of a server's `/varz`.
#[derive(Debug, Deserialize)]
struct Varz {
    #[serde(default)]
    server_name: String,
    #[serde(default)]
    version: String,
    jetstream: Option<JetStream>,
}

#[derive(Debug, Deserialize)]
struct JetStream {
    config: Option<JetStreamConfig>,
}

#[derive(Debug, Deserialize)]
struct JetStreamConfig {
    /// In nanoseconds; servers before 2.10 have a fixed one and don't say it.
    sync_interval: Option<u64>,
    #[serde(default)]
    sync_always: bool,
}

impl Varz {
    /// What a power cut may take; none where it takes nothing.
    fn weakness(&self) -> Option<String> {
        let (name, version) = (&self.server_name, &self.version);
        let Some(config) = self.jetstream.as_ref().and_then(|jetstream| jetstream.config.as_ref()) else {
            return Some(format!(
                "The NATS server {name} at TASKSCOPE_NATS_MONITOR_URL has no JetStream: another one keeps the events."
            ));
        };
        if config.sync_always {
            return None;
        }
        let advice = match config.sync_interval {
            Some(_) => "Set sync_interval: always in the jetstream block of its configuration.",
            None => "Servers since 2.10 can be told to sync always.",
        };
        let seconds = config.sync_interval.map_or(120, |nanoseconds| Duration::from_nanos(nanoseconds).as_secs());
        Some(format!(
            "The NATS server {name} ({version}) acknowledges events before they are on its disk, and syncs every {seconds} s: a power cut may take what came \
             since. {advice}"
        ))
    }
}

async fn all(monitors: &[String]) -> Result<Vec<Varz>, Trouble> {
    let http = reqwest::Client::builder().timeout(LIMIT).build()?;
    let mut answers = Vec::new();
    for monitor in monitors {
        answers.push(http.get(format!("{monitor}/varz")).send().await?.error_for_status()?.json().await?);
    }
    Ok(answers)
}

/// Only a user of the system account gets an answer.
async fn system(context: &jetstream::Context) -> Result<Varz, Trouble> {
    #[derive(Deserialize)]
    struct Answer {
        data: Varz,
    }
    let answer = tokio::time::timeout(LIMIT, context.client().request(SYSTEM, "".into())).await??;
    Ok(serde_json::from_slice::<Answer>(&answer.payload)?.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weakness(jetstream: &str) -> Option<String> {
        let text = format!(r#"{{"server_name": "a", "version": "2.15.1", "jetstream": {jetstream}}}"#);
        serde_json::from_str::<Varz>(&text).unwrap().weakness()
    }

    /// The parts of `/varz` as nats-server 2.15.1 with `always`, 2.15.1 and 2.9.10 without print them.
    #[test]
    fn only_always_is_safe() {
        assert_eq!(weakness(r#"{"config": {"sync_interval": 120000000000, "sync_always": true, "strict": true}}"#), None);
        let by_default = weakness(r#"{"config": {"sync_interval": 120000000000, "strict": true}}"#).unwrap();
        assert!(by_default.contains("every 120 s") && by_default.contains("sync_interval: always"), "{by_default}");
        let old = weakness(r#"{"config": {"max_memory": 1, "store_dir": "x"}}"#).unwrap();
        assert!(old.contains("every 120 s") && old.contains("2.10"), "{old}");
        assert!(weakness("{}").unwrap().contains("no JetStream"));
    }
}
