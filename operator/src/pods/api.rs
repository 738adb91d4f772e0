//! Runtime pods at the API server.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams, Preconditions, WatchEvent, WatchParams},
};
use roost_crds::{TenantClass, names as crd};

use super::{
    build::{PodDefaults, PodTrust, build, template},
    names,
    purpose::PodOf,
    view::PodView,
};
use crate::{
    kubernetes::{is_absent, is_conflict},
    trust::{AuthorityError, Trusted},
};

/// A pod could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The API server refused it or did not answer.
    #[error("the pod could not be created: {0}")]
    Api(#[from] kube::Error),
    /// No certificate for it.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// The pods of the runtime namespace.
#[derive(Clone)]
pub struct Pods {
    api: Api<Pod>,
    defaults: PodDefaults,
}

impl Pods {
    /// Sends nothing.
    pub fn new(client: Client, defaults: PodDefaults) -> Self {
        Self { api: Api::namespaced(client, &defaults.namespace), defaults }
    }

    /// For watching.
    pub fn api(&self) -> &Api<Pod> {
        &self.api
    }

    /// One pod.
    pub async fn get(&self, name: &str) -> Result<Option<PodView>, kube::Error> {
        Ok(self.api.get_opt(name).await?.as_ref().map(PodView::of))
    }

    /// All pods that serve a tenant.
    pub async fn serving(&self, tenant_uid: &str) -> Result<Vec<PodView>, kube::Error> {
        self.serving_with(crd::TENANT_UID_LABEL, tenant_uid).await
    }

    /// All pods that serve tenants of a class.
    pub async fn of_class(&self, class_hash: &str) -> Result<Vec<PodView>, kube::Error> {
        self.serving_with(crd::CLASS_LABEL, class_hash).await
    }

    async fn serving_with(&self, label: &str, value: &str) -> Result<Vec<PodView>, kube::Error> {
        let selector = format!("{label}={value},{}={}", crd::ROLE_LABEL, crd::ROLE_SERVE);
        let list = self.api.list(&ListParams::default().labels(&selector)).await?;
        Ok(list.items.iter().map(PodView::of).collect())
    }

    /// The pod that serves a branch.
    pub async fn of_branch(&self, tenant_uid: &str, branch: &str) -> Result<Option<PodView>, kube::Error> {
        self.get(&names::serving_pod(tenant_uid, branch)).await
    }

    /// Names of all pods with the slots that they name.
    pub async fn slots(&self) -> Result<BTreeMap<String, Option<String>>, kube::Error> {
        let list = self.api.list(&ListParams::default()).await?;
        let slot = |view: &PodView| view.slot.as_ref().map(ToString::to_string);
        Ok(list.items.iter().map(PodView::of).map(|view| (view.name.clone(), slot(&view))).collect())
    }

    /// Creates a pod; none if one of its name exists.
    pub async fn create(
        &self,
        class: &TenantClass,
        of: &PodOf,
        trusted: &Trusted,
        now: jiff::Timestamp,
    ) -> Result<Option<PodView>, CreateError> {
        let name = roost_protocol::names::runtime_tls_name(&of.name());
        let identity = trusted.trust.authority.issue(&name, now)?;
        let trust = PodTrust { identity: &identity, operator_key: trusted.trust.signing.verifying_key() };
        match self.api.create(&PostParams::default(), &build(&self.defaults, class, of, &trust)).await {
            Ok(pod) => Ok(Some(PodView::of(&pod))),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The template that a serving pod of a class is made of today.
    pub fn template(&self, class: &TenantClass) -> String {
        template(&self.defaults, class)
    }

    /// Asks for a pod's removal, within its own grace. Not another pod of the same name.
    pub async fn delete(&self, pod: &PodView) -> Result<(), kube::Error> {
        self.delete_if(pod, None).await
    }

    /// Asks for a pod's removal if it is as it was when it was looked at.
    pub async fn delete_unchanged(&self, pod: &PodView) -> Result<(), kube::Error> {
        self.delete_if(pod, pod.resource_version.clone()).await
    }

    async fn delete_if(&self, pod: &PodView, resource_version: Option<String>) -> Result<(), kube::Error> {
        let exactly = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(pod.uid.clone()), resource_version }),
            ..DeleteParams::default()
        };
        match self.api.delete(&pod.name, &exactly).await {
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) || is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns when a pod changed since it was looked at (true), or after `at_most`, or when the watch fails.
    pub async fn changed(&self, pod: &PodView, at_most: Duration) -> bool {
        let Some(version) = pod.resource_version.as_deref() else { return false };
        let selector = WatchParams::default().fields(&format!("metadata.name={}", pod.name));
        let first = async {
            let events = self.api.watch(&selector, version).await?;
            pin_mut!(events);
            events.next().await.transpose()
        };
        match tokio::time::timeout(at_most, first).await {
            Ok(Ok(Some(WatchEvent::Error(error)))) => {
                tracing::debug!(pod = %pod.name, ?error, "watch refused");
                false
            }
            Ok(Ok(event)) => event.is_some(),
            // An expired version and a broken connection alike: the caller looks again.
            Ok(Err(error)) => {
                tracing::debug!(pod = %pod.name, %error, "watch ended");
                false
            }
            Err(_) => false,
        }
    }
}
