//! The short form of `make streams`.

use std::path::Path;

use taskscope_torture::streams::{StreamsPlan, run};

/// Every way to lose a connection, restarts of both servers, and a stream of which nothing is kept.
#[tokio::test(flavor = "multi_thread")]
async fn watchers_that_lose_connections_and_servers_are_told_everything_in_order_or_that_they_missed_it() {
    let plan = StreamsPlan::short(1);
    let outcome = run(&plan, Path::new(env!("CARGO_BIN_EXE_taskscope")), |line| eprintln!("{line}")).await.unwrap();
    let flaws: Vec<_> = outcome.flaws().take(10).collect();
    assert!(outcome.is_clean(), "seed {}: {flaws:#?}; {}", plan.seed, outcome.verdict);
    assert!(outcome.course.disconnects() >= plan.disconnects && outcome.course.losses.iter().all(|(_, count)| *count > 0));
    assert_eq!((outcome.course.kills + outcome.course.stops, outcome.course.prunes), (plan.restarts, plan.prunes));
    // What is judged has happened.
    let told = &outcome.told;
    assert!(told.recovered > 200 && told.caught_up > 500 && told.given_up > 0, "{told:?}");
    assert!(outcome.messages > 300 && outcome.heard as i64 > outcome.messages / 2, "{} {}", outcome.messages, outcome.heard);
}
