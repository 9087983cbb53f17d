//! What came of a run, in Markdown.

use std::fmt::Write;

use chrono::Utc;

use super::{StreamsOutcome, StreamsPlan};
use crate::report::machine;

/// The contract and the method: what the figures below it mean.
const HEAD: &str = include_str!("../../../docs/streams.head.md");

/// The report.
#[must_use]
pub fn write(plan: &StreamsPlan, outcome: &StreamsOutcome, build: &str) -> String {
    let StreamsOutcome { course, told, messages, heard, falsified, verdict, totals } = outcome;
    let mut text = HEAD.to_owned();
    let taken = course.took.as_secs();
    let _ = write!(
        text,
        "\n## Figures of {}\n\nMachine: {}. Build: {build}. Seed {}; {} watchers on {} servers. It took {} min {} s.\n\n| | |\n|---|---:|\n",
        Utc::now().date_naive(),
        machine(),
        plan.seed,
        plan.watchers,
        plan.instances,
        taken / 60,
        taken % 60
    );
    let mut row = |what: &str, value: String| {
        let _ = writeln!(text, "| {what} | {value} |");
    };
    for (kind, count) in &course.losses {
        row(&format!("connections lost: {kind}"), count.to_string());
    }
    row("connections lost with their server", course.ended.to_string());
    row("**disconnects**", format!("**{}**", course.disconnects()));
    row("servers killed (SIGKILL)", course.kills.to_string());
    row("servers stopped (SIGTERM)", course.stops.to_string());
    row("all servers killed, and nothing kept of the stream", course.prunes.to_string());
    row("sleeps until the stream had gone on", course.sleeps.to_string());
    row("messages of the stream", messages.to_string());
    row("of these heard by somebody", heard.to_string());
    row("messages told to watchers", told.messages.to_string());
    row("comings back to a place from which all followed", told.recovered.to_string());
    row("messages that were missed and followed so", told.caught_up.to_string());
    row("comings back that were told to load anew", told.given_up.to_string());
    row("watchers too slow that were told what they missed", told.gaps.to_string());
    row("**missed and not told, out of order, doubled, or given up though kept**", format!("**{}**", told.flaws.len()));
    row("**told otherwise than stored**", format!("**{}**", falsified.len()));
    row(
        "watchers that had seen the end at every server",
        format!("{} within {:.1} s", plan.watchers, course.settled.as_secs_f64()),
    );
    row("executions in the log", verdict.executions.to_string());
    row("events owed, and missing, doubled or false in the log", format!("{}, {}", verdict.owed, verdict_flaws(verdict)));
    row("totals of a server's API that differ from the rows", totals.len().to_string());
    text
}

fn verdict_flaws(verdict: &crate::Verdict) -> usize {
    verdict.missing.len() + verdict.doubled.len() + verdict.wrong.len()
}
