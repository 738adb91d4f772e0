//! Reads the world around a Tenant.

use jiff::Timestamp;
use kube::{Api, ResourceExt as _, api::ListParams};
use roost_crds::{
    ConditionType, PointInTime, Reason, Snapshot, SnapshotFormat, SnapshotSummary, Tenant, TenantClass,
    conditions, names::MAIN_BRANCH,
};
use roost_protocol::grant::TenantIdentity;
use roost_store::{BranchName, CopySource, DataSource};
use std::sync::Arc;

use super::inputs;
use crate::{
    class::{
        allowed::permitted,
        resolve::{Resolved, find, resolve},
    },
    pods::{PodView, Serving},
    reasons::Fault,
    reconcile::{Elected, Key, ReconcileError},
    served::look,
    storage::location::locate,
};

/// The latest snapshots that status shows.
const LATEST: usize = 5;

/// The source that a Tenant starts from, once it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing: empty, or by its init script at the first wake.
    Empty,
    /// Another tenant.
    Copy {
        /// Its name.
        tenant: String,
        /// The part of it.
        what: CopySource,
    },
    /// Not yet, or never.
    Awaited(Fault),
}

/// The world around a Tenant.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The object.
    pub tenant: Tenant,
    /// Its class.
    pub class: Resolved,
    /// Its identity towards the bucket.
    pub identity: TenantIdentity,
    /// The source that it starts from.
    pub source: Source,
    /// The same as the bucket knows it, as far as it is known.
    pub origin: DataSource,
    /// Whether an earlier Tenant of its name left data behind, looked for while its source is awaited.
    pub kept: bool,
    /// Its init script, if it has one.
    pub script: Option<Result<String, Fault>>,
    /// Pods of all its branches.
    pub pods: Vec<PodView>,
    /// Its main branch's pod.
    pub serving: Serving,
    /// The fault of that pod lately.
    pub bad_end: Option<Fault>,
    /// Its latest snapshots.
    pub snapshots: Vec<SnapshotSummary>,
}

impl Observed {
    /// Whether the bucket was found or made to hold its data.
    pub fn made(&self) -> bool {
        is_made(&self.tenant)
    }

    /// Whether anything was ever published.
    pub fn published(&self) -> bool {
        let position = self.tenant.status.as_ref().and_then(|status| status.position.as_ref());
        position.is_some_and(|position| position.manifest > 0)
    }
}

fn is_made(tenant: &Tenant) -> bool {
    let status = tenant.status.as_ref();
    status.is_some_and(|status| status.position.is_some() && status.location.is_some())
}

/// Reads.
pub async fn observe(elected: &Elected, tenant: Tenant) -> Result<Observed, ReconcileError> {
    let context = &elected.context;
    let namespace = tenant.namespace().unwrap_or_default();
    let uid = tenant.uid().unwrap_or_default();
    let sticky = tenant.status.as_ref().and_then(|status| status.class_name.clone());
    let classes = classes(elected, &tenant).await?;
    let class = resolve(sticky.as_deref(), tenant.spec.class_name.as_deref(), &classes);
    let shop = context.namespace(&namespace).await?;
    let has = sticky.as_deref().filter(|_| is_made(&tenant)).and_then(|name| find(name, &classes));
    let class = permitted(class, has, &namespace, shop.labels());
    let identity = TenantIdentity {
        namespace: namespace.clone(),
        name: tenant.name_any(),
        cluster_id: context.cluster_id().await?,
        namespace_uid: shop.uid().unwrap_or_default(),
        tenant_uid: uid.clone(),
    };
    let pods = context.pods.serving(&uid).await?;
    let pod = pods.iter().find(|pod| pod.purpose.branch().key.is_main()).cloned();
    let serving = look(elected, &uid, MAIN_BRANCH, pod).await;
    let key = Key::new(&namespace, tenant.name_any());
    let mut observed = Observed {
        class,
        identity,
        source: Source::Empty,
        origin: DataSource::Empty,
        kept: false,
        script: None,
        pods,
        serving,
        bad_end: elected.bad_ends.get(&uid, MAIN_BRANCH).and_then(|bad_end| bad_end.fault()),
        snapshots: elected.index.latest_snapshots(&key, LATEST),
        tenant,
    };
    if observed.tenant.metadata.deletion_timestamp.is_none() {
        if !observed.made() {
            observed.source = source(elected, &observed.tenant, &namespace).await?;
        }
        let script = observed.tenant.spec.source.as_ref().and_then(|source| source.init_script.as_ref());
        let hashed = observed.tenant.status.as_ref().is_some_and(|status| status.init_script_hash.is_some());
        if let Some(script) = script
            && !(observed.published() && hashed)
        {
            observed.script = Some(inputs::init_script(context, &namespace, script).await?);
        }
        observed.origin = origin(&observed);
        if matches!(observed.source, Source::Awaited(_)) {
            observed.kept = is_kept(elected, &observed).await;
        }
    }
    Ok(observed)
}

