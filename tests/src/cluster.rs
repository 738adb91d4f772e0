//! The cluster under test.

use crate::{
    bucket::Bucket,
    wait::{self, eventually},
};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    coordination::v1::Lease,
    core::v1::{Event, Pod, Service, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use roost_crds::names::LEADER_LEASE;
use serde_json::{Value, json};
use std::{
    net::{IpAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

/// Namespace of operator and gateway.
pub const SYSTEM_NAMESPACE: &str = "roost-system";
/// Namespace of runtime pods.
pub const RUNTIME_NAMESPACE: &str = "roost-runtime";
/// Longest wait of a test for what takes a pod or two.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// Field manager of the tests.
const MANAGER: &str = "roost-tests";

/// A cluster with Roost installed, as its users see it.
#[derive(Clone)]
pub struct Roost {
    /// The API server, as administrator.
    pub client: Client,
    /// HTTP client without any credentials.
    pub http: reqwest::Client,
    /// Base URL of the gateway.
    pub gateway: String,
    /// The bucket behind the test classes.
    pub bucket: Arc<Bucket>,
}

impl Roost {
    /// Connects to what KUBECONFIG and the ROOST_S3_* variables name.
    pub async fn connect() -> Result<Self> {
        // Several tests of one process come by here; the first one installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::try_default().await.context("no cluster: run these tests by tests/run")?;
        let services: Api<Service> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
        let service =
            services.get("roost-gateway").await.context("Roost is not installed in this cluster")?;
        let spec = service.spec.context("a Service without spec")?;
        let port = spec.ports.iter().flatten().next().context("a Service without ports")?.port;
        let address = spec.cluster_ip.context("the gateway's Service has no address")?;
        Ok(Self {
            client,
            http: reqwest::Client::builder().build()?,
            gateway: format!("http://{address}:{port}"),
            bucket: Arc::new(Bucket::from_env()?),
        })
    }

    /// An API for any of Roost's kinds or the built-in ones.
    pub fn api(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match kind {
            "Branch" => resource.plural = "branches".into(),
            "TenantClass" => resource.plural = "tenantclasses".into(),
            _ => {}
        }
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Applies a manifest as `kubectl apply --server-side` does.
    pub async fn apply(&self, manifest: &Value) -> Result<DynamicObject> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let namespace = manifest["metadata"]["namespace"].as_str();
        let api = self.api(&text(&manifest["apiVersion"]), &text(&manifest["kind"]), namespace);
        let name = text(&manifest["metadata"]["name"]);
        Ok(api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(manifest)).await?)
    }

    /// A class over the test bucket with a prefix of its own; idle after `idle`. `change` may alter its spec.
    pub async fn class(&self, name: &str, idle: &str, change: impl FnOnce(&mut Value)) -> Result<String> {
        let name = format!("{name}-{}", random_suffix());
        let mut spec = json!({
            "storage": {
                "bucket": self.bucket.name, "prefix": name, "endpoint": self.bucket.cluster_endpoint,
                "region": "us-east-1", "pathStyle": true,
                "credentials": {"secretRef": {"name": "s3"}}, "caSecretRef": {"name": "s3-ca"},
                // Here they cost nothing but time.
                "putBudget": {"burst": 10000, "perSecond": 10000},
            },
            // Little, for pods stay behind until they are idle and the node has to have a place for all.
            "runtime": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
                        "terminationGracePeriod": "60s"},
            "idle": {"timeout": idle, "min": "1s", "max": "24h"},
            "limits": {"active": 8, "statementTimeout": "10m"},
        });
        change(&mut spec);
        let (kind, version) = ("TenantClass", "roostdb.dev/v1alpha1");
        self.apply(&json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}))
            .await?;
        Ok(name)
    }

    /// API of the classes.
    pub fn classes(&self) -> Api<DynamicObject> {
        self.api("roostdb.dev/v1alpha1", "TenantClass", None)
    }

    /// Changes parts of a class's spec; null removes a field.
    pub async fn change_class(&self, class: &str, spec: &Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.classes().patch(class, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// A token of a ServiceAccount, as `kubectl create token` makes it; no audience means the API server's.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        account: &str,
        audiences: &[&str],
    ) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let request: TokenRequest =
            serde_json::from_value(json!({"spec": {"audiences": audiences, "expirationSeconds": 7200}}))?;
        let request = accounts.create_token_request(account, &PostParams::default(), &request).await?;
        Ok(request.status.context("a TokenRequest without status")?.token)
    }

    /// This machine's address as the cluster's pods reach it.
    pub fn address_here(&self) -> Result<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        // Sends nothing: it only looks the way up.
        socket.connect(self.gateway.trim_start_matches("http://"))?;
        Ok(socket.local_addr()?.ip())
    }

    /// The pods of a tenant, by its UID.
    pub async fn pods_of(&self, tenant_uid: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), RUNTIME_NAMESPACE);
        let selector = ListParams::default().labels(&format!("roostdb.dev/tenant-uid={tenant_uid}"));
        Ok(pods.list(&selector).await?.items)
    }

    /// Waits for an Event in a namespace with this reason, and a note that contains `text`.
    pub async fn event(&self, namespace: &str, reason: &str, text: &str) -> Result<()> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        eventually(&format!("an Event {reason} about {text:?}"), PATIENCE, || async {
            let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let told = |event: &&Event| event.reason.as_deref() == Some(reason);
            let notes: Vec<_> = all.iter().filter(told).filter_map(|event| event.message.clone()).collect();
            if notes.iter().any(|note| note.contains(text)) { Ok(()) } else { Err(format!("{notes:?}")) }
        })
        .await
    }

    /// The only pod of a tenant.
    pub async fn pod_of(&self, tenant_uid: &str) -> Result<Pod> {
        let mut pods = self.pods_of(tenant_uid).await?;
        ensure!(pods.len() == 1, "{} pods of tenant {tenant_uid}", pods.len());
        pods.pop().context("no pod")
    }

    /// UID of a namespace.
    pub async fn namespace_uid(&self, name: &str) -> Result<String> {
        self.api("v1", "Namespace", None).get(name).await?.uid().context("a namespace without uid")
    }

    /// Deletes a namespace and waits until it is gone.
    pub async fn delete_namespace(&self, name: &str, patience: Duration) -> Result<()> {
        let api = self.api("v1", "Namespace", None);
        api.delete(name, &DeleteParams::default()).await?;
        wait::gone(&api, "namespace", name, patience).await
    }

    /// Name of the operator's replica that is elected.
    pub async fn elected(&self) -> Result<String> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), SYSTEM_NAMESPACE);
        let lease = leases.get(LEADER_LEASE).await?;
        lease.spec.and_then(|spec| spec.holder_identity).context("no replica is elected")
    }

    /// Asks the pods of a tenant to leave, as `kubectl delete` does, and waits until they have left.
    pub async fn evict(&self, tenant_uid: &str) -> Result<()> {
        let mut leaving = Vec::new();
        for pod in self.pods_of(tenant_uid).await? {
            self.pods().delete(&pod.name_any(), &DeleteParams::default()).await?;
            leaving.extend(pod.uid());
        }
        eventually("the pods have left", PATIENCE, || async {
            let pods = self.pods_of(tenant_uid).await.map_err(|error| error.to_string())?;
            let left = pods.iter().filter_map(ResourceExt::uid).filter(|uid| leaving.contains(uid)).count();
            if left == 0 { Ok(()) } else { Err(format!("{left} pods")) }
        })
        .await
    }

    /// API of the runtime pods.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), RUNTIME_NAMESPACE)
    }
}

/// Eight characters that make a name unique.
pub fn random_suffix() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..8].to_owned()
}
