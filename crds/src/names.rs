//! Names that Roost gives to things: labels, annotations, finalizers, field managers, fixed objects.

/// Prefix of every label and annotation.
pub const PREFIX: &str = "roostdb.dev/";

/// Annotation that makes a TenantClass the default one; its value is `"true"`.
pub const DEFAULT_CLASS_ANNOTATION: &str = "roostdb.dev/is-default-class";
/// Annotations of runtime pods: whom they serve.
pub const NAMESPACE_ANNOTATION: &str = "roostdb.dev/namespace";
/// Tenant that a runtime pod serves.
pub const TENANT_ANNOTATION: &str = "roostdb.dev/tenant";
/// Snapshot that a worker pod takes.
pub const SNAPSHOT_ANNOTATION: &str = "roostdb.dev/snapshot";
/// Present on pods that check how far a branch's WAL can be replayed.
pub const REPLAY_CHECK_ANNOTATION: &str = "roostdb.dev/replay-check";
/// Name of the class of a runtime pod.
pub const CLASS_ANNOTATION: &str = "roostdb.dev/class-name";

/// Label of runtime pods: UID of their Tenant.
pub const TENANT_UID_LABEL: &str = "roostdb.dev/tenant-uid";
/// Label of runtime pods: name of their branch (at most 40 characters).
pub const BRANCH_LABEL: &str = "roostdb.dev/branch";
/// Label of runtime pods: [`ROLE_SERVE`] or [`ROLE_WORKER`].
pub const ROLE_LABEL: &str = "roostdb.dev/role";
/// Label of runtime pods and slots: hash of the class's name.
pub const CLASS_LABEL: &str = "roostdb.dev/class";
/// Label of worker pods: UID of their Snapshot.
pub const SNAPSHOT_UID_LABEL: &str = "roostdb.dev/snapshot-uid";
/// Label of runtime pods whose class has egress rules of its own. The chart's NetworkPolicy for port 443 leaves
/// them out; the operator's policy for the class (podSelector on [`CLASS_LABEL`]) covers them.
pub const EGRESS_LABEL: &str = "roostdb.dev/egress";
/// Value of [`EGRESS_LABEL`].
pub const EGRESS_OF_CLASS: &str = "class";
/// A pod that serves queries.
pub const ROLE_SERVE: &str = "serve";
/// A pod that takes a snapshot, or checks how far a branch's WAL can be replayed.
pub const ROLE_WORKER: &str = "worker";
/// Label that every object made by the operator carries.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`].
pub const MANAGED_BY: &str = "roost-operator";

/// On a Tenant with deletionPolicy Delete.
pub const TENANT_FINALIZER: &str = "roostdb.dev/tenant-data";
/// On a Branch with deletionPolicy Delete.
pub const BRANCH_FINALIZER: &str = "roostdb.dev/branch-data";
/// On a Snapshot with deletionPolicy Delete.
pub const SNAPSHOT_FINALIZER: &str = "roostdb.dev/snapshot-data";
/// On a TenantClass that Tenants use.
pub const CLASS_FINALIZER: &str = "roostdb.dev/class-in-use";

/// Field manager of the Tenant reconciler.
pub const TENANT_MANAGER: &str = "roost-operator/tenant";
/// Field manager of the Branch reconciler.
pub const BRANCH_MANAGER: &str = "roost-operator/branch";
/// Field manager of the Snapshot reconciler.
pub const SNAPSHOT_MANAGER: &str = "roost-operator/snapshot";
/// Field manager of the TenantClass reconciler.
pub const CLASS_MANAGER: &str = "roost-operator/class";

/// The branch that every tenant has.
pub const MAIN_BRANCH: &str = "main";
/// Longest name of a Tenant or branch.
pub const MAX_TENANT_NAME: usize = 40;
/// Longest name of a Snapshot.
pub const MAX_SNAPSHOT_NAME: usize = 63;

/// Namespace whose UID identifies the cluster.
pub const CLUSTER_ID_NAMESPACE: &str = "kube-system";
/// Secret with the internal CA and the operator's signing key; the operator's alone.
pub const INTERNAL_CA_SECRET: &str = "roost-internal-ca";
/// Secret with the gateway's session signing key and the CA's certificate.
pub const GATEWAY_KEYS_SECRET: &str = "roost-gateway-keys";
/// Lease by which one operator replica is elected.
pub const LEADER_LEASE: &str = "roost-operator-leader";
/// Name of the Secret's key that holds the access key.
pub const ACCESS_KEY_ID: &str = "accessKeyID";
/// Name of the Secret's key that holds the secret access key.
pub const SECRET_ACCESS_KEY: &str = "secretAccessKey";
/// Name of the Secret's key that may hold a session token.
pub const SESSION_TOKEN: &str = "sessionToken";
/// Name of the Secret's key that holds certificates.
pub const CA_CERTIFICATE: &str = "ca.crt";

/// ClusterRole to read init scripts, bound by each namespace's owner.
pub const TENANT_INPUTS_ROLE: &str = "roost-tenant-inputs";
/// Audience of clients' ServiceAccount tokens.
pub const CLIENT_AUDIENCE: &str = "roostdb.dev";
/// Audience of the gateway's token towards the operator.
pub const OPERATOR_AUDIENCE: &str = "operator.roostdb.dev";
/// RBAC verb for reading and writing a database.
pub const VERB_CONNECT: &str = "connect";
/// RBAC verb for reading a database, and for copying it.
pub const VERB_READ: &str = "read";
