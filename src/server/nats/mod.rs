//! Events from a stream of NATS JetStream, for fleets that outgrow one machine: any number of servers share one durable consumer.
//!
//! **Promises.** A message is acknowledged once its events are committed in Postgres; whoever dies before, with its disk or without, leaves it to
//! the next server, and what is delivered twice changes nothing. What is no event is kept among the dead letters with its reason and never comes again. While
//! Postgres is away nothing more is pulled: the stream keeps it. NATS being away stops nothing else.
//!
//! **Refuses** nothing: it holds some megabytes at the most and leaves the rest where it is.
//!
//! **Fails** by waiting, and says so: in the log, among the notices of the server, and in its figures. How much NATS itself promises depends on how it syncs
//! what it acknowledges (`durability`).

mod connection;
mod durability;
mod figures;
mod held;
mod setup;

use std::{future::ready, sync::Arc, time::Duration};

use async_nats::jetstream::{self, consumer::PullConsumer};
use futures::StreamExt;
use tokio::{sync::Semaphore, task::JoinSet};

use self::{
    connection::Link,
    held::{Keeper, cost},
};
use super::{config::NatsConfig, hub::Hub, notices::Notices, recorder::Recorder, store::Store};

/// Messages that are asked for at once.
const PULL: usize = 1024;
/// Bytes that are asked for at once.
const PULL_BYTES: usize = 8 * 1024 * 1024;
/// How long a request for messages stands.
const PULL_LASTS: Duration = Duration::from_secs(5);
/// What a request may cost: its bytes, and what many small messages count.
const PULL_COST: u32 = 16 * 1024 * 1024;
/// What all that is held may cost.
const HELD_COST: usize = 64 * 1024 * 1024;
/// How often it is looked whether Postgres is back.
const LOOK: Duration = Duration::from_millis(250);
/// The longest pause between two tries to find the consumer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Why messages can't be taken now; NATS' own words.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// Takes events from the stream, for ever.
pub async fn run(config: NatsConfig, recorder: Recorder, store: Store, hub: Hub, notices: Notices) {
    let link = Link::new(notices);
    let context = jetstream::new(connection::connect(&config, &link).await);
    let keeper = Keeper::new(recorder, store, config.stream.clone());
    let source = Source { config, context, keeper, hub, link };
    tokio::join!(source.consume(), source.watch_durability());
}

struct Source {
    config: NatsConfig,
    context: jetstream::Context,
    keeper: Keeper,
    hub: Hub,
    link: Link,
}

impl Source {
    /// Finds the consumer and pulls from it, anew whenever that fails. What is held is held on meanwhile.
    async fn consume(&self) {
        let room = Arc::new(Semaphore::new(HELD_COST));
        let mut held = JoinSet::new();
        let mut pause = LOOK;
        loop {
            match setup::consumer(&self.context, &self.config, &self.link).await {
                Ok(consumer) => {
                    pause = LOOK;
                    let trouble = tokio::select! {
                        trouble = self.pull(&consumer, &room, &mut held) => trouble,
                        trouble = figures::keep(&self.context, &self.config) => trouble,
                    };
                    self.link.trouble(&*trouble);
                }
                Err(trouble) => self.link.trouble(&*trouble),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks for messages as long as Postgres answers and there is room, until it can't.
    async fn pull(&self, consumer: &PullConsumer, room: &Arc<Semaphore>, held: &mut JoinSet<()>) -> Trouble {
        // One that alone is larger than a request may be comes alone.
        let mut alone = false;
        loop {
            while held.try_join_next().is_some() {}
            if !self.hub.server().database_up {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let Ok(mut share) = Arc::clone(room).acquire_many_owned(PULL_COST).await else { return "there is no room".into() };
            let request = consumer.batch().expires(PULL_LASTS);
            let request = if alone { request.max_messages(1) } else { request.max_messages(PULL).max_bytes(PULL_BYTES) };
            let messages = match request.messages().await {
                Ok(messages) => messages,
                Err(error) => return error.into(),
            };
            let mut end = None;
            let mut came = 0;
            {
                let failed = &mut end;
                let good = messages.scan((), |(), message| ready(message.map_err(|error| *failed = Some(error)).ok()));
                let mut chunks = std::pin::pin!(good.ready_chunks(PULL));
                while let Some(messages) = chunks.next().await {
                    self.link.works();
                    came += messages.len();
                    let cost = cost(&messages).min(share.num_permits());
                    held.spawn(self.keeper.clone().keep(messages, share.split(cost)));
                }
            }
            // A request that is used up may end with an error too: only one that brought nothing has failed.
            match end {
                Some(trouble) if came == 0 && alone => return trouble,
                Some(_) if came == 0 => alone = true,
                _ => alone = false,
            }
        }
    }

    /// Looks again and again how the NATS servers sync.
    async fn watch_durability(&self) {
        loop {
            durability::look(&self.context, &self.config, &self.link).await;
            self.link.connected_or(durability::AGAIN).await;
        }
    }
}
