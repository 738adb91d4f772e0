//! A transaction's share of the write gate, and the gate to itself once it has made an index or changed a type. Blocks.
use super::Executor;
use crate::error::QueryError;
use crate::gate::GateHold;
use roost_duckdb::StatementKind;
use roost_protocol::problem::ErrorCode;
use roost_protocol::session::Role;

impl Executor {
    /// Before an ALTER is judged, takes the gate: from then on nobody makes an index that the ALTER does not see.
    pub fn gate_before_alter(&mut self, kind: StatementKind) -> Result<(), QueryError> {
        if kind == StatementKind::Alter && self.role != Role::ReadOnly { self.hold_gate() } else { Ok(()) }
    }

    /// Before an index is made or a type is changed: until the transaction ends nobody else writes, and no other transaction
    /// sees a state from before the last write. DuckDB dies when a row that was deleted for such a transaction is later looked
    /// for in an index that is younger, and when rows of a table are deleted that has a column and an index of an open
    /// transaction; and it changes a type from the rows that the oldest of all transactions sees, and its uncommitted ones.
    pub(super) fn write_alone(&mut self) -> Result<(), QueryError> {
        if self.alone.is_some() {
            return self.shared.until_older_ended(&self.control, &self.running);
        }
        let open = self.connection.in_transaction();
        let closure = loop {
            let Some(hold) = &self.hold else { return Ok(()) };
            if let Some(closure) = self.shared.write_alone(hold, &self.control, &self.running)? {
                break closure;
            }
            if open && !self.fresh {
                let message = "This statement runs alone, and a publish, or another such statement, waits for this transaction";
                return Err(QueryError::new(ErrorCode::TransactionConflict, message).hint("Run it again"));
            }
            // It waits for us.
            self.hold = None;
            self.running.commits.over(false);
            self.hold_gate()?;
        };
        self.alone = Some(closure);
        if !open || self.fresh {
            self.begin_anew()?;
        }
        self.shared.until_older_ended(&self.control, &self.running)
    }

    pub(super) fn hold_gate(&mut self) -> Result<(), QueryError> {
        if self.hold.is_none() {
            let hold = self.take_gate()?;
            if !self.shared.sees_what_ran_alone(&self.control) {
                self.begin_anew()?;
            }
            self.hold = Some(hold);
            self.running.commits.writing();
            // Whoever gave this up before has told that nothing more of it is committed.
            self.running.check()?;
        }
        Ok(())
    }

    /// Begins a transaction anew that has done nothing yet; another one ends: DuckDB would write by what it planned before an
    /// index was made, and leave the index out.
    fn begin_anew(&mut self) -> Result<(), QueryError> {
        let open = self.connection.in_transaction();
        if open && !self.fresh {
            let message = "An index was made, or a type changed, since this transaction began, so it cannot write any more";
            return Err(QueryError::new(ErrorCode::TransactionConflict, message).hint("Run it again"));
        }
        if open {
            self.command("ROLLBACK")?;
        }
        self.control.snapshot_released();
        self.control.snapshot_taken();
        if open { self.command("BEGIN TRANSACTION") } else { Ok(()) }
    }

    /// Takes the gate for this transaction. One that has to wait lets go of what it sees of the database, as far as
    /// it can: an old state in use keeps the checkpoint, for which the gate is closed, from running.
    fn take_gate(&mut self) -> Result<GateHold, QueryError> {
        if let Some(hold) = self.shared.try_gate(&self.control)? {
            return Ok(hold);
        }
        let open = self.connection.in_transaction();
        if open && self.fresh {
            self.command("ROLLBACK")?;
        }
        if !open || self.fresh {
            self.control.snapshot_released();
        }
        let hold = self.shared.wait_for_gate(&self.control, &self.running)?;
        self.control.snapshot_taken();
        if open && self.fresh {
            self.command("BEGIN TRANSACTION")?;
        }
        Ok(hold)
    }
}
