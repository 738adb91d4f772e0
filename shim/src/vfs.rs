//! The files that DuckDB may open: everything under `roost://`, given by an implementation of [`Vfs`].
use std::fmt;

/// The scheme of every path that reaches a [`Vfs`].
pub const SCHEME: &str = "roost://";

/// Flags and lock with which DuckDB wants a file opened, bit by bit as it asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OpenFlags {
    bits: u64,
    lock: Lock,
}

/// The lock that DuckDB asked for with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// None: how readers, COPY and the WAL open files.
    None,
    /// Shared: a database attached read-only.
    Read,
    /// Exclusive: a database attached for writing.
    Write,
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl OpenFlags {
            $($(#[$doc])* pub fn $name(self) -> bool { self.bits & (1 << $bit) != 0 })*

            fn names(self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$name() { names.push(stringify!($name)); })*
                names
            }
        }
    };
}

flags! {
    /// Reading is wanted.
    read = 0;
    /// Writing is wanted.
    write = 1;
    /// The page cache should be passed by.
    direct_io = 2;
    /// Create the file if it does not exist.
    create = 3;
    /// Create the file, or empty the one that exists.
    create_new = 4;
    /// Writes go to the end.
    append = 5;
    /// Only the owner may read the file.
    private = 6;
    /// Answer "no such file" with `Ok(None)`.
    null_if_not_exists = 7;
    /// Several threads read and write at once.
    parallel_access = 8;
    /// Fail if the file exists.
    exclusive_create = 9;
    /// Answer "the file exists" with `Ok(None)`.
    null_if_exists = 10;
    /// Several clients may have the file open.
    multi_client_access = 11;
    /// File accesses are not to be logged.
    disable_logging = 12;
    /// The file may be an extension.
    enable_extension_install = 13;
}

impl OpenFlags {
    /// Flags as DuckDB passes them; `bits` as in its `FileOpenFlags`.
    pub const fn new(bits: u64, lock: Lock) -> Self {
        Self { bits, lock }
    }

    /// All flags as one number (DuckDB's `FileOpenFlags::GetFlagsInternal`).
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// The lock asked for.
    pub const fn lock(self) -> Lock {
        self.lock
    }
}

impl fmt::Debug for OpenFlags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "OpenFlags({}, lock {:?})", self.names().join("|"), self.lock)
    }
}

/// Kind of error that DuckDB makes of a failed file operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VfsErrorKind {
    /// The operation failed (DuckDB: IO error).
    Io,
    /// The operation is not allowed (DuckDB: Permission error).
    Refused,
    /// Nothing may go on (DuckDB: FATAL, the database is invalidated).
    Fatal,
}

/// Why a file operation failed; becomes the DuckDB error of the statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct VfsError {
    /// Kind of error that DuckDB makes of it.
    pub kind: VfsErrorKind,
    /// Shown to the client: no secrets, no local paths.
    pub message: String,
}

impl VfsError {
    /// A failed operation.
    pub fn io(message: impl Into<String>) -> Self {
        Self { kind: VfsErrorKind::Io, message: message.into() }
    }

    /// A forbidden operation.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: VfsErrorKind::Refused, message: message.into() }
    }

    /// A failure after which the database must not be used.
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { kind: VfsErrorKind::Fatal, message: message.into() }
    }
}

impl From<std::io::Error> for VfsError {
    fn from(error: std::io::Error) -> Self {
        Self::io(error.to_string())
    }
}

/// A file system for paths under `roost://`.
///
/// Called from DuckDB's threads, often while it holds locks: answer fast and never call back into the engine.
/// A panic becomes a FATAL error of the database; it does not take the process down.
pub trait Vfs: Send + Sync + 'static {
    /// Opens `path` (full, with scheme). `Ok(None)` = "not there" (or "there"), where the flags allow that.
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError>;

    /// Whether `path` exists. A false "no" makes DuckDB delete a WAL and start an empty database: answer
    /// any doubt with an error.
    fn exists(&self, path: &str) -> Result<bool, VfsError>;

    /// Removes `path`; `Ok(false)` when there was none.
    fn remove(&self, path: &str) -> Result<bool, VfsError>;

    /// Renames `from` to `to`, atomically, replacing what is there.
    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError>;
}

/// An open file; dropped when DuckDB closes it.
pub trait VfsFile: Send + Sync + 'static {
    /// Reads up to `buffer.len()` bytes at `offset`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError>;

    /// Writes all of `data` at `offset`.
    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError>;

    /// Writes all of `data` at the end of the file; how DuckDB writes its WAL.
    fn append(&self, data: &[u8]) -> Result<(), VfsError>;

    /// Makes what was written before durable (how durable is this file system's to define).
    fn sync(&self) -> Result<(), VfsError>;

    /// Sets the size of the file, in bytes.
    fn truncate(&self, size: u64) -> Result<(), VfsError>;

    /// The range holds nothing of worth any more; `Ok(false)` when nothing was freed.
    fn trim(&self, offset: u64, length: u64) -> Result<bool, VfsError>;

    /// Size of the file, in bytes.
    fn size(&self) -> Result<u64, VfsError>;
}
