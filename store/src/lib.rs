//! The bucket protocol of Roost: one DuckDB database per branch, kept in object storage.
//!
//! The bucket is the database. `tenant` acts on a tenant's prefix, `branch` is the writer's and readers' side
//! of one branch, `state` what it reads, `object` is the bucket, `format` its bytes (docs/format.md). The crate knows DuckDB only as
//! the layout in `chunk`, and Kubernetes not at all.

pub mod branch;
pub mod bucket;
pub mod chunk;
pub mod encryption;
pub mod environment;
pub mod format;
mod format_error;
pub mod garbage;
pub mod identity;
mod keys;
pub mod local;
pub mod mutation;
pub mod object;
pub mod pager;
pub mod position;
mod progress;
pub mod public_error;
pub mod reachability;
pub mod snapshot_folder;
mod state;
pub mod step;
pub mod stream;
pub mod tenant;

pub use branch::{
    BranchStore, Hydrated, OpenedFile, OwnedBranch, Proof, ProveError, PublishError, PublishRetry, Published,
    ReadablePosition, ShipError, TakeOverError,
};
pub use bucket::WriteError;
pub use chunk::ChunkSet;
pub use encryption::{ClassKeys, DataKey, KeyError};
pub use environment::{Clock, Compute, Environment, Randomness};
pub use format::catalogue::{CatalogueEntry, SnapshotData};
pub use format::head::Head;
pub use format::manifest::Manifest;
pub use format::pin::PinKind;
pub use format::tenant::DataSource;
pub use format::{FormatError, ReadError};
pub use identity::{BranchName, DatabaseId, Holder, Lineage, Owner, TenantPath};
pub use local::{Freeze, Frozen, LocalDatabase, LocalError};
pub use object::directory::DirectoryStore;
pub use object::memory::MemoryStore;
pub use object::probe::{ProbeError, probe};
pub use object::s3::{S3Config, S3ConfigError, S3Credentials, S3Store};
pub use object::{ObjectError, ObjectStore};
pub use pager::HydrateError;
pub use position::{DatedPosition, Position};
pub use progress::Progress;
pub use public_error::PublicError;
pub use roost_protocol::grant::Takeover;
pub use snapshot_folder::{Claim, FolderError, SnapshotFolder};
pub use tenant::{
    Adoption, BranchObject, BranchSource, CopySource, CreatedBranch, Creation, Initialized, Pinned,
    TenantError, TenantStore, WrappedDataKey,
};
