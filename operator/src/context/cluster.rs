//! Identities that data is owned by: of the cluster, and of a namespace.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _, api::PartialObjectMeta};
use roost_crds::names::CLUSTER_ID_NAMESPACE;

use super::Context;

impl Context {
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
}
