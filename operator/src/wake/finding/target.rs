//! The target of a wake: a branch that may be woken.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use roost_crds::TenantClass;
use roost_protocol::{BranchKey, durability::Terms, grant::TenantIdentity, problem::Problem};

/// All that a wake needs to know besides names; scripted tests have none.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// The class that its pod is of.
    pub class: Arc<TenantClass>,
    /// The identity that the bucket knows.
    pub identity: TenantIdentity,
    /// Idle time after which the runtime seals.
    pub idle_timeout: Duration,
    /// The durability that answers wait for.
    pub durability: Terms,
    /// Name of the key that wraps its data key, by the Tenant's status; none: it is not encrypted.
    pub encryption_key: Option<String>,
    /// Init script, while the branch was never published.
    pub init_script: Option<String>,
}

/// A branch that may be woken: its Tenant, its class and its spec allow it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its names.
    pub key: BranchKey,
    /// UID of the Tenant.
    pub tenant_uid: String,
    /// Name of its pod.
    pub pod: String,
    /// Changes with the spec: a failure is forgotten when it does.
    pub generation: i64,
    /// Longest time that one request may take.
    pub statement_timeout: Duration,
    /// Longest time that its pod may take to leave.
    pub termination_grace: Duration,
    /// Least time that a tenant of its class is idle before it is asked to make room.
    pub idle_least: Duration,
    /// Whether status still tells of a failed wake.
    pub failure_told: bool,
    /// The rest.
    pub state: Option<TargetState>,
}

/// Finds targets.
#[async_trait]
pub trait Targets: Send + Sync + 'static {
    /// Finds what a key names, and whether it may be woken.
    /// Errors: `not-found`, `suspended`, `tenant-not-ready`, `busy`, those of `facts::may_try()`.
    async fn target(&self, key: &BranchKey) -> Result<Target, Problem>;
}
