//! The Kubernetes API of Roost: kinds, condition types, the table of reasons, and the generated YAML.
//!
//! Group `roostdb.dev`, version `v1alpha1`. [`Tenant`], [`Snapshot`] and [`Branch`] are the product;
//! [`TenantClass`] holds what the platform team decides once. Nothing here talks to a server.

mod branch;
mod class;
pub mod conditions;
pub mod definitions;
pub mod duration;
pub mod names;
pub mod quantity;
pub mod reasons;
pub mod resolve;
mod schema;
mod selector;
pub mod settings;
pub mod shared;
mod snapshot;
mod tenant;

pub use branch::{Branch, BranchOrigin, BranchSpec, BranchStatus};
pub use class::{
    ClassAdoption, Credentials, EgressRule, Encryption, Engine, Idle, Limits, PutBudget, ResourceList,
    RuntimePods, SecretReference, Storage, TenantClass, TenantClassSpec, TenantClassStatus, Toleration,
};
pub use conditions::ConditionType;
pub use duration::Duration;
pub use quantity::Quantity;
pub use reasons::Reason;
pub use resolve::MemoryLimit;
pub use selector::{LabelOperator, LabelRequirement, NamespaceSelector};
pub use shared::{
    DeletionPolicy, Durability, Endpoint, OperatingMode, PositionSummary, Reads, ServingState,
    SnapshotFormat, SnapshotSummary, StorageLocation, WakeFailure,
};
pub use snapshot::{Snapshot, SnapshotSpec, SnapshotState, SnapshotStatus, TableSize};
pub use tenant::{
    Adoption, ConfigMapKey, InitScript, ObjectName, PointInTime, Tenant, TenantSource, TenantSpec,
    TenantStatus,
};

/// API group of every kind.
pub const GROUP: &str = "roostdb.dev";
/// The only served version.
pub const VERSION: &str = "v1alpha1";