/// The source that the spec names.
fn origin(observed: &Observed) -> DataSource {
    let named = observed.tenant.spec.source.clone().unwrap_or_default();
    if let Some(moment) = named.point_in_time {
        return DataSource::Moment { tenant: moment.tenant_name, time: moment.time.0 };
    }
    if let Some(snapshot) = named.snapshot {
        let tenant = match &observed.source {
            Source::Copy { tenant, .. } => Some(tenant.clone()),
            _ => None,
        };
        return DataSource::Snapshot { tenant, name: snapshot.name, position: None };
    }
    if named.init_script.is_none() {
        return DataSource::Empty;
    }
    let script = observed.script.as_ref().and_then(|script| script.as_ref().ok());
    DataSource::InitScript { hash: script.map(|script| inputs::script_hash(script)) }
}

/// Whether there is data where the Tenant's is to be; any doubt is no.
async fn is_kept(elected: &Elected, observed: &Observed) -> bool {
    let Some(class) = &observed.class.class else { return false };
    let location = locate(class, &observed.identity, "");
    match elected.context.buckets.tenant(&location).await {
        Ok(store) => store.head(&BranchName::main()).await.is_ok(),
        Err(_) => false,
    }
}

/// The classes to choose from. Those of a Tenant that is about to be made are read anew: which of them is the default, its
/// bucket and whether it encrypts hold for good, and what is watched may be older than the Tenant.
async fn classes(elected: &Elected, tenant: &Tenant) -> Result<Vec<Arc<TenantClass>>, ReconcileError> {
    if is_made(tenant) {
        return Ok(elected.index.classes());
    }
    let api: Api<TenantClass> = Api::all(elected.context.client.clone());
    Ok(api.list(&ListParams::default()).await?.items.into_iter().map(Arc::new).collect())
}

async fn source(elected: &Elected, tenant: &Tenant, namespace: &str) -> Result<Source, ReconcileError> {
    let wanted = tenant.spec.source.clone().unwrap_or_default();
    if let Some(moment) = &wanted.point_in_time {
        return Ok(judge_moment(moment, elected.context.now()));
    }
    let Some(name) = wanted.snapshot else { return Ok(Source::Empty) };
    let api: Api<Snapshot> = Api::namespaced(elected.context.client.clone(), namespace);
    Ok(judge_source(&name.name, api.get_opt(&name.name).await?.as_ref()))
}

fn judge_moment(moment: &PointInTime, now: Timestamp) -> Source {
    match Fault::of_future(moment.time.0, now) {
        Some(fault) => Source::Awaited(fault),
        None => Source::Copy { tenant: moment.tenant_name.clone(), what: CopySource::Moment(moment.time.0) },
    }
}

