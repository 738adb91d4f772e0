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

/// What a request did to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It committed something.
    Commit,
    /// It failed and committed nothing. Its error may tell of what others committed: a key that is there already.
    Fail,
    /// It only read.
    Read,
}

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

    /// What has to be proven before the answer leaves: for one that did more than read always all.
    pub fn proof(&self, did: Did) -> Reads {
        if did == Did::Read { self.reads } else { Reads::Strict }
    }

    /// Waits until what the request saw is durable and, if it did more than read, all that was committed before this
    /// call. An asynchronous request waits for nothing, nor does a relaxed read.
    pub async fn wait(&self, did: Did) -> Result<(), Problem> {
        if self.durability == Durability::Asynchronous || self.proof(did) == Reads::Relaxed {
            return Ok(());
        }
        let wanted = if did == Did::Read { self.seen } else { self.shipper.committed() };
        tokio::select! {
            biased;
            () = self.shipper.until_durable(wanted) => Ok(()),
            () = self.environment.clock.sleep(self.patience) => Err(unconfirmed(did)),
        }
    }
}

fn unconfirmed(did: Did) -> Problem {
    if did == Did::Commit {
        let detail = "what the request committed is visible now, but object storage did not confirm it in time: it may \
                      survive; look before you send it again";
        return Problem::new(ErrorCode::OutcomeUnknown, detail);
    }
    let detail = "the answer tells of commits that object storage did not confirm in time, so it is kept back; nothing \
                  of the request was committed";
    Problem::new(ErrorCode::StorageUnreachable, detail).retry_after(5)
}
