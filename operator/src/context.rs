//! What every part of the operator needs.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::PartialObjectMeta,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use roost_crds::names::CLUSTER_ID_NAMESPACE;
use roost_store::Environment;
use roost_transport::tls::{AuthorityError, HTTP_1_1, client_config};
use tokio::sync::OnceCell;

use crate::{
    config::Config,
    metrics::Metrics,
    pods::{api::Pods, build::PodDefaults},
    slots::Slots,
    storage::Buckets,
    trust::{Trust, Trusted},
};

/// Controller name in Events.
const REPORTER: &str = "roost-operator";
/// Longest note of an Event, in characters.
const MAX_NOTE: usize = 1000;

/// The elected replica has not made the keys yet.
#[derive(Debug, thiserror::Error)]
#[error("the internal keys are not loaded yet; try again in a moment")]
pub struct NoTrust;

/// Shared by everything in the process.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Flags.
    pub config: Config,
    /// Clock and randomness.
    pub environment: Environment,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Ceiling of each class.
    pub slots: Slots,
    /// Runtime pods.
    pub pods: Pods,
    /// Buckets by place.
    pub buckets: Buckets,
    recorder: Recorder,
    trusted: OnceLock<Arc<Trusted>>,
    cluster_id: OnceCell<String>,
}

impl Context {
    /// Sends nothing.
    pub fn new(client: Client, config: Config, environment: Environment) -> Arc<Self> {
        let reporter = Reporter { controller: REPORTER.into(), instance: Some(config.pod_name.clone()) };
        let defaults = PodDefaults {
            namespace: config.runtime_namespace.clone(),
            image: config.runtime_image.clone(),
            pull_policy: config.runtime_image_pull_policy.clone(),
            pull_secrets: config.runtime_image_pull_secrets.clone(),
            log: config.runtime_log.clone(),
        };
        Arc::new(Self {
            metrics: Metrics::new(),
            slots: Slots::new(client.clone(), &config.runtime_namespace),
            pods: Pods::new(client.clone(), defaults),
            buckets: Buckets::new(client.clone(), &config.namespace),
            recorder: Recorder::new(client.clone(), reporter),
            trusted: OnceLock::new(),
            cluster_id: OnceCell::new(),
            client,
            config,
            environment,
        })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.environment.clock.now()
    }

    /// The keys, once they are loaded.
    pub fn trusted(&self) -> Result<Arc<Trusted>, NoTrust> {
        self.trusted.get().cloned().ok_or(NoTrust)
    }

    /// Sets the keys; the first call counts.
    pub fn set_trust(&self, trust: Arc<Trust>) -> Result<(), AuthorityError> {
        let tls = client_config(trust.authority.certificate().as_bytes(), &[HTTP_1_1])?;
        let _first = self.trusted.set(Arc::new(Trusted { trust, tls }));
        Ok(())
    }

    /// UID of namespace kube-system.
    pub async fn cluster_id(&self) -> Result<String, kube::Error> {
        let read = || async { self.namespace_uid(CLUSTER_ID_NAMESPACE).await };
        self.cluster_id.get_or_try_init(read).await.cloned()
    }

    /// UID of a namespace.
    async fn namespace_uid(&self, name: &str) -> Result<String, kube::Error> {
        Ok(self.namespace(name).await?.uid().unwrap_or_default())
    }

    /// A namespace: whose data it is, and by its labels which classes are for it.
    pub async fn namespace(&self, name: &str) -> Result<PartialObjectMeta<Namespace>, kube::Error> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.get_metadata(name).await
    }

    /// Says what is not routine. A failure to say it is only logged.
    pub async fn event<K: Resource<DynamicType = ()>>(
        &self,
        about: &K,
        type_: EventType,
        reason: &str,
        action: &str,
        note: &str,
    ) {
        let note: String = note.chars().take(MAX_NOTE).collect();
        let event =
            Event { type_, reason: reason.into(), note: Some(note), action: action.into(), secondary: None };
        if let Err(error) = self.recorder.publish(&event, &about.object_ref(&())).await {
            tracing::warn!(%error, reason, "an Event could not be written");
        }
    }
}
