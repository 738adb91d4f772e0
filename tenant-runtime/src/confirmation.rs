//! Answers wait until what they tell is in the bucket; the engine never does.

use crate::shipper::Shipper;
use roost_protocol::{
    durability::Durability,
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
}

impl Confirmation {
    /// For a request whose snapshot of the database was taken before this call. It waits no longer than `timeout`.
    pub fn new(
        shipper: Arc<Shipper>,
        environment: Environment,
        timeout: Duration,
        durability: Durability,
    ) -> Self {
        let seen = shipper.committed();
        Self { shipper, environment, seen, patience: timeout.min(PATIENCE), durability }
    }

    /// Waits until what the request saw is durable and, if it committed something itself, all that was committed
    /// before this call. An asynchronous request waits for nothing.
    pub async fn wait(&self, committed_writes: bool) -> Result<(), Problem> {
        if self.durability == Durability::Asynchronous {
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
