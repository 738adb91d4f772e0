//! TenantClass: what the platform team decides once.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::selector::NamespaceSelector;
use crate::{Durability, Duration, Quantity, Reads};

/// Bucket, credentials, shape of pods, and limits of a class of tenants.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "roostdb.dev",
    version = "v1alpha1",
    kind = "TenantClass",
    plural = "tenantclasses",
    status = "TenantClassStatus",
    derive = "PartialEq",
    shortname = "rclass",
    category = "roost",
    doc = "Bucket, credentials, shape of pods, and limits of a class of tenants. The class with the annotation roostdb.dev/is-default-class: \"true\" serves Tenants that name none.",
    printcolumn(name = "Bucket", type_ = "string", json_path = ".spec.storage.bucket"),
    printcolumn(name = "Prefix", type_ = "string", json_path = ".spec.storage.prefix"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Default", type_ = "string", json_path = ".metadata.annotations.roostdb\\.dev/is-default-class"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.metadata.name.size() <= 63")
        .message("a TenantClass's name has at most 63 characters: shorten it")
)]
#[serde(rename_all = "camelCase")]
pub struct TenantClassSpec {
    /// Where the data is.
    pub storage: Storage,
    /// Namespaces whose Tenants and Branches may take this class, by their labels; all if absent. Those that have the class
    /// already are served on, but are not Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<NamespaceSelector>,
    /// Encrypts the databases of Tenants that are created from now on; those that are there stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// Shape of runtime pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimePods>,
    /// DuckDB's memory, threads and settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// When a tenant counts as idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,
    /// The least that answers wait for; Synchronous if absent. A Tenant may ask for more, and a request for less than its
    /// Tenant, but never for less than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durability: Option<Durability>,
    /// Guarantee of answers to queries that write nothing; Strict if absent. Relaxed: they tell what is committed on
    /// the pod even if a crash may still lose it, and go on while object storage is away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
    /// Time that point-in-time recovery reaches back; 168h if absent. What is older is deleted from the bucket, unless
    /// a snapshot or branch keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_window: Option<Duration>,
    /// Ceilings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// Where the data of a class is.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.bucket == oldSelf.bucket")
        .message("bucket is immutable, data does not move by itself: create another TenantClass for the other bucket")
        .field_path(".bucket"),
    validation = Rule::new("has(self.prefix) == has(oldSelf.prefix) && (!has(self.prefix) || self.prefix == oldSelf.prefix)")
        .message("prefix is immutable, data does not move by itself: create another TenantClass for the other prefix")
        .field_path(".prefix")
)]
pub struct Storage {
    /// Bucket. Immutable.
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][-.a-z0-9]*[a-z0-9]$"))]
    pub bucket: String,
    /// Prefix of every key, without a slash at either end; none if absent. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 512),
        regex(pattern = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
    )]
    pub prefix: Option<String>,
    /// URL of the S3 endpoint; AWS's own for the region if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 8, max = 512),
        regex(pattern = r"^https?://[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?(:[0-9]{1,5})?/?$")
    )]
    pub endpoint: Option<String>,
    /// Region; us-east-1 if absent. Cloudflare R2 wants auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9][-a-z0-9]*$"))]
    pub region: Option<String>,
    /// Whether the bucket is part of the path instead of the host name; false if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Credentials by which Roost proves to the bucket who it is.
    pub credentials: Credentials,
    /// Secret of the operator's namespace whose key ca.crt holds the private CA of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretReference>,
    /// Destinations that runtime pods may reach instead of the default, which is port 443 outside private and metadata
    /// ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub egress: Option<Vec<EgressRule>>,
    /// Rate at which each tenant may write to its WAL in the bucket, for every such write has its price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_budget: Option<PutBudget>,
    /// Clusters whose data this class may take over, for disaster recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub adopt_from: Option<Vec<ClassAdoption>>,
}

/// Each Tenant has a data key of its own; a key of the class wraps it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// Secret of the operator's namespace that holds the class's keys, each as 64 hexadecimal digits.
    pub secret_ref: SecretReference,
    /// The Secret's key that wraps data keys from now on. Keep the others as long as there is data that they wrap, also
    /// what deleted Tenants left behind.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$"))]
    pub key_name: String,
}

/// Rate at which each tenant may write to its WAL in the bucket. Beyond it commits wait to share a write.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PutBudget {
    /// Number of writes that may be saved up; 20 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub burst: Option<i32>,
    /// Writes a second in the long run; if absent 2, at most 24 dollars a month on R2, or 1 where the class is
    /// Asynchronous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub per_second: Option<i32>,
}

/// UID of the namespace kube-system of another cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassAdoption(pub String);

