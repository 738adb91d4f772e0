//! One tenant's DuckDB: sessions on threads of their own, statement policy, write gate, lock-down, Parquet export.
//!
//! An [`Engine`] opens the tenant's database through a [`Vfs`], locks the instance down, and then runs clients'
//! statements: every bound plan is judged by [`policy`], every transaction that modifies the tenant's database
//! holds the write gate, and results are streamed as Arrow batches with back-pressure.

mod activity;
mod config;
mod connection_thread;
mod engine;
mod error;
mod export;
mod gate;
mod guard;
mod instance;
mod lockdown;
mod metadata;
pub mod mutation;
mod opening;
pub mod policy;
mod quoting;
mod search_path;
mod session;
pub mod wal;

pub use activity::Activity;
pub use config::{EngineConfig, STREAM_DEPTH};
pub use engine::{ClosedGate, Engine};
pub use error::{OpenError, QueryError};
pub use export::{ExportError, ExportProgress, ExportSummary, ExportedColumn, ExportedKey, ExportedTable};
pub use gate::GateError;
pub use lockdown::{Wall, Walls};
pub use roost_duckdb::{
    Extracted, Lock, OpenFlags, Parameter, Progress, Returns, StatementKind, Value, Vfs, VfsError,
    VfsErrorKind, VfsFile,
};
pub use roost_protocol::{problem::ErrorCode, session::Role};
pub use session::{Column, Outcome, Request, RowStream, Session, SessionHandle, SessionLimits, Statement};
