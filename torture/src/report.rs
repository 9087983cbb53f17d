//! What came of a run, in Markdown.

use std::{fmt::Write, sync::atomic::Ordering, time::Duration};

use chrono::Utc;

use crate::{Backlog, Outage, Outcome, Plan, Recovery};

/// The contract and the method: what the figures below it mean.
const HEAD: &str = include_str!("../../docs/reliability.head.md");
/// How much of an outage's time may be needed to catch up.
const CATCH_UP_BAR: f64 = 0.2;
/// How much memory a backlog may take.
const MEMORY_BAR: f64 = 100.0;

/// The report.
#[must_use]
pub fn write(plan: &Plan, outcome: &Outcome, build: &str) -> String {
    let mut text = HEAD.to_owned();
    let taken = outcome.course.took.as_secs();
    let _ = write!(
        text,
        "\n## Figures of {}\n\nMachine: {}. Build: {build}. Seed {}; {} tasks at once. The faults took {} min {} s.\n\n",
        Utc::now().date_naive(),
        machine(),
        plan.seed,
        plan.tasks,
        taken / 60,
        taken % 60
    );
    text.push_str(&verdict(outcome));
    text.push_str(&recoveries(&outcome.course.recoveries));
    if let Some(outage) = outcome.course.recoveries.iter().find_map(|recovery| recovery.outage.as_ref()) {
        text.push_str(&after_outage(outage, &outcome.course.usual_latencies));
    }
    text.push_str(&outcome.backlog.map(with_backlog).unwrap_or_default());
    text
}

fn verdict(outcome: &Outcome) -> String {
    let (verdict, answers) = (&outcome.verdict, &outcome.scene.ledger.answers);
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    format!(
        "| | |\n|---|---:|\n\
         | requests answered with 2xx | {} |\n| refused with 503 and `Retry-After` | {} |\n| without an answer | {} |\n\
         | other answers | {} |\n| **events owed** | **{}** |\n| events sent without an answer in the end: may be there or not | {} |\n\
         | executions in the log | {} |\n| **owed and missing** | **{}** |\n| **doubled** | **{}** |\n\
         | **false** (status, attempt, times, error, params, or nobody's) | **{}** |\n\
         | answers of the API, and counts, that differ from the rows | {} |\n| dead letters | {} |\n",
        count(&answers.taken),
        count(&answers.refused),
        count(&answers.unanswered),
        verdict.answers.len(),
        verdict.owed,
        verdict.unknown,
        verdict.executions,
        verdict.missing.len(),
        verdict.doubled.len(),
        verdict.wrong.len(),
        verdict.api.len(),
        verdict.dead_letters,
    )
}

fn recoveries(all: &[Recovery]) -> String {
    let mut kinds: Vec<(&str, Vec<Duration>)> = Vec::new();
    for recovery in all {
        let kind = recovery.fault.kind();
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, times)) => times.push(recovery.live_after),
            None => kinds.push((kind, vec![recovery.live_after])),
        }
    }
    kinds.sort_by_key(|(kind, _)| *kind);
    let mut text = "\n### Alive again\n\n| fault | times | median | longest |\n|---|---:|---:|---:|\n".to_owned();
    for (kind, mut times) in kinds {
        let [median, most] = [0.5, 1.0].map(|part| seconds(quantile(&mut times, part)));
        let _ = writeln!(text, "| {kind} | {} | {median} | {most} |", times.len());
    }
    text
}

fn after_outage(outage: &Outage, usual: &[Duration]) -> String {
    let (mut usual, mut meanwhile) = (usual.to_owned(), outage.latencies.clone());
    let part = outage.caught_up.as_secs_f64() / outage.lasted.as_secs_f64();
    let mut text = "\n### After the long outage\n\n| | |\n|---|---:|\n".to_owned();
    let met = if part <= CATCH_UP_BAR { "met" } else { "missed" };
    let _ = writeln!(text, "| the outage | {} |\n| events that waited at its end | {} |", seconds(outage.lasted), outage.waiting);
    let _ = writeln!(text, "| caught up after | {} |", seconds(outage.caught_up));
    let _ = writeln!(text, "| as a part of the outage (bar: ≤ {CATCH_UP_BAR}) | {part:.3}, {met} |");
    for (what, times) in [("before the first fault", &mut usual), ("of what was sent while it caught up", &mut meanwhile)] {
        let [median, slow, most] = [0.5, 0.95, 1.0].map(|part| seconds(quantile(times, part)));
        let _ = writeln!(text, "| live {what}: median, 95 %, longest | {median}, {slow}, {most} |");
    }
    text
}

fn with_backlog(backlog: Backlog) -> String {
    let Backlog { megabytes, events, idle_megabytes, most_megabytes, answers_after, stored_after, live_after } = backlog;
    let over = most_megabytes - idle_megabytes;
    let met = if over <= MEMORY_BAR { "met" } else { "missed" };
    format!(
        "\n### A start with {megabytes} MB in the spool\n\n| | |\n|---|---:|\n| events | {events} |\n\
         | takes events after | {} |\n| all stored after | {} |\n| an event shows that was sent after the start | {} |\n\
         | memory of the idle server | {idle_megabytes:.0} MB |\n| the most until all was stored | {most_megabytes:.0} MB |\n\
         | over idle (bar: ≤ {MEMORY_BAR:.0} MB) | {over:.0} MB, {met} |\n",
        seconds(answers_after),
        seconds(stored_after),
        seconds(live_after),
    )
}

fn quantile(times: &mut [Duration], part: f64) -> Duration {
    times.sort();
    let place = (times.len().saturating_sub(1) as f64 * part).round() as usize;
    times.get(place).copied().unwrap_or_default()
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// What it ran on.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu =
        read("/proc/cpuinfo").lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(": ")?.1.to_owned()));
    let kilobytes = read("/proc/meminfo")
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().split(' ').next()?.parse::<f64>().ok());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{}, {cores} cores, {:.0} GB",
        cpu.as_deref().unwrap_or("unknown CPU"),
        kilobytes.unwrap_or_default() / 1024.0 / 1024.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_sorted_times() {
        let mut times: Vec<Duration> = [5, 1, 4, 2, 3].map(Duration::from_secs).into();
        assert_eq!([0.0, 0.5, 1.0].map(|part| quantile(&mut times, part).as_secs()), [1, 3, 5]);
        assert_eq!(quantile(&mut [], 0.5), Duration::ZERO);
    }
}
