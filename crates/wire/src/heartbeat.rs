use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::limits;

/// A worker's sign of life, as `POST /api/v1/heartbeats` takes it. A worker sends one when it starts, one every `interval_ms`, and one
/// with `stopping` when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heartbeat {
    /// The worker: the name that its events carry. No two processes share it, nor two lives of one process.
    pub worker: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When the worker started.
    pub started_at: DateTime<Utc>,
    /// What reports for it, and its version, such as `taskscope-client 0.1.0`.
    pub client: String,
    /// The application's own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The queues that it takes tasks from.
    #[serde(default)]
    pub queues: Vec<String>,
    /// How many tasks it runs at once at the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many it runs now.
    #[serde(default)]
    pub running: u32,
    /// Milliseconds to its next heartbeat: a worker that is silent for two of them is taken for gone.
    pub interval_ms: u32,
    /// Events that wait in it to be sent.
    #[serde(default)]
    pub buffered: u64,
    /// Events that it had to drop since it started, because its buffer was full or the server refused them.
    #[serde(default)]
    pub dropped: u64,
    /// This is its last one: it ends in good order.
    #[serde(default)]
    pub stopping: bool,
}

impl Heartbeat {
    /// The shortest interval, in milliseconds.
    pub const SHORTEST_INTERVAL_MS: u32 = 100;
    /// The longest interval, in milliseconds.
    pub const LONGEST_INTERVAL_MS: u32 = 3_600_000;
    /// Queues of one worker.
    pub const MOST_QUEUES: usize = 100;

    /// Reads a heartbeat, which must have been through [`crate::clean`].
    ///
    /// # Errors
    /// A sentence that names the field and what is allowed.
    pub fn decode(text: &str) -> Result<Self, String> {
        // serde would read an array as the fields of the struct, too.
        if text.trim_start().starts_with('[') {
            return Err("a heartbeat must be a JSON object, not an array".to_owned());
        }
        let beat: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        beat.check()?;
        Ok(beat)
    }

    fn check(&self) -> Result<(), String> {
        if self.worker.is_empty() {
            return Err("worker must not be empty".to_owned());
        }
        let names = [("worker", &self.worker), ("host", &self.host), ("client", &self.client)];
        let names = names.into_iter().chain(self.version.iter().map(|version| ("version", version)));
        for (field, text) in names.chain(self.queues.iter().map(|queue| ("queues", queue))) {
            if text.len() > limits::NAME || text.contains('\0') {
                return Err(format!("{field} must be at most {} bytes long, without a NUL character", limits::NAME));
            }
        }
        if self.queues.len() > Self::MOST_QUEUES {
            return Err(format!("queues must be at most {} names", Self::MOST_QUEUES));
        }
        let allowed = Self::SHORTEST_INTERVAL_MS..=Self::LONGEST_INTERVAL_MS;
        if !allowed.contains(&self.interval_ms) {
            return Err(format!("interval_ms must be {} to {}, not {}", allowed.start(), allowed.end(), self.interval_ms));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: &str = r#"{"worker": "web-1:41:9f2a", "host": "web-1", "pid": 41, "started_at": "2026-11-24T10:30:00Z",
        "client": "taskscope-client 0.1.0", "queues": ["default"], "interval_ms": 5000, "dropped": 3}"#;

    #[test]
    fn what_is_left_out_has_a_default() {
        let beat = Heartbeat::decode(BEAT).unwrap();
        assert_eq!((beat.dropped, beat.buffered, beat.running, beat.stopping), (3, 0, 0, false));
        assert_eq!(Heartbeat::decode(&serde_json::to_string(&beat).unwrap()), Ok(beat));
    }

    #[test]
    fn bad_heartbeats_name_the_field() {
        let cases = [
            (r#""worker": "web-1:41:9f2a""#, r#""worker": """#, "worker"),
            (r#""pid": 41"#, r#""pid": -1"#, "-1"),
            (r#""interval_ms": 5000"#, r#""interval_ms": 5"#, "interval_ms"),
            (r#""started_at": "2026-11-24T10:30:00Z""#, r#""started_at": "soon""#, "input"),
            (r#"["default"]"#, r#"["a\u0000b"]"#, "queues"),
        ];
        for (from, to, word) in cases {
            let error = Heartbeat::decode(&BEAT.replace(from, to)).unwrap_err();
            assert!(error.contains(word), "{to}: {error}");
        }
    }
}
