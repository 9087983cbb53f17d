//! What is done to whom, drawn from one seed.

use std::{ops::Range, time::Duration};

use rand::{Rng, RngExt};

/// How hard, how long, and from which seed.
#[derive(Debug, Clone)]
pub struct StreamsPlan {
    /// What all that is random comes from.
    pub seed: u64,
    /// Servers on one Postgres.
    pub instances: usize,
    /// Watchers at a time.
    pub watchers: usize,
    /// Tasks that are on their way at each instance.
    pub tasks: usize,
    /// The mean pause between two reports of one task.
    pub pace: Duration,
    /// Disconnects of watchers, beside those that a server's end is.
    pub disconnects: u64,
    /// The mean time that a watcher stays.
    pub stay: Duration,
    /// Restarts of an instance: SIGKILL and SIGTERM.
    pub restarts: usize,
    /// What lies between two restarts, in milliseconds.
    pub rest: Range<u64>,
    /// Times that nothing is kept of the stream and all instances are killed at once.
    pub prunes: usize,
    /// Seconds of those that sleep until the stream has left them behind.
    pub sleep: Range<u64>,
    /// How many of a thousand disconnects are followed by such a sleep.
    pub sleepers: u32,
}

impl StreamsPlan {
    /// Everything a few times, in some seconds.
    #[must_use]
    pub const fn short(seed: u64) -> Self {
        Self {
            seed,
            instances: 2,
            watchers: 40,
            tasks: 8,
            pace: Duration::from_millis(200),
            disconnects: 500,
            stay: Duration::from_millis(400),
            restarts: 3,
            rest: 300..900,
            prunes: 1,
            sleep: 3..5,
            sleepers: 15,
        }
    }

    /// What a release is judged by.
    #[must_use]
    pub const fn long(seed: u64) -> Self {
        Self {
            seed,
            instances: 2,
            watchers: 200,
            tasks: 30,
            pace: Duration::from_secs(1),
            disconnects: 10_000,
            stay: Duration::from_secs(5),
            restarts: 60,
            rest: 1000..6000,
            prunes: 10,
            sleep: 30..90,
            sleepers: 8,
        }
    }
}

/// How a connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// It is reset (RST).
    Reset,
    /// It is reset after so many bytes more, wherever they end in a frame.
    MidFrame(usize),
    /// Nothing comes through any more in either direction, and the server isn't told.
    Silence(Duration),
    /// The watcher closes it in order.
    Close,
    /// It is reset after so many bytes of the answer: before the hello, or in it.
    BeforeHello(usize),
}

impl Loss {
    /// Any of them.
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..5) {
            0 => Self::Reset,
            1 => Self::MidFrame(rng.random_range(1..600)),
            2 => Self::Silence(Duration::from_millis(rng.random_range(50..500))),
            3 => Self::Close,
            _ => Self::BeforeHello(rng.random_range(0..400)),
        }
    }

    /// Its place among the kinds.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Reset => 0,
            Self::MidFrame(_) => 1,
            Self::Silence(_) => 2,
            Self::Close => 3,
            Self::BeforeHello(_) => 4,
        }
    }
}

/// What the report calls them.
pub(super) const LOSSES: [&str; 5] = [
    "reset (RST)",
    "reset within a frame",
    "half-open: nothing comes through",
    "closed by the watcher",
    "reset before or in the hello",
];
