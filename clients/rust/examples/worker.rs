//! Reports synthetic tasks, to try a Taskscope out or to load it:
//!
//! ```text
//! cargo run --release -p taskscope-client --example worker -- URL [--tasks N] [--concurrency C] [--rate R] [--sleep-ms M] [--fail-percent P] [--token T]
//! ```
//!
//! N tasks (0: until Ctrl-C) start at R a second (0: as fast as they can), at most C at once, and each takes M milliseconds.

use std::{
    error::Error,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use taskscope_client::{Failure, Reporter, Work};
use tokio::{sync::Semaphore, task::JoinSet, time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let plan = Plan::from_args(std::env::args().skip(1))?;
    let mut builder = Reporter::builder(&plan.url).queues(["synthetic"]).concurrency(plan.concurrency);
    if let Some(token) = &plan.token {
        builder = builder.token(token);
    }
    let reporter = builder.start()?;
    let start = Instant::now();
    tokio::select! {
        () = plan.run(&reporter) => {}
        stop = tokio::signal::ctrl_c() => stop?,
    }
    let ran = start.elapsed();
    let complete = reporter.shutdown(Duration::from_secs(60)).await;
    let stats = reporter.stats();
    let rate = (stats.sent as f64 / start.elapsed().as_secs_f64()).round();
    println!("ran {ran:.1?}, reported after {:.1?}: {rate} events a second; {stats:?}", start.elapsed());
    if complete { Ok(()) } else { Err("not everything was reported".into()) }
}

struct Plan {
    url: String,
    token: Option<String>,
    /// 0: without end.
    tasks: u64,
    concurrency: u32,
    /// Tasks a second; 0: without a limit.
    rate: f64,
    sleep: Duration,
    fail_percent: u64,
}

impl Plan {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let url = args.next().ok_or("the first argument must be the URL of a Taskscope")?;
        let sleep = Duration::from_millis(100);
        let mut plan = Self { url, token: None, tasks: 100, concurrency: 10, rate: 10.0, sleep, fail_percent: 5 };
        while let Some(name) = args.next() {
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--token" => plan.token = Some(value),
                "--tasks" => plan.tasks = number(&name, &value)?,
                "--concurrency" => plan.concurrency = number(&name, &value)?,
                "--rate" => plan.rate = number(&name, &value)?,
                "--sleep-ms" => plan.sleep = Duration::from_millis(number(&name, &value)?),
                "--fail-percent" => plan.fail_percent = number(&name, &value)?,
                _ => return Err(format!("{name} is no option").into()),
            }
        }
        Ok(plan)
    }

    async fn run(&self, reporter: &Reporter) {
        let places = Arc::new(Semaphore::new(self.concurrency as usize));
        let mut running = JoinSet::new();
        let start = time::Instant::now();
        let mut number = 0;
        while self.tasks == 0 || number < self.tasks {
            if self.rate > 0.0 {
                time::sleep_until(start + Duration::from_secs_f64(number as f64 / self.rate)).await;
            }
            let work = self.work(number, reporter.worker());
            reporter.queued(&work);
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (reporter, sleep) = (reporter.clone(), self.sleep);
            let fails = number % 100 < self.fail_percent;
            running.spawn(async move {
                run_one(&reporter, work, sleep, fails).await;
                drop(place);
            });
            while running.try_join_next().is_some() {}
            number += 1;
        }
        while running.join_next().await.is_some() {}
    }

    fn work(&self, number: u64, worker: &str) -> Work {
        Work::new(format!("{worker}-{number}"), format!("synthetic.task_{}", number % 5))
            .queue("synthetic")
            .params(json!({ "number": number, "sleep_ms": self.sleep.as_millis() as u64 }))
    }
}

async fn run_one(reporter: &Reporter, work: Work, sleep: Duration, fails: bool) {
    let run = reporter.start(work);
    // Jitter, so that the durations have a distribution.
    if !sleep.is_zero() {
        time::sleep(sleep.mul_f64(0.5 + fastrand::f64())).await;
    }
    if fails {
        run.fail(Failure::new("it was told to fail").error_type("synthetic::Failure"));
    } else {
        run.succeed(Some(json!({ "ok": true }).into()));
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} must be a number, not {value}"))
}
