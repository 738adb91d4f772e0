//! DuckDB's write-ahead log, read for what each commit holds, and whether replaying that is proven to work.
//!
//! DuckDB cannot replay everything that it logs (`docs/decisions/0017`). So the log is read while it is written: a commit
//! whose records are not all of a proven kind is never left to a replay. That is decided on the log's own bytes, so it
//! does not matter by which statement they came about.

mod fields;
mod proof;
mod reader;
mod record;
mod renames;

pub use proof::{Doubt, Verdict};
pub use reader::WalReader;
#[cfg(feature = "test-walls")]
pub use reader::records;
pub use record::{Alteration, Record};
pub use renames::Renames;
