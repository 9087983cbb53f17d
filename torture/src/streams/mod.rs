//! The live stream under fire: several instances on one Postgres are killed and restarted while watchers lose their connections in every
//! way and come back to their place at whichever instance. Each must be told everything in order, or what it missed.

mod follower;
mod line;
mod plan;
mod record;
mod report;
mod scene;
mod watcher;

use std::path::Path;

pub use self::{
    follower::Told,
    plan::{Loss, StreamsPlan},
    report::write,
    scene::{Instance, StreamsCourse},
};

/// What came of a run.
#[derive(Debug)]
pub struct StreamsOutcome {
    /// What was done.
    pub course: StreamsCourse,
    /// What watchers were told, and what was wrong with it.
    pub told: Told,
    /// Messages of the stream.
    pub messages: i64,
    /// How many of them at least one watcher heard.
    pub heard: usize,
    /// Messages that are not stored, or not as they were told.
    pub falsified: Vec<String>,
    /// What the judge of rows says.
    pub verdict: crate::Verdict,
    /// What the instances' APIs say that the rows don't.
    pub totals: Vec<String>,
}

impl StreamsOutcome {
    /// Whether nothing was missed, out of order, doubled, false or untold.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.told.flaws.is_empty() && self.falsified.is_empty() && self.totals.is_empty() && self.verdict.is_clean()
    }

    /// All that is wrong, a line each.
    pub fn flaws(&self) -> impl Iterator<Item = &String> {
        self.told.flaws.iter().chain(&self.falsified).chain(&self.totals)
    }
}

/// Does to a program what the plan says, and judges it.
///
/// # Errors
/// Something can't be done, or an instance doesn't come back. What watchers were not told is in the outcome.
pub async fn run(plan: &StreamsPlan, program: &Path, tell: impl FnMut(&str)) -> anyhow::Result<StreamsOutcome> {
    scene::run(plan, program, tell).await
}
