//! A connection, and what other threads may do to it meanwhile.
use crate::error::EngineError;
use crate::ffi::{self, Owned, RawConnection, RawInterrupt, RawStatement, Text};
use crate::plan::{ContextId, Trust};
use crate::statement::{Extracted, Prepared, StatementKind};
use arrow_array::RecordBatch;
use std::ffi::c_void;
use std::ptr::null_mut;

/// One session of the database. It may move between threads but is used by one at a time.
pub struct Connection {
    raw: Owned<RawConnection>,
    id: ContextId,
    trust: Trust,
}

impl Connection {
    pub(crate) fn new(raw: Owned<RawConnection>, id: ContextId, trust: Trust) -> Self {
        Self { raw, id, trust }
    }

    pub(crate) fn raw(&self) -> *mut RawConnection {
        self.raw.get()
    }

    /// Id by which the guard knows this connection.
    pub fn id(&self) -> ContextId {
        self.id
    }

    /// Origin of its statements.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Does what `USE database` does, without a statement that is planned and judged. The database, which is named
    /// without quotes, must be attached: nobody looks.
    pub fn use_database(&mut self, database: &str) -> Result<(), EngineError> {
        let database = Text::name(database)?;
        // SAFETY: the connection is live, the text is borrowed for the call.
        unsafe { ffi::check(ffi::roost_connection_use(self.raw(), database)) }
    }

    /// The same, with all schemas of the database in the search path, `main` first.
    pub fn use_all_of(&mut self, database: &str) -> Result<(), EngineError> {
        let database = Text::name(database)?;
        // SAFETY: the connection is live, the text is borrowed for the call.
        unsafe { ffi::check(ffi::roost_connection_use_all(self.raw(), database)) }
    }

    /// Parses `sql` into its statements. Nothing is bound or run, except that a PRAGMA is judged
    /// ([`crate::Stage::Parsed`]) and then replaced by the SQL that DuckDB defines for it, if any. DuckDB also
    /// replaces others: `ALTER TABLE ... ADD COLUMN c DEFAULT nextval('s')` becomes BEGIN, ALTER, UPDATE, ALTER,
    /// COMMIT (inside a transaction: SET `current_transaction_invalidation_policy` instead of BEGIN and COMMIT).
    ///
    /// A NUL byte in `sql` is an error: DuckDB would take what comes before it for the whole.
    pub fn extract(&mut self, sql: &str) -> Result<Vec<Extracted>, EngineError> {
        let sql = Text::sql(sql)?;
        let mut found: Vec<Extracted> = Vec::new();
        // SAFETY: the connection is live, the text borrowed, and the sink takes a vector of this type.
        unsafe {
            ffi::check(ffi::roost_extract(self.raw(), sql, (&raw mut found).cast(), push_statement))?;
        }
        Ok(found)
    }

    /// Binds a statement against the state of now, and has it judged. Statements of one text must be prepared
    /// and executed in turn: a later one may need what an earlier one creates.
    pub fn prepare(&mut self, statement: Extracted) -> Result<Prepared, EngineError> {
        let mut prepared = null_mut();
        // SAFETY: the connection is live, the statement is given up to the call, what comes back is ours.
        let raw = unsafe {
            ffi::check(ffi::roost_prepare(self.raw(), statement.raw.into_raw(), &raw mut prepared))?;
            Owned::new(prepared, ffi::roost_prepared_free)
        };
        Ok(Prepared::new(raw))
    }

    /// Runs statements to their end and drops their rows: for our own statements.
    pub fn run(&mut self, sql: &str) -> Result<(), EngineError> {
        self.each_batch(sql, |_| Ok(()))
    }

    /// Runs statements to their end; `take` gets their rows. For our own statements.
    pub fn each_batch<E: From<EngineError>>(
        &mut self,
        sql: &str,
        mut take: impl FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        for statement in self.extract(sql)? {
            let mut stream = self.prepare(statement)?.execute_stream()?;
            while let Some(batch) = stream.next()? {
                take(batch)?;
            }
        }
        Ok(())
    }

    /// Whether a transaction was opened and not ended yet (also a failed one).
    pub fn in_transaction(&self) -> bool {
        // SAFETY: the connection is live.
        unsafe { ffi::roost_connection_in_transaction(self.raw()) }
    }

    /// A handle for other threads.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        // SAFETY: the connection is live, and the handle is ours to free.
        let raw =
            unsafe { Owned::new(ffi::roost_connection_interrupt(self.raw()), ffi::roost_interrupt_free) };
        InterruptHandle { raw }
    }
}

unsafe extern "C" fn push_statement(
    into: *mut c_void,
    statement: *mut RawStatement,
    kind: u8,
    source: u64,
    start: u64,
    length: u64,
) {
    let to_usize = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let start = to_usize(start);
    // SAFETY: `extract` passed a vector of this type, and C++ gives the statement away.
    unsafe {
        (*into.cast::<Vec<Extracted>>()).push(Extracted {
            raw: Owned::new(statement, ffi::roost_statement_free),
            kind: StatementKind::from_code(kind),
            source: to_usize(source),
            range: start..start.saturating_add(to_usize(length)),
        });
    }
}

/// Interrupts a connection's running statement and reads its progress, from any thread.
/// It does not keep the connection open; on a closed one it does nothing.
pub struct InterruptHandle {
    raw: Owned<RawInterrupt>,
}

// SAFETY: both calls lock a weak pointer and then only touch atomics of the connection.
unsafe impl Sync for InterruptHandle {}

/// Progress of a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// 0 to 100.
    pub percentage: f64,
    /// Rows handled, estimated.
    pub rows: u64,
    /// Rows to handle, estimated.
    pub total: u64,
}

impl InterruptHandle {
    /// Ends the statement that runs now, if any, with an Interrupt error. DuckDB forgets it when the next
    /// statement begins: a caller must not let an old interrupt meet a new statement.
    pub fn interrupt(&self) {
        // SAFETY: the handle is live; interrupting is safe from any thread.
        unsafe { ffi::roost_interrupt_fire(self.raw.get()) }
    }

    /// Progress of the running statement; `None` when nothing runs or DuckDB has no estimate.
    pub fn progress(&self) -> Option<Progress> {
        let (mut percentage, mut rows, mut total) = (0.0, 0, 0);
        // SAFETY: the handle is live, and the three places writable.
        let known = unsafe {
            ffi::roost_interrupt_progress(self.raw.get(), &raw mut percentage, &raw mut rows, &raw mut total)
        };
        known.then_some(Progress { percentage, rows, total })
    }
}