impl schemars::JsonSchema for ClassAdoption {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClassAdoption".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 36, "maxLength": 36, "pattern": schema::UID})
    }
}

/// Credentials by which Roost proves to the bucket who it is: exactly one member.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.secretRef)].filter(given, given).size() == 1")
        .message("credentials has exactly one member: write secretRef with the name of a Secret in the operator's namespace")
)]
pub struct Credentials {
    /// Secret of the operator's namespace with the keys accessKeyID, secretAccessKey and perhaps sessionToken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretReference>,
}

/// Name of a Secret in the operator's namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// The Secret's name.
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub name: String,
}

/// Something that runtime pods may reach: exactly one of cidr and namespace.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.cidr), has(self.namespace)].filter(given, given).size() == 1")
        .message("an egress rule has exactly one of cidr and namespace: write one rule for each"),
    validation = Rule::new("!has(self.cidr) || isCIDR(self.cidr)")
        .message("cidr is an address range: write it like 10.20.0.0/16 or fd00::/8")
        .field_path(".cidr")
)]
pub struct EgressRule {
    /// Address range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 43))]
    pub cidr: Option<String>,
    /// All pods of this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::DNS_LABEL))]
    pub namespace: Option<String>,
    /// TCP ports, of the pods where a Service translates them; 443 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), inner(range(min = 1, max = 65535)))]
    pub ports: Option<Vec<i32>>,
}

/// Shape of runtime pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimePods {
    /// Requests and limits of the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceList>,
    /// Size limit of the pod's cache volume; 10Gi if absent. Half of it is for what DuckDB spills, the other half for
    /// the parts of the database that are in use: a database may be larger, one transaction may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_size: Option<Quantity>,
    /// Labels that a node must carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::node_selector")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub tolerations: Option<Vec<Toleration>>,
    /// RuntimeClass, for a stronger sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::DNS_SUBDOMAIN))]
    pub runtime_class_name: Option<String>,
    /// Longest time that a pod may take to publish and seal when it is told to go; 120s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period: Option<Duration>,
}

/// Requests and limits by resource name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    /// Amounts that the scheduler sets aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantities")]
    pub requests: Option<BTreeMap<String, Quantity>>,
    /// Ceilings that the kernel enforces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::quantities")]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

/// A taint that is tolerated; as in a Pod's spec.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; all keys if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 316))]
    pub key: Option<String>,
    /// Exists or Equal (default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), regex(pattern = "^(Exists|Equal)$"))]
    pub operator: Option<String>,
    /// Value that Equal compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint; all effects if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^(NoSchedule|PreferNoSchedule|NoExecute)$"))]
    pub effect: Option<String>,
    /// Seconds for which NoExecute is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

/// DuckDB's memory, threads and settings.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// DuckDB's memory: a share of the container's limit (75% if absent), or a size such as 2Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16), regex(pattern = "^([1-9][0-9]?%|[1-9][0-9]{0,8}(Mi|Gi))$"))]
    pub memory_limit: Option<String>,
    /// DuckDB's threads; by the container's CPU limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub threads: Option<i32>,
    /// DuckDB settings, by name, out of an allowlist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::settings")]
    pub settings: Option<BTreeMap<String, String>>,
}

/// When a tenant counts as idle.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.min) || !has(self.timeout) || duration(self.min) <= duration(self.timeout)")
        .message("idle.timeout is below idle.min: raise timeout or lower min"),
    validation = Rule::new("!has(self.timeout) || !has(self.max) || duration(self.timeout) <= duration(self.max)")
        .message("idle.timeout is above idle.max: lower timeout or raise max"),
    validation = Rule::new("!has(self.min) || !has(self.max) || duration(self.min) <= duration(self.max)")
        .message("idle.min is above idle.max: lower min or raise max")
)]
pub struct Idle {
    /// For tenants that state none; 5m if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The least that a tenant may ask for, and how long one is left alone before it makes room for another at
    /// limits.active; 30s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Duration>,
    /// The most that a tenant may ask for; 24h if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Duration>,
}

/// Ceilings of a class.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Number of runtime pods of this class that may exist at once; 100 if absent. At this ceiling a wake asks the
    /// tenant that was idle longest to seal, and waits while none is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub active: Option<i32>,
    /// Longest time that a query may take, with all its statements; 10m if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout: Option<Duration>,
}

/// Observed state of a TenantClass: what the operator found.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantClassStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// When the bucket was last probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_probe_time: Option<Time>,
    /// Hash of what the last probe was made with (storage, versions of the Secrets); a new one asks for a new probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub probed_hash: Option<String>,
}
