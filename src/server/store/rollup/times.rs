//! Run and waiting times of many cells together.

use taskscope_wire::{Quantiles, TaskStatus};

use super::{
    cell::unreadable,
    histogram::{Histogram, Tally},
    read::Block,
};
use crate::server::store::StoreError;

/// The times of a block: as columns hold them, which are read when they are added, or counted.
#[derive(Debug)]
pub(super) enum CellTimes {
    None,
    Columns { run: Option<Vec<u8>>, wait: Option<Vec<u8>> },
    Counted { run: Histogram, wait: Histogram },
}

/// How long executions ran that succeeded, and how long executions waited, in many blocks.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Times {
    run: Tally,
    wait: Tally,
}

impl Times {
    /// Adds the times of a block.
    ///
    /// # Errors
    /// What a column holds can't be read.
    pub(in crate::server) fn add(&mut self, block: &Block) -> Result<(), StoreError> {
        let has_run = block.status == TaskStatus::Success;
        match &block.times {
            CellTimes::None => {}
            CellTimes::Columns { run, wait } => {
                let run = run.as_ref().filter(|_| has_run);
                run.map_or(Ok(()), |run| self.run.add_encoded(run)).map_err(unreadable)?;
                wait.as_ref().map_or(Ok(()), |wait| self.wait.add_encoded(wait)).map_err(unreadable)?;
            }
            CellTimes::Counted { run, wait } => {
                if has_run {
                    self.run.add(run);
                }
                self.wait.add(wait);
            }
        }
        Ok(())
    }

    /// The percentiles of run times; none where nothing succeeded.
    pub(in crate::server) fn run(&self) -> Option<Quantiles> {
        self.run.quantiles()
    }

    /// The percentiles of waiting times; none where nothing is known to have waited.
    pub(in crate::server) fn wait(&self) -> Option<Quantiles> {
        self.wait.quantiles()
    }
}
