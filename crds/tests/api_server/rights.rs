//! Rights that the installed chart gives: of the two programs, by the aggregated roles, and by the policy for copies.

use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, PostParams};
use serde_json::json;

use crate::cases::Answer::{self, Accepted, Refused};
use crate::cluster::Cluster;

/// Longest time that the server may take to notice a new role.
const NOTICED: Duration = Duration::from_secs(20);

/// verb, group, resource with its subresource, namespace (empty: of the cluster), name (empty: any).
type Right<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

async fn allowed(cluster: &Cluster, user: &str, right: Right<'_>) -> bool {
    let (verb, group, resource, namespace, name) = right;
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        verb: text(verb),
        group: text(group),
        resource: text(resource),
        subresource: text(subresource),
        namespace: text(namespace),
        name: text(name),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: text(user),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(cluster.client.clone());
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn programs_have_the_rights_they_use_and_no_more() {
    let cluster = Cluster::connect().await;
    let roost = "roostdb.dev";
    let (operator, gateway) = (
        "system:serviceaccount:roost-system:roost-operator",
        "system:serviceaccount:roost-system:roost-gateway",
    );
    let table: &[(&str, bool, Right<'_>)] = &[
        (operator, true, ("watch", roost, "tenants", "", "")),
        (operator, true, ("patch", roost, "branches/status", "default", "")),
        (operator, true, ("delete", roost, "snapshots", "default", "")),
        (operator, true, ("create", "", "pods", "roost-runtime", "")),
        (operator, true, ("update", "coordination.k8s.io", "leases", "roost-runtime", "")),
        (operator, true, ("patch", "coordination.k8s.io", "leases", "roost-system", "roost-operator-leader")),
        (operator, true, ("watch", "", "secrets", "roost-system", "")),
        (operator, true, ("update", "", "secrets", "roost-system", "roost-gateway-keys")),
        (operator, true, ("get", "", "namespaces", "", "kube-system")),
        (operator, true, ("create", "events.k8s.io", "events", "default", "")),
        (operator, false, ("create", roost, "tenants", "default", "")),
        (operator, false, ("update", roost, "tenants", "default", "")),
        (operator, false, ("delete", roost, "tenants", "default", "")),
        (operator, false, ("connect", roost, "tenants", "default", "")),
        (operator, false, ("create", "", "pods", "roost-system", "")),
        (operator, false, ("list", "", "pods", "default", "")),
        (operator, false, ("create", "", "pods/exec", "roost-runtime", "")),
        (operator, false, ("get", "", "secrets", "default", "")),
        (operator, false, ("get", "", "secrets", "roost-runtime", "")),
        (operator, false, ("delete", "", "secrets", "roost-system", "")),
        (operator, false, ("update", "", "secrets", "roost-system", "s3")),
        (operator, false, ("get", "", "configmaps", "default", "")),
        (operator, false, ("create", "authorization.k8s.io", "subjectaccessreviews", "", "")),
        (gateway, true, ("create", "authentication.k8s.io", "tokenreviews", "", "")),
        (gateway, true, ("create", "authorization.k8s.io", "subjectaccessreviews", "", "")),
        (gateway, true, ("list", roost, "branches", "default", "")),
        (gateway, true, ("watch", "", "secrets", "roost-system", "roost-gateway-keys")),
        (gateway, true, ("watch", "discovery.k8s.io", "endpointslices", "roost-system", "")),
        (gateway, false, ("get", "", "secrets", "roost-system", "roost-internal-ca")),
        (gateway, false, ("list", "", "secrets", "roost-system", "")),
        (gateway, false, ("get", "", "pods", "roost-runtime", "")),
        (gateway, false, ("get", roost, "tenants", "default", "")),
        (gateway, false, ("connect", roost, "tenants", "default", "")),
    ];
    let mut wrong = Vec::new();
    for (user, expected, right) in table {
        if allowed(&cluster, user, *right).await != *expected {
            wrong.push(format!("{user} {} {right:?}", if *expected { "may not" } else { "may" }));
        }
    }
    cluster.remove().await;
    assert!(wrong.is_empty(), "is the chart of this checkout installed?\n{}", wrong.join("\n"));
}

/// Binds a user of this run to a role, and waits until the server knows.
pub async fn bind(cluster: &Cluster, user: &str, kind: &str, role: &str, proof: (&str, &str, &str)) {
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": format!("{user}-{role}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }))
    .unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let deadline = Instant::now() + NOTICED;
    let (verb, resource, name) = proof;
    while !allowed(cluster, user, (verb, "roostdb.dev", resource, &cluster.namespace, name)).await {
        assert!(
            Instant::now() < deadline,
            "{user} may not {verb} {resource} after {NOTICED:?}: is the chart installed?"
        );
    }
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn seeing_and_editing_is_not_reading() {
    let cluster = Cluster::connect().await;
    bind(&cluster, "viewer", "ClusterRole", "view", ("list", "tenants", "")).await;
    bind(&cluster, "editor", "ClusterRole", "edit", ("create", "tenants", "")).await;
    bind(&cluster, "reader", "ClusterRole", "roost-read", ("read", "tenants", "")).await;
    bind(&cluster, "client", "ClusterRole", "roost-connect", ("connect", "branches", "")).await;
    let table = [
        ("viewer", "create", "tenants", false),
        ("viewer", "read", "tenants", false),
        ("editor", "delete", "snapshots", true),
        ("editor", "list", "branches", true),
        ("editor", "read", "snapshots", false),
        ("editor", "connect", "tenants", false),
        ("reader", "read", "snapshots", true),
        ("reader", "connect", "tenants", false),
        ("reader", "list", "tenants", false),
        ("client", "read", "tenants", true),
        ("client", "delete", "tenants", false),
    ];
    let mut wrong = Vec::new();
    for (user, verb, resource, expected) in table {
        let right = (verb, "roostdb.dev", resource, cluster.namespace.as_str(), "");
        if allowed(&cluster, user, right).await != expected {
            wrong.push(format!("{user} {verb} {resource}: expected {expected}"));
        }
    }
    cluster.remove().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An author who may create everything but read only some.
async fn author(cluster: &Cluster) {
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": "author"},
        "rules": [
            {"apiGroups": ["roostdb.dev"], "resources": ["tenants", "branches", "snapshots"], "verbs": ["create"]},
            {"apiGroups": ["roostdb.dev"], "resources": ["tenants"], "resourceNames": ["acme"], "verbs": ["read"]},
            {"apiGroups": ["roostdb.dev"], "resources": ["branches"], "resourceNames": ["dev"], "verbs": ["read"]},
            {"apiGroups": ["roostdb.dev"], "resources": ["snapshots"], "resourceNames": ["taken"], "verbs": ["read"]},
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["seed"], "verbs": ["get"]},
        ],
    }))
    .unwrap();
    let roles: Api<Role> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    roles.create(&PostParams::default(), &role).await.unwrap();
    bind(cluster, "author", "Role", "author", ("read", "tenants", "acme")).await;
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn copying_is_reading() {
    let cluster = Cluster::connect().await;
    author(&cluster).await;
    let author = cluster.impersonate("author").await;
    let script = |name| json!({"source": {"initScript": {"configMapRef": {"name": name, "key": "sql"}}}});
    let table: Vec<(&str, serde_json::Value, Answer)> = vec![
        ("Branch", json!({"tenantName": "acme"}), Accepted),
        ("Branch", json!({"tenantName": "acme", "from": {"branchName": "main"}}), Accepted),
        ("Branch", json!({"tenantName": "acme", "from": {"branchName": "dev"}}), Accepted),
        ("Branch", json!({"tenantName": "other", "from": {"snapshotName": "taken"}}), Accepted),
        (
            "Branch",
            json!({"tenantName": "other"}),
            Refused("author needs the verb read on tenants.roostdb.dev/other"),
        ),
        (
            "Branch",
            json!({"tenantName": "other", "from": {"branchName": "dev"}}),
            Refused("tenants.roostdb.dev/other"),
        ),
        (
            "Branch",
            json!({"tenantName": "acme", "from": {"branchName": "prod"}}),
            Refused("branches.roostdb.dev/prod"),
        ),
        (
            "Branch",
            json!({"tenantName": "acme", "from": {"snapshotName": "secret"}}),
            Refused("snapshots.roostdb.dev/secret"),
        ),
        ("Snapshot", json!({"tenantName": "acme"}), Accepted),
        ("Snapshot", json!({"tenantName": "acme", "branchName": "dev"}), Accepted),
        (
            "Snapshot",
            json!({"tenantName": "other"}),
            Refused("author needs the verb read on tenants.roostdb.dev/other"),
        ),
        (
            "Snapshot",
            json!({"tenantName": "acme", "branchName": "prod"}),
            Refused("branches.roostdb.dev/prod"),
        ),
        ("Tenant", json!({}), Accepted),
        ("Tenant", json!({"source": {"initScript": {"sql": "SELECT 1"}}}), Accepted),
        ("Tenant", json!({"source": {"snapshot": {"name": "taken"}}}), Accepted),
        (
            "Tenant",
            json!({"source": {"snapshot": {"name": "secret"}}}),
            Refused("snapshots.roostdb.dev/secret"),
        ),
        ("Tenant", script("seed"), Accepted),
        ("Tenant", script("others"), Refused("author needs the verb get on configmaps/others")),
    ];
    let (mut seen, mut wrong) = (Vec::new(), Vec::new());
    for (kind, spec, answer) in table {
        let what = format!("{kind} {spec}");
        let object = json!({"kind": kind, "metadata": {"name": "copy"}, "spec": spec});
        let result = author.try_create(&object).await;
        wrong.extend(crate::judge(&what, answer, result, &mut seen).err());
    }
    cluster.remove().await;
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}
