//! How far the consumer is behind, for Prometheus.

use std::time::Duration;

use async_nats::jetstream::{self, consumer::Info};

use super::Trouble;
use crate::server::config::NatsConfig;

/// How often NATS is asked.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it may fail in a row before the consumer is looked for anew.
const PATIENCE: u32 = 3;

/// Keeps the figures current, until NATS doesn't answer.
pub(super) async fn keep(context: &jetstream::Context, config: &NatsConfig) -> Trouble {
    let mut failed = 0;
    loop {
        match info(context, config).await {
            Ok(info) => {
                failed = 0;
                set(&info);
            }
            Err(trouble) => {
                failed += 1;
                if failed >= PATIENCE {
                    return trouble;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn info(context: &jetstream::Context, config: &NatsConfig) -> Result<Info, Trouble> {
    let stream = context.get_stream_no_info(&config.stream).await?;
    Ok(stream.consumer_info(&config.consumer).await?)
}

fn set(info: &Info) {
    metrics::gauge!("taskscope_nats_pending").set(info.num_pending as f64);
    metrics::gauge!("taskscope_nats_ack_pending").set(info.num_ack_pending as f64);
    metrics::gauge!("taskscope_nats_redelivered").set(info.num_redelivered as f64);
}
