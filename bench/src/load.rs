//! Events at a steady rate.

use std::{ops::Range, time::Duration};

use chrono::Utc;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::program::Program;

/// Calls a second, as of clients that batch for ten milliseconds.
const CALLS: usize = 100;

/// A number of events a second, for so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) per_second: usize,
    pub(crate) seconds: usize,
}

impl Load {
    /// How many events that are.
    pub(crate) const fn events(self) -> usize {
        self.per_second * self.seconds
    }

    /// Sends the bodies that `body` makes of the numbers of their events. A call doesn't wait for the answer to the one before: a slow server
    /// must not slow its own measurement. All must be accepted.
    pub(crate) async fn send(self, program: &Program, mut body: impl FnMut(Range<usize>) -> Value) -> anyhow::Result<()> {
        let batch = self.per_second / CALLS;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / CALLS as u32);
        let mut calls = JoinSet::new();
        for number in 0..self.events() / batch {
            ticks.tick().await;
            let body = body(number * batch..(number + 1) * batch).to_string();
            let call = program
                .http
                .post(format!("{}/api/v1/events", program.base))
                .header("content-type", "application/json")
                .body(body);
            calls.spawn(async move { call.send().await?.error_for_status().map(drop) });
            while let Some(answer) = calls.try_join_next() {
                answer??;
            }
        }
        while let Some(answer) = calls.join_next().await {
            answer??;
        }
        Ok(())
    }
}

/// Tasks of ten types that start and end; every event has a number, the start an even one.
pub(crate) fn tasks(numbers: Range<usize>) -> Value {
    let now = Utc::now().to_rfc3339();
    let event = |number: usize| {
        let kind = if number.is_multiple_of(2) { "task_started" } else { "task_completed" };
        let task = number / 2;
        json!({"type": kind, "task_id": format!("load-{task}"), "task_name": format!("load_task_{}", task % 10), "timestamp": now,
               "duration_ms": (number % 2 == 1).then(|| 5 + task % 40), "params": {"message_id": task}})
    };
    numbers.map(event).collect()
}

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// So many watchers of the live stream.
pub(crate) async fn watchers(program: &Program, number: usize) -> anyhow::Result<Vec<Socket>> {
    let url = format!("{}/ws?batch=1", program.base.replace("http", "ws"));
    let sockets = try_join_all((0..number).map(|_| connect_async(&url))).await?;
    Ok(sockets.into_iter().map(|(socket, _)| socket).collect())
}
