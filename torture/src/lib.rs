//! Breaks what a running Taskscope stands on, and proves that it loses, doubles and falsifies nothing.
//!
//! Producers report tasks while the server is killed, Postgres stopped, frozen and away, the disk full, the clock wrong and both networks bad.
//! An event that was answered with 2xx is *owed*. In the end the judge compares what Postgres and the API hold with what is owed.
//! Everything is drawn from one seed, so that the same faults can be done again; what races between them can't.

mod api;
mod backlog;
mod clock;
mod delivery;
mod disk;
mod faults;
mod judge;
mod ledger;
mod plan;
mod postgres;
mod probe;
mod producer;
mod proxy;
pub mod report;
mod scene;
mod server;
mod story;
pub mod streams;

use std::path::Path;

pub use self::{
    backlog::Backlog,
    faults::{Outage, Recovery},
    judge::{Verdict, judge_rows},
    ledger::Ledger,
    plan::{Fault, Place, Plan, Weather},
    postgres::Postgres,
    scene::{Course, Scene},
    server::Server,
};

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was done, and how it was recovered from.
    pub course: Course,
    /// What the judge found.
    pub verdict: Verdict,
    /// What a start with much to do takes.
    pub backlog: Option<Backlog>,
    /// The scene, settled and still running.
    pub scene: Scene,
}

/// Does to a program what the plan says, and judges it. What it leaves behind where that fails is named.
///
/// # Errors
/// Something can't be done, or the server doesn't come back. What is lost, doubled or false is in the verdict.
pub async fn run(plan: &Plan, program: &Path, mut tell: impl FnMut(&str)) -> anyhow::Result<Outcome> {
    let mut scene = Scene::start(plan, program).await?;
    let done = async {
        let course = scene.torture(plan, &mut tell).await?;
        scene.settle().await?;
        Ok::<_, anyhow::Error>((course, scene.judge().await?))
    };
    let (course, verdict) = match done.await {
        Ok(done) => done,
        Err(error) => return Err(error.context(format!("what was there is left in {}", scene.keep().display()))),
    };
    if !verdict.is_clean() {
        tell(&format!("what was there is left in {}", scene.keep().display()));
    }
    let backlog = match plan.backlog_megabytes {
        0 => None,
        megabytes => Some(backlog::measure(&mut scene, megabytes).await?),
    };
    Ok(Outcome { course, verdict, backlog, scene })
}
