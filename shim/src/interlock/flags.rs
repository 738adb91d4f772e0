//! The flags with which DuckDB 1.5.6 opens each file (`single_file_block_manager.cpp`, `wal_replay.cpp`,
//! `write_ahead_log.cpp`), compared exactly: COPY and readers use others.
use crate::vfs::{Lock, OpenFlags};

const READ: u64 = 1;
const WRITE: u64 = 1 << 1;
const CREATE: u64 = 1 << 3;
const CREATE_NEW: u64 = 1 << 4;
const APPEND: u64 = 1 << 5;
const NULL_IF_NOT_EXISTS: u64 = 1 << 7;
const PARALLEL_ACCESS: u64 = 1 << 8;
const MULTI_CLIENT_ACCESS: u64 = 1 << 11;

fn is(flags: OpenFlags, bits: u64, lock: Lock) -> bool {
    flags.bits() == bits && flags.lock() == lock
}

pub fn opens_database(flags: OpenFlags) -> bool {
    let existing = READ | WRITE | PARALLEL_ACCESS | MULTI_CLIENT_ACCESS;
    is(flags, existing, Lock::Write) || is(flags, existing | CREATE, Lock::Write)
}

pub fn opens_database_read_only(flags: OpenFlags) -> bool {
    is(flags, READ | NULL_IF_NOT_EXISTS | PARALLEL_ACCESS | MULTI_CLIENT_ACCESS, Lock::Read)
}

/// Reading a WAL while attaching; the second form after its recovery.
pub fn replays(flags: OpenFlags) -> bool {
    is(flags, READ | NULL_IF_NOT_EXISTS, Lock::None) || is(flags, READ, Lock::None)
}

pub fn appends_wal(flags: OpenFlags) -> bool {
    is(flags, WRITE | CREATE | APPEND | MULTI_CLIENT_ACCESS, Lock::Write)
}

/// Cutting a WAL at its last commit while attaching, where a checkpoint was begun and not finished.
pub fn cuts_wal(flags: OpenFlags) -> bool {
    is(flags, WRITE, Lock::None)
}

pub fn creates_recovery(flags: OpenFlags) -> bool {
    flags.bits() == WRITE | CREATE_NEW
}
