//! A watcher that loses its connection again and again, and comes back to its place at whichever instance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, SinkExt, StreamExt};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde_json::value::RawValue;
use tokio::{io::DuplexStream, sync::watch, time::Instant};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::{
    follower::{Follower, Told},
    line::{Line, Order},
    plan::{LOSSES, Loss, StreamsPlan},
    record::Record,
};

/// How long what is lost at once may go on, and a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a watcher whose connection is to be lost waits for it. A stream without messages has nothing in which it could be lost.
const LOST_AFTER: Duration = Duration::from_secs(2);
/// Pauses before a watcher comes again, in milliseconds.
const AGAIN: std::ops::Range<u64> = 0..300;
/// How long a watcher may take to catch up in the end, at each instance.
const CATCH_UP: Duration = Duration::from_secs(60);

/// What is asked of watchers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Lose the connection, and come back.
    Lose,
    /// See the end of the stream, which is here, at every instance.
    Settle(i64),
}

/// What all watchers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: StreamsPlan,
    /// The ports of the instances.
    pub(super) ports: Vec<u16>,
    pub(super) record: Record,
    /// Connections that were lost, by kind.
    pub(super) losses: [AtomicU64; LOSSES.len()],
    /// Connections that an instance ended.
    pub(super) ended: AtomicU64,
    /// Connections that no instance took.
    pub(super) refused: AtomicU64,
    /// Sleeps beyond what is kept.
    pub(super) sleeps: AtomicU64,
}

impl Shared {
    /// How many connections watchers have lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.losses.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

type Socket = WebSocketStream<DuplexStream>;

/// One watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    shared: Arc<Shared>,
    rng: SmallRng,
    batch: bool,
    follower: Follower,
}

impl Watcher {
    /// The one of a number; half of them ask for batches.
    pub(super) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        let rng = SmallRng::seed_from_u64(shared.plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64);
        Self { shared: Arc::clone(shared), rng, batch: number.is_multiple_of(2), follower: Follower::default() }
    }

    /// Watches until it has seen the end.
    pub(super) async fn run(mut self, mut phase: watch::Receiver<Phase>) -> Told {
        let end = loop {
            if let Phase::Settle(end) = *phase.borrow() {
                break end;
            }
            tokio::select! {
                biased;
                _ = phase.changed() => {}
                () = self.lose() => {}
            }
        };
        let mut ports = self.shared.ports.clone();
        // Not all begin at the same instance.
        let first = self.rng.random_range(0..ports.len());
        ports.rotate_left(first);
        for port in ports {
            if tokio::time::timeout(CATCH_UP, self.see(port, end)).await.is_err() {
                let flaw = format!("stays at {} of {end}", self.follower.seq());
                self.follower.told.flaws.push(flaw);
            }
        }
        self.follower.told
    }

    /// One connection, its loss, and the pause after it.
    async fn lose(&mut self) {
        let port = self.shared.ports[self.rng.random_range(0..self.shared.ports.len())];
        let loss = Loss::draw(&mut self.rng);
        let (order, stay) = match loss {
            Loss::BeforeHello(bytes) => (Order::ResetAfter(bytes), LOST_AFTER),
            _ => (Order::Carry, self.shared.plan.stay.mul_f64(self.rng.random_range(0.0..2.0))),
        };
        let lost = match self.connect(port, order).await {
            Some((socket, line)) => self.stay(socket, line, loss, stay).await,
            None => matches!(loss, Loss::BeforeHello(_)),
        };
        let count = if lost { &self.shared.losses[loss.index()] } else { &self.shared.ended };
        count.fetch_add(1, Ordering::Relaxed);
        let pause = if lost && self.rng.random_ratio(self.shared.plan.sleepers, 1000) {
            self.shared.sleeps.fetch_add(1, Ordering::Relaxed);
            Duration::from_secs(self.rng.random_range(self.shared.plan.sleep.clone()))
        } else {
            Duration::from_millis(self.rng.random_range(AGAIN))
        };
        tokio::time::sleep(pause).await;
    }

    /// Connects with its place; none where the connection is lost before it is one.
    async fn connect(&mut self, port: u16, order: Order) -> Option<(Socket, Line)> {
        let (end, line) = loop {
            match Line::connect(port, order).await {
                Ok(connected) => break connected,
                // The instance is being restarted.
                Err(_) => self.shared.refused.fetch_add(1, Ordering::Relaxed),
            };
            tokio::time::sleep(Duration::from_millis(self.rng.random_range(AGAIN))).await;
        };
        self.follower.reconnect();
        let place = self.follower.place.as_ref();
        let place = place.map(|place| format!("&epoch={}&seq={}", place.epoch, place.seq)).unwrap_or_default();
        let url = format!("ws://127.0.0.1:{port}/ws?batch={}{place}", u8::from(self.batch));
        let (socket, _) = tokio::time::timeout(PATIENCE, client_async(url, end)).await.ok()?.ok()?;
        Some((socket, line))
    }

    /// Listens until the connection is to be lost, and loses it. Says whether it did: the instance may have been first.
    async fn stay(&mut self, mut socket: Socket, line: Line, loss: Loss, stay: Duration) -> bool {
        if !self.listen(&mut socket, stay).await {
            return matches!(loss, Loss::BeforeHello(_));
        }
        match loss {
            Loss::Reset | Loss::BeforeHello(_) => line.give(Order::ResetAfter(0)),
            Loss::MidFrame(bytes) => {
                line.give(Order::ResetAfter(bytes));
                self.listen(&mut socket, LOST_AFTER).await;
                line.give(Order::ResetAfter(0));
            }
            Loss::Silence(lasts) => {
                line.give(Order::BeSilent);
                self.listen(&mut socket, lasts).await;
            }
            Loss::Close => {
                // It may be over already.
                let _ = socket.send(Message::Close(None)).await;
                self.listen(&mut socket, LOST_AFTER).await;
            }
        }
        true
    }

    /// Listens for so long. Says whether the connection still stands.
    async fn listen(&mut self, socket: &mut Socket, lasts: Duration) -> bool {
        let end = Instant::now() + lasts;
        loop {
            // What is there is heard, however late it is.
            let message = match socket.next().now_or_never() {
                Some(message) => message,
                None => match tokio::time::timeout_at(end, socket.next()).await {
                    Ok(message) => message,
                    Err(_) => return true,
                },
            };
            match message {
                Some(Ok(Message::Text(text))) => self.hear(&text),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return false,
            }
            if Instant::now() >= end {
                return true;
            }
        }
    }

    fn hear(&mut self, text: &str) {
        if !self.batch {
            return self.follower.hear(text, &self.shared.record);
        }
        match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(messages) => {
                messages.into_iter().for_each(|message| self.follower.hear(message.get(), &self.shared.record));
            }
            Err(error) => self.follower.told.flaws.push(format!("no array: {error}: {text}")),
        }
    }

    /// Listens at an instance until it is where the stream ends.
    async fn see(&mut self, port: u16, end: i64) {
        loop {
            if let Some((mut socket, _line)) = self.connect(port, Order::Carry).await {
                while self.listen(&mut socket, Duration::from_millis(20)).await {
                    if self.follower.greeted && self.follower.seq() >= end {
                        return;
                    }
                }
            }
        }
    }
}
