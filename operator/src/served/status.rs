//! The part of a status that Tenants and Branches have alike: a pure function.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;
use roost_crds::{BranchStatus, Duration, Endpoint, PositionSummary, ServingState, TenantStatus};
use roost_protocol::{BranchKey, names::MAIN_BRANCH, routes::query_path};

use crate::{class::resolve::Resolved, reasons::verdict::Obstacles};

/// The fields that both kinds have; each is documented there.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Generation of the spec that was observed.
    pub observed_generation: Option<i64>,
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// Where it is in its life.
    pub state: Option<ServingState>,
    /// The class that it is in.
    pub class_name: Option<String>,
    /// Bytes of the database's file.
    pub database_size: Option<u64>,
    /// When it last had work, to the minute.
    pub last_active_time: Option<Time>,
    /// Last published position.
    pub position: Option<PositionSummary>,
    /// Age of the oldest commit that a crash would lose; none below a second.
    pub durable_lag: Option<Duration>,
}

macro_rules! what_stays {
    ($($status:ty),*) => {$(
        impl From<&$status> for Status {
            fn from(status: &$status) -> Self {
                Self {
                    conditions: status.conditions.clone(),
                    class_name: status.class_name.clone(),
                    database_size: status.database_size,
                    last_active_time: status.last_active_time.clone(),
                    position: status.position.clone(),
                    // The rest is told anew each time.
                    ..Self::default()
                }
            }
        }
    )*};
}

what_stays!(TenantStatus, BranchStatus);

/// Reports. `made` is the position of data that was found or made just now. What the pod does not tell stays as it was.
pub fn report(
    before: Status,
    obstacles: &Obstacles<'_>,
    class: &Resolved,
    made: Option<PositionSummary>,
    now: &Time,
) -> Status {
    let verdict = obstacles.verdict(now.0);
    let facts = obstacles.serving.facts();
    Status {
        observed_generation: Some(obstacles.generation),
        conditions: verdict.conditions(&before.conditions, obstacles.serves(), obstacles.generation, now),
        state: Some(obstacles.state(&verdict)),
        class_name: class.class.as_ref().map(|class| class.name_any()).or(before.class_name),
        database_size: facts.database_size.or(before.database_size),
        last_active_time: facts.last_active.or(before.last_active_time),
        position: facts.position.or(made).or(before.position),
        durable_lag: facts.durable_lag,
    }
}

/// Where clients reach a tenant's main branch, or, with a name, another one.
pub fn endpoint(host: &str, namespace: &str, tenant: &str, branch: Option<&str>) -> Endpoint {
    let database = branch.map_or_else(|| tenant.to_owned(), |branch| format!("{tenant}@{branch}"));
    let key = BranchKey {
        namespace: namespace.to_owned(),
        tenant: tenant.to_owned(),
        branch: branch.unwrap_or(MAIN_BRANCH).to_owned(),
    };
    Endpoint { host: host.to_owned(), database, path: query_path(&key) }
}
