//! The queries that have no answer yet, by their ids: no id is used twice at once, and a query that waits for its tenant
//! to wake is cancelled here, since no runtime knows it yet.

use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A query by its id, its branch and its user: another user's cannot be cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryKey {
    /// Its branch.
    pub branch: BranchKey,
    /// Kubernetes user name.
    pub user: String,
    /// Its id.
    pub id: Uuid,
}

/// Stage of a query.
#[derive(Debug)]
enum Stage {
    /// Nothing of it has been sent: it can be cancelled.
    Waiting(CancellationToken),
    /// A runtime may know it.
    Sending,
}

type Stages = Mutex<HashMap<QueryKey, Stage>>;

/// The queries that have no answer yet; as many as admission lets in.
#[derive(Debug, Default)]
pub struct Queries {
    stages: Arc<Stages>,
}

impl Queries {
    /// A query came in. Refused if one of the same name has no answer yet.
    /// Errors: `query-id-in-use`.
    pub fn enter(&self, key: QueryKey) -> Result<Ticket, Problem> {
        let cancelled = CancellationToken::new();
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if stages.contains_key(&key) {
            let detail = format!("a query of yours with the id {} goes on already", key.id);
            return Err(Problem::new(ErrorCode::QueryIdInUse, detail));
        }
        stages.insert(key.clone(), Stage::Waiting(cancelled.clone()));
        drop(stages);
        Ok(Ticket { stages: Arc::clone(&self.stages), key, cancelled })
    }

    /// Cancels a query that waits; says whether there was one. It is then never sent.
    pub fn cancel(&self, key: &QueryKey) -> bool {
        match self.stages.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            Some(Stage::Waiting(cancelled)) => {
                cancelled.cancel();
                true
            }
            Some(Stage::Sending) | None => false,
        }
    }
}

/// A query's place among those that have no answer yet; given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    stages: Arc<Stages>,
    key: QueryKey,
    cancelled: CancellationToken,
}

impl Ticket {
    /// From here on a runtime may know the query; fails if it was cancelled before.
    /// Errors: `cancelled`.
    pub fn sending(&self) -> Result<(), Problem> {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cancelled.is_cancelled() {
            return Err(cancelled());
        }
        stages.insert(self.key.clone(), Stage::Sending);
        Ok(())
    }

    /// Nothing was executed after all: the query waits again.
    pub fn waiting(&self) {
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.insert(self.key.clone(), Stage::Waiting(self.cancelled.clone()));
    }

    /// Waits for `what` unless the query is cancelled.
    /// Errors: `cancelled`.
    pub async fn unless_cancelled<T>(&self, what: impl Future<Output = T>) -> Result<T, Problem> {
        self.cancelled.run_until_cancelled(what).await.ok_or_else(cancelled)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

fn cancelled() -> Problem {
    Problem::new(ErrorCode::Cancelled, "cancelled while its tenant was waking: nothing was executed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str) -> QueryKey {
        let branch = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() };
        QueryKey { branch, user: user.into(), id: Uuid::nil() }
    }

    #[test]
    fn only_what_waits_is_cancelled_and_then_never_sent() {
        let queries = Queries::default();
        assert!(!queries.cancel(&key("alice")));
        let ticket = queries.enter(key("alice")).unwrap();
        assert_eq!(queries.enter(key("alice")).unwrap_err().code, ErrorCode::QueryIdInUse);
        assert!(!queries.cancel(&key("bob")));
        ticket.sending().unwrap();
        assert!(!queries.cancel(&key("alice")), "a runtime may know it");
        ticket.waiting();
        assert!(queries.cancel(&key("alice")));
        assert_eq!(ticket.sending().unwrap_err().code, ErrorCode::Cancelled);
        drop(ticket);
        assert!(queries.stages.lock().unwrap().is_empty());
    }
}
