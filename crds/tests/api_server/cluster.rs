//! The server under test: definitions applied, one namespace of this run's own.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};

/// Longest time that the server may take to serve the definitions.
const ESTABLISHED: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub client: Client,
    pub namespace: String,
}

impl Cluster {
    pub async fn connect() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let client = Client::try_default().await.expect("KUBECONFIG names a reachable cluster");
        for crd in roost_crds::definitions::all().unwrap() {
            establish(&client, crd).await;
        }
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let namespace = format!("crds-test-{nanos}");
        let object: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        Api::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
        Self { client, namespace }
    }

    /// The same namespace, seen by another user.
    pub async fn impersonate(&self, user: &str) -> Self {
        let mut config = Config::infer().await.unwrap();
        config.auth_info.impersonate = Some(user.to_owned());
        Self { client: Client::try_from(config).unwrap(), namespace: self.namespace.clone() }
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let plural = match kind {
            "Tenant" => "tenants",
            "Branch" => "branches",
            "Snapshot" => "snapshots",
            "TenantClass" => "tenantclasses",
            other => panic!("no kind {other}"),
        };
        let gvk = GroupVersionKind::gvk(roost_crds::GROUP, roost_crds::VERSION, kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
        match kind {
            "TenantClass" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), &self.namespace, &resource),
        }
    }

    /// Whether the server would create the object; nothing is stored.
    pub async fn try_create(&self, object: &Value) -> Result<(), String> {
        self.post(object, true).await.map(drop)
    }

    /// Whether the server creates the object, under a name that the server makes up; it goes with the namespace.
    pub async fn try_store(&self, object: &Value) -> Result<(), String> {
        let mut object = object.clone();
        object["metadata"] = json!({"generateName": "made-"});
        self.post(&object, false).await.map(drop)
    }

    /// Says in the status of a stored Branch that it was made, as the operator does.
    pub async fn say_made(&self, name: &str) {
        let position = json!({"branch": name, "lineage": "0", "epoch": 0, "manifest": 0});
        let patch = Patch::Merge(json!({"status": {"position": position}}));
        self.api("Branch").patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Gives the namespace a label, or takes it.
    pub async fn label(&self, key: &str, value: Option<&str>) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
        namespaces.patch(&self.namespace, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Whether the server would apply the object, fields that it does not know being errors; nothing is stored.
    pub async fn try_apply(&self, object: &Value) -> Result<(), String> {
        let mut object = typed(object);
        object.metadata.namespace = None;
        let mut parameters = PatchParams::apply("roost-crds-test").force().validation_strict();
        parameters.dry_run = true;
        let api = self.api(&object.types.as_ref().unwrap().kind);
        let result = api.patch(&object.name_any(), &parameters, &Patch::Apply(&object)).await;
        result.map(drop).map_err(|error| error.to_string())
    }

    /// Stores an object, under a name of this run's own if it is cluster-scoped.
    pub async fn create(&self, name: &str, object: &Value) -> DynamicObject {
        let mut object = object.clone();
        let name = match object["kind"].as_str() {
            Some("TenantClass") => format!("{}-{name}", self.namespace),
            _ => name.to_owned(),
        };
        object["metadata"] = json!({"name": name});
        self.post(&object, false).await.unwrap()
    }

    async fn post(&self, object: &Value, dry_run: bool) -> Result<DynamicObject, String> {
        let parameters = PostParams { dry_run, ..PostParams::default() };
        let api = self.api(object["kind"].as_str().unwrap());
        api.create(&parameters, &typed(object)).await.map_err(|error| error.to_string())
    }

    /// Whether the server would replace the spec of a stored object; the object stays as it is. Whoever reconciles
    /// this cluster may write to the object meanwhile, which is no answer to the question.
    pub async fn try_replace(&self, stored: &DynamicObject, spec: &Value) -> Result<(), String> {
        let api = self.api(&stored.types.as_ref().unwrap().kind);
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        loop {
            let mut object = api.get(&stored.name_any()).await.unwrap();
            object.data["spec"] = spec.clone();
            match api.replace(&stored.name_any(), &parameters, &object).await {
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                other => return other.map(drop).map_err(|error| error.to_string()),
            }
        }
    }

    /// Names of the objects that a field selector finds.
    pub async fn select(&self, kind: &str, fields: &str) -> Vec<String> {
        let found = self.api(kind).list(&ListParams::default().fields(fields)).await.unwrap();
        found.items.iter().map(ResourceExt::name_any).collect()
    }

    pub async fn delete(&self, stored: &DynamicObject) {
        let api = self.api(&stored.types.as_ref().unwrap().kind);
        api.delete(&stored.name_any(), &DeleteParams::default()).await.unwrap();
    }

    /// Removes the namespace with all that is left in it.
    pub async fn remove(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await.unwrap();
    }
}

fn typed(object: &Value) -> DynamicObject {
    let mut object = object.clone();
    object["apiVersion"] = json!(format!("{}/{}", roost_crds::GROUP, roost_crds::VERSION));
    serde_json::from_value(object).unwrap()
}

/// Applies a definition unless its schema is served already: whoever installed it goes on managing it.
async fn establish(client: &Client, crd: CustomResourceDefinition) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = crd.name_any();
    let schema = |crd: &CustomResourceDefinition| crd.spec.versions[0].schema.clone();
    let served = api.get_opt(&name).await.unwrap();
    if served.is_none_or(|served| schema(&served) != schema(&crd)) {
        api.patch(&name, &PatchParams::apply("roost-crds-test").force(), &Patch::Apply(&crd)).await.unwrap();
    }
    let deadline = Instant::now() + ESTABLISHED;
    loop {
        let conditions = api.get(&name).await.unwrap().status.and_then(|status| status.conditions);
        if conditions.into_iter().flatten().any(|c| c.type_ == "Established" && c.status == "True") {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is not established after {ESTABLISHED:?}");
        tokio::task::yield_now().await;
    }
}
