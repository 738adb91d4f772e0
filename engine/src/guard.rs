//! Which session a plan belongs to, and what that session may do just now: feeds [`crate::policy`].
use crate::policy::{self, Rules};
use crate::wal::Renames;
use roost_duckdb::{
    Caller, ContextId, OperatorDetail, PlanFacts, PlanGuard, Refusal, Renaming, TransactionAction, Trust,
};
use roost_protocol::session::Role;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Code of the refusal of a plan that began to modify the database after it was prepared (a view or macro that it
/// uses was replaced meanwhile), without holding the gate.
pub(crate) const CHANGED_WHILE_PREPARED: &str = "changed-while-prepared";

/// Phase of a session's statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is being prepared; nothing runs yet.
    Preparing,
    /// It runs, and may bind again.
    Executing {
        /// The session holds the write gate.
        gate_held: bool,
    },
}

struct SessionState {
    role: Role,
    phase: Phase,
    transaction: Option<TransactionAction>,
    runs_alone: bool,
}

/// Judges plans of known sessions; refuses those of unknown connections.
pub(crate) struct SessionGuard {
    database: String,
    policy: bool,
    roles: bool,
    /// The database is being attached: DuckDB replays the WAL on a connection of its own.
    opening: AtomicBool,
    renames: Renames,
    sessions: RwLock<HashMap<ContextId, SessionState>>,
}

impl SessionGuard {
    /// `policy` and `roles` say whether these walls stand (tests take them down one by one).
    pub fn new(database: &str, (policy, roles): (bool, bool), renames: Renames) -> Arc<Self> {
        Arc::new(Self {
            database: database.to_owned(),
            policy,
            roles,
            opening: AtomicBool::new(true),
            renames,
            sessions: RwLock::default(),
        })
    }

    fn change<R>(&self, context: ContextId, change: impl FnOnce(&mut SessionState) -> R) -> Option<R> {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).get_mut(&context).map(change)
    }

    /// The database is attached: from now on connections that DuckDB opens by itself are refused.
    pub fn opened(&self) {
        self.opening.store(false, Ordering::SeqCst);
    }

    /// Takes a session in; until [`Self::leave`] its plans are judged by this role.
    pub fn enter(&self, context: ContextId, role: Role) {
        let state = SessionState { role, phase: Phase::Preparing, transaction: None, runs_alone: false };
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).insert(context, state);
    }

    pub fn leave(&self, context: ContextId) {
        self.sessions.write().unwrap_or_else(PoisonError::into_inner).remove(&context);
    }

    /// Says that a statement is about to be prepared.
    pub fn preparing(&self, context: ContextId) {
        self.change(context, |state| {
            (state.phase, state.transaction, state.runs_alone) = (Phase::Preparing, None, false);
        });
    }

    /// Says that the prepared statement is about to run.
    pub fn executing(&self, context: ContextId, gate_held: bool) {
        self.change(context, |state| state.phase = Phase::Executing { gate_held });
    }

    /// Whether the statement prepared last makes an index over rows that others see, or changes a type of theirs.
    pub fn runs_alone(&self, context: ContextId) -> bool {
        self.change(context, |state| state.runs_alone).unwrap_or_default()
    }

    /// Tells what the statement prepared last does to the transaction; none unless it is BEGIN, COMMIT or ROLLBACK.
    pub fn transaction_action(&self, context: ContextId) -> Option<TransactionAction> {
        self.change(context, |state| state.transaction).flatten()
    }
}

impl PlanGuard for SessionGuard {
    fn renaming(&self, what: Renaming) {
        self.renames.note(what);
    }

    fn judge(&self, caller: Caller, plan: &PlanFacts) -> Result<(), Refusal> {
        if caller.trust == Trust::Own {
            return Ok(());
        }
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = sessions.get_mut(&caller.context) else {
            return if self.policy && !self.opening.load(Ordering::SeqCst) {
                Err(Refusal {
                    message: "Statements on connections that DuckDB opens by itself are not available".into(),
                    code: "unknown-connection",
                })
            } else {
                Ok(())
            };
        };
        let rules = Rules { role: state.role, database: &self.database };
        if self.policy {
            policy::judge(rules, plan)?;
        }
        if self.roles {
            policy::judge_writes(rules, plan)?;
        }
        let writes = plan.modified_databases.contains(&self.database);
        if writes && state.phase == (Phase::Executing { gate_held: false }) {
            return Err(Refusal {
                message: "What the statement refers to was changed while it was prepared; run it again"
                    .into(),
                code: CHANGED_WHILE_PREPARED,
            });
        }
        state.runs_alone |= !plan.over_all_rows.is_empty();
        for operator in &plan.operators {
            if let OperatorDetail::Transaction(action) = operator.detail {
                state.transaction = Some(action);
            }
        }
        Ok(())
    }
}
