//! Answers wait until what they tell is in the bucket; the engine never does.

use crate::shipper::Shipper;
use roost_protocol::{
    durability::{Durability, Reads},
    problem::{ErrorCode, Problem},
};
use roost_store::{Environment, stream::Lsn};
use std::{sync::Arc, time::Duration};

/// Longest time that an answer waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one answer has to wait for before its end leaves.
pub struct Confirmation {
    shipper: Arc<Shipper>,
    environment: Environment,
    /// The last commit that the request can have seen.
    seen: Lsn,
    /// How long it waits.
    patience: Duration,
    durability: Durability,
    reads: Reads,
}

impl Confirmation {
    /// For a request whose snapshot of the database was taken before this call. It waits no longer than `timeout`.
    pub fn new(
        shipper: Arc<Shipper>,
        environment: Environment,
        timeout: Duration,
        durability: Durability,
        reads: Reads,
    ) -> Self {
        let seen = shipper.committed();
        Self { shipper, environment, seen, patience: timeout.min(PATIENCE), durability, reads }
    }

    /// What has to be proven before the answer leaves: for one that committed something always all.
    pub fn proof(&self, committed_writes: bool) -> Reads {
        if committed_writes { Reads::Strict } else { self.reads }
    }

    /// Waits until what the request saw is durable and, if it committed something itself, all that was committed
    /// before this call. An asynchronous request waits for nothing, nor does a relaxed read.
    pub async fn wait(&self, committed_writes: bool) -> Result<(), Problem> {
        if self.durability == Durability::Asynchronous || self.proof(committed_writes) == Reads::Relaxed {
            return Ok(());
        }
        let wanted = if committed_writes { self.shipper.committed() } else { self.seen };
        tokio::select! {
            biased;
            () = self.shipper.until_durable(wanted) => Ok(()),
            () = self.environment.clock.sleep(self.patience) => Err(unconfirmed(committed_writes)),
        }
    }
}

fn unconfirmed(committed_writes: bool) -> Problem {
    if committed_writes {
        let detail = "the statement was committed, but object storage did not confirm it in time; it is visible now, \
                      and may survive; look before you send it again";
        return Problem::new(ErrorCode::OutcomeUnknown, detail);
    }
    let detail = "the result shows commits that object storage did not confirm in time, so it is kept back";
    Problem::new(ErrorCode::StorageUnreachable, detail).retry_after(5)
}
