//! What a crash or a bad disk may leave of the spool's newest part: every byte of it is tried.

use std::{fs, ops::Range, path::Path, sync::LazyLock};

use serde_json::json;
use taskscope::server::{
    recorder::{Spool, SpoolFile},
    redact::Redactor,
};
use taskscope_wire::{NativeEvent, RedactionRules, TaskEvent};
use tempfile::TempDir;

static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(&RedactionRules::default()).unwrap());

/// A spool whose first event was acknowledged, and whose second one may be torn.
struct Spooled {
    database: Vec<u8>,
    log: Vec<u8>,
    /// Where what was written of the second event begins in the log.
    tail: usize,
}

impl Spooled {
    async fn make() -> Self {
        let directory = TempDir::new().unwrap();
        let spool = Spool::open(directory.path(), 1_000_000).unwrap();
        spool.append(vec![event(1)]).await.unwrap();
        let log = directory.path().join("spool.sqlite3-wal");
        let tail = fs::metadata(&log).unwrap().len() as usize;
        spool.append(vec![event(2)]).await.unwrap();
        let database = fs::read(directory.path().join("spool.sqlite3")).unwrap();
        Self { database, log: fs::read(&log).unwrap(), tail }
    }

    /// The ids that a spool holds whose log is this.
    fn ids(&self, place: &Path, log: &[u8]) -> Vec<String> {
        fs::write(place.join("spool.sqlite3"), &self.database).unwrap();
        fs::write(place.join("spool.sqlite3-wal"), log).unwrap();
        let mut lines = Vec::new();
        SpoolFile::open(place).unwrap().export(&REDACTOR, &mut lines).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        lines.lines().map(|line| serde_json::from_str::<TaskEvent>(line).unwrap().task_id).collect()
    }

    /// Tears and flips at each of these places: what was acknowledged is there, and nothing that was not written.
    fn try_at(&self, places: Range<usize>) {
        let directory = TempDir::new_in(memory()).unwrap();
        for place in places {
            let torn = self.ids(directory.path(), &self.log[..place]);
            assert_eq!(torn, ["1"], "torn at {place}: the second event isn't whole");
            let mut flipped = self.log.clone();
            flipped[place] ^= 1 << (place % 8);
            let ids = self.ids(directory.path(), &flipped);
            assert!(ids == ["1"] || ids == ["1", "2"], "flipped at {place}: {ids:?}");
        }
    }
}

fn event(id: u32) -> TaskEvent {
    let params = json!({"text": "x".repeat(5000)});
    let event =
        json!({"type": "task_started", "task_id": id.to_string(), "task_name": "t", "timestamp": "2026-11-20", "params": params});
    NativeEvent::decode(&event.to_string(), chrono::Utc::now()).unwrap()
}

/// Where files cost no disk.
fn memory() -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_torn_or_flipped_at_any_byte_of_its_tail_keeps_what_was_acknowledged() {
    let spooled = Spooled::make().await;
    let tail = spooled.tail..spooled.log.len();
    assert!(tail.len() > 5000, "the tail holds the event: {}", tail.len());
    let directory = TempDir::new_in(memory()).unwrap();
    assert_eq!(spooled.ids(directory.path(), &spooled.log), ["1", "2"], "whole, it has both");
    let share = tail.len().div_ceil(std::thread::available_parallelism().map_or(2, usize::from));
    std::thread::scope(|scope| {
        for places in tail.clone().step_by(share).map(|from| from..tail.end.min(from + share)) {
            let spooled = &spooled;
            scope.spawn(move || spooled.try_at(places));
        }
    });
}
