//! A DuckDB instance.
use crate::connection::Connection;
use crate::error::EngineError;
use crate::ffi::{self, Owned, RawDatabase, Text};
use crate::guard_calls::guard_table;
use crate::plan::{ContextId, PlanGuard, Trust};
use crate::vfs::Vfs;
use crate::vfs_calls::vfs_table;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Ids are never used again within a process, so that a guard can key its state by them.
static NEXT_CONTEXT: AtomicU64 = AtomicU64::new(1);

/// One DuckDB instance in this process, with `memory` as its first database.
pub struct Database {
    raw: Mutex<Owned<RawDatabase>>,
}

/// A built-in function whose mere binding or planning has a side effect, and how to guard it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionGuard<'a> {
    /// A table function that acts while it is bound (`checkpoint`): only [`Trust::Own`] connections may bind it.
    TableBind {
        /// Schema within the system catalog, `main`.
        schema: &'a str,
        /// Name.
        name: &'a str,
        /// Message of the Permission error.
        refusal: &'a str,
    },
    /// A scalar function that writes (`nextval`): it may run only in a plan that was judged, not while
    /// another function's arguments are evaluated by the binder (`range(nextval('s'))`), nor while the optimiser
    /// folds constants (a lambda that calls it).
    ScalarBeforeJudgement {
        /// Schema within the system catalog, `main`.
        schema: &'a str,
        /// Name.
        name: &'a str,
        /// Message of the Permission error.
        refusal: &'a str,
    },
}

impl Database {
    /// Opens an in-memory instance whose files under `roost://` are `vfs`, and whose every plan `guard` judges.
    /// `config` are DuckDB's start options, by name.
    pub fn open_in_memory(
        config: &[(&str, &str)],
        vfs: Arc<dyn Vfs>,
        guard: Arc<dyn PlanGuard>,
    ) -> Result<Self, EngineError> {
        let texts = config
            .iter()
            .flat_map(|(key, value)| [Text::name(key), Text::name(value)])
            .collect::<Result<Vec<Text>, EngineError>>()?;
        let (vfs, guard) = (vfs_table(vfs), guard_table(guard));
        let mut raw = null_mut();
        // SAFETY: texts are borrowed for the call; C++ takes both tables over, also when it fails.
        let raw = unsafe {
            ffi::check(ffi::roost_database_open(
                texts.as_ptr(),
                config.len(),
                &raw const vfs,
                &raw const guard,
                &raw mut raw,
            ))?;
            Owned::new(raw, ffi::roost_database_free)
        };
        Ok(Self { raw: Mutex::new(raw) })
    }

    /// Defines `TYPE roost` for ATTACH: a DuckDB file whose database is also found by these names, in every statement and
    /// while its WAL is replayed. They are listed nowhere. Connections that DuckDB opens by itself are placed in it if
    /// `place` says so (only a test says no). Call it once, before anybody connects.
    pub fn define_storage(&self, former_names: &[&str], place: bool) -> Result<(), EngineError> {
        let names = former_names.iter().map(|name| Text::name(name)).collect::<Result<Vec<_>, _>>()?;
        let database = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the database is live, the texts are borrowed for the call.
        unsafe {
            ffi::check(ffi::roost_database_former_names(database.get(), names.as_ptr(), names.len(), place))
        }
    }

    /// A new connection. [`Trust::Unknown`] is not for callers and is taken as [`Trust::Client`].
    pub fn connect(&self, trust: Trust) -> Result<Connection, EngineError> {
        let id = ContextId(NEXT_CONTEXT.fetch_add(1, Ordering::Relaxed));
        let trust = if trust == Trust::Own { Trust::Own } else { Trust::Client };
        let mut connection = null_mut();
        let database = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the database is live; a connection is ours to free and keeps the instance alive by itself.
        let raw = unsafe {
            ffi::check(ffi::roost_connect(
                database.get(),
                id.0,
                u8::from(trust == Trust::Own),
                &raw mut connection,
            ))?;
            Owned::new(connection, ffi::roost_connection_free)
        };
        Ok(Connection::new(raw, id, trust))
    }

    /// Puts guards around built-in functions, for all connections. Call it once, before clients connect:
    /// statements bound earlier keep the unguarded function. A name that does not exist is an error.
    pub fn guard_functions(&self, guards: &[FunctionGuard<'_>]) -> Result<(), EngineError> {
        let own = self.connect(Trust::Own)?;
        for guard in guards {
            let (FunctionGuard::TableBind { schema, name, refusal }
            | FunctionGuard::ScalarBeforeJudgement { schema, name, refusal }) = *guard;
            let (schema, name, refusal) = (Text::name(schema)?, Text::name(name)?, Text::data(refusal));
            // SAFETY: the connection is live, the texts are borrowed for the call.
            unsafe {
                ffi::check(match guard {
                    FunctionGuard::TableBind { .. } => {
                        ffi::roost_guard_table_function(own.raw(), schema, name, refusal)
                    }
                    FunctionGuard::ScalarBeforeJudgement { .. } => {
                        ffi::roost_guard_scalar_function(own.raw(), schema, name, refusal)
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Why a FATAL error made the instance, or one of its attached databases, unusable; `None` while it is sound.
    pub fn invalidated(&self) -> Option<String> {
        let database = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reasons: Vec<String> = Vec::new();
        // SAFETY: the database is live, and the sink takes a vector of this type.
        let dead = unsafe {
            ffi::roost_database_invalidated(database.get(), (&raw mut reasons).cast(), ffi::push_text)
        };
        dead.then(|| reasons.join("; "))
    }

    /// Version of the engine library that was loaded (`v1.5.6`).
    pub fn library_version() -> String {
        let mut version: Vec<String> = Vec::new();
        // SAFETY: the sink takes a vector of this type.
        unsafe { ffi::roost_library_version((&raw mut version).cast(), ffi::push_text) };
        version.concat()
    }
}
