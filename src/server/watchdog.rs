//! Tells which running executions stall: those whose worker is gone, and those that take longer than their kind ever does.
//!
//! **Promises.** A mark is set and taken away in the order of the live stream, so that counts and pages agree with it, and only once however
//! many servers look. One whose task another attempt has taken over is ended. A server that was away, or whose database was, doesn't take its own silence for that of workers.

use std::time::{Duration, Instant};

use chrono::Utc;
use taskscope_wire::LiveMessage;

use super::{
    hub::Hub,
    recorder::Recorder,
    store::{StallRules, Store, StoreError},
};

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);
/// A look that comes so late says that this process stood still, and heard nothing meanwhile.
const STOOD_STILL: Duration = Duration::from_secs(3);
/// How often it is worked out how long task types take.
const LEARN: Duration = Duration::from_secs(15);

/// Looks for ever. Nothing that runs shorter than `floor` counts as overdue.
pub(super) async fn run(store: Store, recorder: Recorder, hub: Hub, floor: Duration) {
    let floor_ms = floor.as_secs_f64() * 1000.0;
    let mut rules = StallRules { listening_since: Utc::now(), floor_ms, usual: Vec::new() };
    let mut learned: Option<Instant> = None;
    let mut last_look = Instant::now();
    loop {
        if last_look.elapsed() > STOOD_STILL {
            rules.listening_since = Utc::now();
        }
        last_look = Instant::now();
        if learned.is_none_or(|learned| learned.elapsed() > LEARN) {
            // What was learned before does until the next time.
            match store.usual_times(rules.floor_ms).await {
                Ok(usual) => rules.usual = usual,
                Err(error) => tracing::debug!(%error, "how long tasks take could not be learned"),
            }
            learned = Some(Instant::now());
            last_look = Instant::now();
        }
        if let Err(error) = look(&store, &hub, &rules).await {
            tracing::debug!(%error, "stalled executions could not be looked for");
            rules.listening_since = Utc::now();
        }
        if let Err(error) = recorder.end_replaced().await {
            tracing::debug!(%error, "replaced executions could not be ended");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(store: &Store, hub: &Hub, rules: &StallRules) -> Result<(), StoreError> {
    if !store.has_stall_changes(rules).await? {
        return Ok(());
    }
    let mut tx = store.begin_batch().await?;
    // Another server may have been first.
    if tx.mark_stalled(rules).await? > 0 {
        let written = tx.commit(vec![LiveMessage::Changed { seq: 0 }]).await?;
        hub.publish(written.position, written.messages);
    }
    Ok(())
}
