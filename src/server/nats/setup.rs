//! The stream and its consumer, made where they are missing. What an operator has made stays as it is.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{self, DiscardPolicy, RetentionPolicy, StorageType},
};

use super::{Trouble, connection::Link};
use crate::server::config::NatsConfig;

/// How long the stream keeps a message: the longest that Postgres may be away.
const MAX_AGE: Duration = Duration::from_secs(3 * 24 * 3600);
/// How long NATS knows a message's id, so that a client's repetition isn't stored.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// After how long without a word of a server its messages go to another.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Messages that all servers together may hold.
const MAX_ACK_PENDING: i64 = 20_000;

/// What the notice about too few copies is about.
const REPLICAS: &str = "nats replicas";

/// The consumer that all servers share.
///
/// # Errors
/// NATS doesn't answer, or refuses what is asked.
pub(super) async fn consumer(context: &jetstream::Context, config: &NatsConfig, link: &Link) -> Result<PullConsumer, Trouble> {
    let stream = context.get_or_create_stream(stream_config(config)).await?;
    say_copies(&stream.cached_info().config, link);
    let wanted = pull::Config {
        durable_name: Some(config.consumer.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: MAX_ACK_PENDING,
        // Those of another subject in a stream that others use too are none of ours.
        filter_subject: config.subject.clone(),
        ..pull::Config::default()
    };
    let consumer = stream.get_or_create_consumer(&config.consumer, wanted).await?;
    link.works();
    tracing::info!(stream = config.stream, consumer = config.consumer, "taking events from NATS");
    Ok(consumer)
}

fn stream_config(config: &NatsConfig) -> stream::Config {
    stream::Config {
        name: config.stream.clone(),
        subjects: vec![config.subject.clone()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        // A client must be told that there is no room: what is old may not be stored anywhere else yet.
        discard: DiscardPolicy::New,
        max_age: MAX_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: config.replicas,
        ..stream::Config::default()
    }
}

fn say_copies(config: &stream::Config, link: &Link) {
    let name = &config.name;
    if config.storage == StorageType::Memory {
        link.notices.say(REPLICAS, &format!("The stream {name} is in memory: what NATS holds is gone when it restarts."));
    } else if config.num_replicas < 3 {
        let count = config.num_replicas;
        let sentence = format!("The stream {name} has {count} of the 3 copies that outlive the loss of a NATS server's disk.");
        link.notices.say(REPLICAS, &sentence);
    } else {
        link.notices.clear(REPLICAS);
    }
}
