//! Record of what of a request is committed, for its session and for whoever answers when the session does not.
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Record of what of a request is committed.
#[derive(Debug, Default)]
pub(crate) struct Commits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// A transaction that modifies the database is open, and may commit at any moment.
    writing: bool,
    /// Something was committed.
    any: bool,
    /// Statements, from the first, that were executed when last no transaction was open.
    executed: usize,
}

impl Commits {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on something may be committed at any moment.
    pub fn writing(&self) {
        self.state().writing = true;
    }

    /// The first `statements` were executed, and no transaction is open.
    pub fn executed(&self, statements: usize) {
        self.state().executed = statements;
    }

    /// The transaction that was writing is over.
    pub fn over(&self, committed: bool) {
        let mut state = self.state();
        state.any |= committed;
        state.writing = false;
    }

    /// Whether something may be committed at this moment.
    pub fn is_writing(&self) -> bool {
        self.state().writing
    }

    /// Counts the statements of the request, from its first, that are executed and stay so; none if it has committed
    /// nothing.
    pub fn statements(&self) -> Option<u32> {
        let state = self.state();
        // A request holds far fewer.
        state.any.then(|| u32::try_from(state.executed).unwrap_or(u32::MAX))
    }
}
