//! Answers wait until what they tell is in the bucket; the engine never does.

use crate::durability::shipper::Shipper;
use roost_protocol::{
    durability::{Durability, Reads},
    problem::{ErrorCode, Problem},
    session::Role,
};
use roost_store::{Environment, stream::Lsn};
use std::{sync::Arc, time::Duration};

/// Longest time that an answer waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Effect of a query on the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// It committed something.
    Commit,
    /// It failed and committed nothing. Its error may tell of what others committed: a key that is there already.
    Fail,
    /// It only read.
    Read,
}

/// Terms on which the answers of one query wait to be confirmed.
#[derive(Clone)]
pub struct Confirming {
    /// Knows what is durable.
    pub shipper: Arc<Shipper>,
    /// Clock.
    pub environment: Environment,
    /// Time that the query may take: an answer waits no longer.
    pub timeout: Duration,
    /// Durability that the query asks for.
    pub durability: Durability,
    /// Strictness of this tenant's reads, which says what they have to wait for and prove.
    pub reads: Reads,
    /// Role of the caller, which says whether it may have written.
    pub role: Role,
}

impl Confirming {
    /// For a query whose snapshot of the database was taken before this call.
    pub fn seen_by_now(&self) -> Confirmation {
        Confirmation { terms: self.clone(), seen: self.shipper.committed() }
    }

    /// The problem of a query, once what it tells is durable: it may tell of commits, too, such as a key that exists
    /// already.
    pub async fn told(&self, problem: Problem) -> Problem {
        let did = match (problem.committed_statements(), problem.code) {
            (Some(_), _) => Did::Commit,
            (None, ErrorCode::QueryFailed | ErrorCode::TransactionConflict) => match self.role {
                Role::ReadWrite => Did::Fail,
                Role::ReadOnly => Did::Read,
            },
            (None, _) => return problem,
        };
        match self.seen_by_now().wait(did).await {
            Ok(()) => problem,
            Err(mut unconfirmed) => {
                if let Some(statements) = problem.committed_statements() {
                    let failed = format!(
                        "; after its first {statements} statements the request failed: {}",
                        problem.detail
                    );
                    unconfirmed.detail.push_str(&failed);
                }
                unconfirmed
            }
        }
    }
}

/// Confirmation that one answer waits for before its end leaves.
pub struct Confirmation {
    terms: Confirming,
    /// The last commit that the query can have seen.
    seen: Lsn,
}

impl Confirmation {
    /// Proof that the answer needs before it leaves: always the strict one if the query did more than read.
    pub fn proof(&self, did: Did) -> Reads {
        if did == Did::Read { self.terms.reads } else { Reads::Strict }
    }

    /// Waits until what the query saw is durable and, if it did more than read, all that was committed before this
    /// call. An asynchronous query waits for nothing, nor does a relaxed read.
    /// Errors: `outcome-unknown`, `storage-unreachable`.
    pub async fn wait(&self, did: Did) -> Result<(), Problem> {
        let Confirming { shipper, environment, timeout, durability, .. } = &self.terms;
        if *durability == Durability::Asynchronous || self.proof(did) == Reads::Relaxed {
            return Ok(());
        }
        let wanted = if did == Did::Read { self.seen } else { shipper.committed() };
        tokio::select! {
            biased;
            () = shipper.until_durable(wanted) => Ok(()),
            () = environment.clock.sleep((*timeout).min(PATIENCE)) => Err(unconfirmed(did)),
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
