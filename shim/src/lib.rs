//! DuckDB's C and C++ made safe: open, extract, prepare, properties, Arrow streams, typed errors, progress, interrupt.
//!
//! It calls two traits, [`Vfs`] (files under `roost://`) and [`PlanGuard`] (verdict on a bound plan), and decides
//! nothing itself. It is the only unsafe code and the only C++ of Roost.

mod columns;
mod connection;
mod database;
mod error;
mod ffi;
mod guard_calls;
pub mod interlock;
mod plan;
mod plan_records;
mod portable_script;
mod result;
mod statement;
mod value;
mod vfs;
mod vfs_calls;

pub use columns::{Column, Returns};
pub use connection::{Connection, InterruptHandle, Progress};
pub use database::{Database, FunctionGuard};
pub use error::{EngineError, ErrorKind};
pub use plan::{
    Caller, ContextId, IndexPart, Operator, OperatorDetail, PlanFacts, PlanGuard, QualifiedName, Refusal,
    Renaming, SettingAction, SettingChange, SettingScope, Stage, TransactionAction, Trust,
};
pub use portable_script::portable_script;
pub use result::ResultStream;
pub use statement::{Extracted, Parameter, Prepared, StatementKind};
pub use value::Value;
pub use vfs::{Lock, OpenFlags, SCHEME, Vfs, VfsError, VfsErrorKind, VfsFile};
