//! A namespace with tenants, and a user of theirs.

use crate::{
    answer::Answer,
    cluster::{PATIENCE, Roost, random_suffix},
    wait::{self, eventually},
};
use anyhow::{Context, Result, ensure};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject},
};
use roost_protocol::names::CLIENT_AUDIENCE;
use roost_store::{
    ClassKeys, Environment, TenantPath,
    reachability::{Depth, History, Report, walk},
};
use serde_json::{Value, json};
use std::time::Duration;

/// A namespace made for one test. It is left behind, as the whole cluster is removed in the end.
#[derive(Clone)]
pub struct TestNamespace {
    /// The cluster.
    pub roost: Roost,
    /// Its name.
    pub name: String,
    /// Token of a user who may connect to every tenant and branch here.
    pub token: String,
}

impl Roost {
    /// A namespace of its own for a test, with a user who may connect to everything in it.
    pub async fn namespace(&self, prefix: &str) -> Result<TestNamespace> {
        TestNamespace::create(self.clone(), format!("{prefix}-{}", random_suffix())).await
    }
}

impl TestNamespace {
    /// Creates the namespace and its user.
    pub async fn create(roost: Roost, name: String) -> Result<Self> {
        roost.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await?;
        let mut namespace = Self { roost, name, token: String::new() };
        namespace.token = namespace.user("app", "roost-connect").await?;
        Ok(namespace)
    }

    /// A ServiceAccount bound to a ClusterRole here; returns its token for the gateway.
    pub async fn user(&self, user: &str, role: &str) -> Result<String> {
        let metadata = json!({"name": user, "namespace": self.name});
        self.roost
            .apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}))
            .await?;
        self.roost
            .apply(&json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": self.name}],
            }))
            .await?;
        self.token_of(user, &[CLIENT_AUDIENCE]).await
    }

    /// A token of a ServiceAccount, as `kubectl create token` makes it; no audience means the API server's.
    pub async fn token_of(&self, user: &str, audiences: &[&str]) -> Result<String> {
        self.roost.service_account_token(&self.name, user, audiences).await
    }

    /// Applies an object of one of Roost's kinds in this namespace.
    pub async fn apply(&self, kind: &str, name: &str, spec: Value) -> Result<DynamicObject> {
        let metadata = json!({"name": name, "namespace": self.name});
        let manifest =
            json!({"apiVersion": "roostdb.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        self.roost.apply(&manifest).await
    }

    /// API of one of Roost's kinds in this namespace.
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        self.roost.api("roostdb.dev/v1alpha1", kind, Some(&self.name))
    }

    /// Applies a Tenant and waits until it is Ready; returns its UID.
    pub async fn tenant(&self, name: &str, spec: Value) -> Result<String> {
        let tenant = self.apply("Tenant", name, spec).await?;
        self.condition("Tenant", name, "Ready", "True", None).await?;
        tenant.uid().context("an object without uid")
    }

    /// Waits until an object's condition has a status and, if given, a reason; returns the object.
    pub async fn condition(
        &self,
        kind: &str,
        name: &str,
        condition: &str,
        status: &str,
        reason: Option<&str>,
    ) -> Result<DynamicObject> {
        let what = format!("{kind} {name}: {condition}={status} {}", reason.unwrap_or_default());
        let api = self.api(kind);
        eventually(&what, PATIENCE, || async {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let found = find_condition(&object, condition);
            let matches = found["status"] == status && reason.is_none_or(|reason| found["reason"] == reason);
            if matches { Ok(object) } else { Err(object.data["status"].to_string()) }
        })
        .await
    }

    /// Deletes an object and waits until it is gone.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        self.api(kind).delete(name, &DeleteParams::default()).await?;
        self.gone(kind, name).await
    }

    /// Waits until an object is gone.
    pub async fn gone(&self, kind: &str, name: &str) -> Result<()> {
        wait::gone(&self.api(kind), kind, name, PATIENCE).await
    }

    /// URL of a tenant's query endpoint; `tenant` may be `tenant/branches/branch`.
    pub fn url(&self, tenant: &str) -> String {
        format!("{}/v1/namespaces/{}/tenants/{tenant}/query", self.roost.gateway, self.name)
    }

    /// Posts a query body and leaves the response to the caller.
    pub async fn post(&self, tenant: &str, token: &str, body: &Value) -> Result<reqwest::Response> {
        Ok(self.roost.http.post(self.url(tenant)).bearer_auth(token).json(body).send().await?)
    }

    /// Runs SQL as the namespace's user.
    pub async fn query(&self, tenant: &str, sql: &str) -> Result<Answer> {
        Answer::read(self.post(tenant, &self.token, &json!({"sql": sql})).await?).await
    }

    /// Runs SQL that must succeed.
    pub async fn run(&self, tenant: &str, sql: &str) -> Result<Answer> {
        let answer = self.query(tenant, sql).await?;
        answer.rows().with_context(|| sql.to_owned())?;
        Ok(answer)
    }

    /// Asks until the answer is this one value, as a client does that was told to come again.
    pub async fn answers(&self, tenant: &str, sql: &str, value: i64) -> Result<()> {
        eventually(&format!("{tenant} answers {value}"), PATIENCE, || async {
            let answer = self.query(tenant, sql).await.map_err(|error| format!("{error:#}"))?;
            let found = answer.integer().map_err(|error| format!("{error:#}"))?;
            if found == value { Ok(()) } else { Err(found.to_string()) }
        })
        .await
    }

    /// Reads all that the tenant's prefix keeps, and says whether anything is missing, damaged or unknown.
    pub async fn verified(&self, tenant: &str) -> Result<Report> {
        self.verified_with(tenant, None).await
    }

    /// The same for a tenant that is encrypted.
    pub async fn verified_with(&self, tenant: &str, keys: Option<&ClassKeys>) -> Result<Report> {
        let found = self.api("Tenant").get(tenant).await?;
        let prefix = found.data["status"]["location"]["prefix"].as_str().unwrap_or_default();
        let path = TenantPath::new(prefix, &self.name, tenant)?;
        let (store, environment) = (self.roost.bucket.store(), Environment::system());
        let report = walk(store, &path, environment, History::Whole, Depth::Bytes(keys)).await?;
        ensure!(report.is_clean(), "{}: {:#?}", report.location, report.findings);
        Ok(report)
    }

    /// Waits until no pod of the tenant is left.
    pub async fn asleep(&self, tenant_uid: &str, patience: Duration) -> Result<()> {
        eventually(&format!("no pod of tenant {tenant_uid}"), patience, || async {
            let pods = self.roost.pods_of(tenant_uid).await.map_err(|error| error.to_string())?;
            if pods.is_empty() { Ok(()) } else { Err(format!("{} pods", pods.len())) }
        })
        .await
    }
}

/// A condition of an object, or null.
pub fn find_condition(object: &DynamicObject, condition: &str) -> Value {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|found| found["type"] == condition).unwrap_or_default()
}