/// Whether a snapshot can be started from.
fn judge_source(name: &str, snapshot: Option<&Snapshot>) -> Source {
    let awaited = |reason, message: String| Source::Awaited(Fault::new(reason, message));
    let Some(snapshot) = snapshot else {
        return awaited(Reason::SourceNotFound, format!("waits for Snapshot {name}"));
    };
    if snapshot.spec.format() == SnapshotFormat::Parquet {
        let message = format!("Snapshot {name} is of format Parquet; only Native ones can be started from");
        return awaited(Reason::SourceUnsupported, message);
    }
    let all = snapshot.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    if !conditions::holds(all, ConditionType::Ready) {
        return Source::Awaited(Fault::of_incomplete(name, all));
    }
    Source::Copy { tenant: snapshot.spec.tenant_name.clone(), what: CopySource::Snapshot(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::{super::plan::tests::observed, *};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    #[test]
    fn the_bucket_knows_a_source_by_what_the_spec_names() {
        let seen = |source: serde_json::Value| observed(json!({"source": source}), json!({}), false);
        assert_eq!(origin(&observed(json!({}), json!({}), false)), DataSource::Empty);
        let mut script = seen(json!({"initScript": {"sql": "select 1"}}));
        assert_eq!(origin(&script), DataSource::InitScript { hash: None }, "it was not read");
        script.script = Some(Ok("select 1".into()));
        let hash = Some(inputs::script_hash("select 1"));
        assert_eq!(origin(&script), DataSource::InitScript { hash });
        let mut snapshot = seen(json!({"snapshot": {"name": "s"}}));
        let named = |tenant: Option<&str>| DataSource::Snapshot {
            tenant: tenant.map(str::to_owned),
            name: "s".into(),
            position: None,
        };
        assert_eq!(origin(&snapshot), named(None));
        snapshot.source = Source::Copy { tenant: "old".into(), what: CopySource::Snapshot("s".into()) };
        assert_eq!(origin(&snapshot), named(Some("old")));
        let time = "2026-11-20T09:00:00Z";
        let moment = seen(json!({"pointInTime": {"tenantName": "old", "time": time}}));
        assert_eq!(origin(&moment), DataSource::Moment { tenant: "old".into(), time: time.parse().unwrap() });
    }

    #[test]
    fn a_snapshot_that_failed_is_not_waited_for() {
        let snapshot = |conditions: serde_json::Value| -> Snapshot {
            let spec = json!({"tenantName": "old", "format": "Native"});
            let conditions: Vec<_> = conditions
                .as_array()
                .unwrap()
                .iter()
                .map(|one| {
                    json!({"type": one[0], "status": one[1], "reason": one[2], "message": "",
                           "lastTransitionTime": "2026-01-01T00:00:00Z"})
                })
                .collect();
            let status = json!({"conditions": conditions});
            serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": spec, "status": status}))
                .unwrap()
        };
        for (conditions, expected) in [
            (json!([]), Some(Reason::SourceNotReady)),
            (
                json!([["Ready", "False", "Exporting"], ["Reconciling", "True", "Exporting"]]),
                Some(Reason::SourceNotReady),
            ),
            (
                json!([["Ready", "False", "TenantDeleted"], ["Stalled", "True", "TenantDeleted"]]),
                Some(Reason::SnapshotFailed),
            ),
            (json!([["Ready", "True", "Completed"]]), None),
        ] {
            let found = match judge_source("s", Some(&snapshot(conditions.clone()))) {
                Source::Awaited(fault) => Some(fault.reason),
                _ => None,
            };
            assert_eq!(found, expected, "{conditions}");
        }
    }

    #[test]
    fn only_what_has_passed_can_be_started_from() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let moment =
            |time: &str| PointInTime { tenant_name: "old".into(), time: Time(time.parse().unwrap()) };
        let past = judge_moment(&moment("2026-11-20T09:00:00Z"), now);
        let expected = CopySource::Moment("2026-11-20T09:00:00Z".parse().unwrap());
        assert_eq!(past, Source::Copy { tenant: "old".into(), what: expected });
        let future = judge_moment(&moment("2026-11-20T11:00:00Z"), now);
        assert!(matches!(future, Source::Awaited(fault) if fault.reason == Reason::SourceNotReady));
    }
}
