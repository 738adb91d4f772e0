//! Names, ports and headers that two processes must agree on.

/// Port of a runtime pod and of the operator for TLS traffic between Roost's processes.
pub const INTERNAL_TLS_PORT: u16 = 8443;
/// Port of every process for health probes and metrics, plain HTTP.
pub const HEALTH_PORT: u16 = 8080;
/// Audience of ServiceAccount tokens that clients show to the gateway.
pub const CLIENT_AUDIENCE: &str = "roostdb.dev";
/// Audience of the token that the gateway shows to the operator.
pub const OPERATOR_AUDIENCE: &str = "operator.roostdb.dev";
/// Name that every operator replica's internal certificate carries.
pub const OPERATOR_TLS_NAME: &str = "operator.roost.internal";
/// Secret of the operator's namespace with the internal CA and the key that signs grants.
pub const INTERNAL_CA_SECRET: &str = "roost-internal-ca";
/// Secret of the operator's namespace with what the gateway needs: its signing key and the CA certificate.
pub const GATEWAY_KEYS_SECRET: &str = "roost-gateway-keys";
/// Key of [`GATEWAY_KEYS_SECRET`] and [`INTERNAL_CA_SECRET`]: certificate of the internal CA, PEM.
pub const CA_CERT_KEY: &str = "ca.crt";
/// Key of [`INTERNAL_CA_SECRET`]: private key of the internal CA, PEM.
pub const CA_PRIVATE_KEY: &str = "ca.key";
/// Key of [`INTERNAL_CA_SECRET`]: PKCS#8 document (binary) of the key that signs grants and commands.
pub const GRANT_SIGNING_KEY: &str = "grant-signing.pk8";
/// Key of [`GATEWAY_KEYS_SECRET`]: PKCS#8 document (binary) of the key that signs session tokens.
pub const SESSION_SIGNING_KEY: &str = "session-signing.pk8";
/// Key of [`INTERNAL_CA_SECRET`]: public half (text) of the session key, so that the operator can put it in grants.
pub const SESSION_VERIFYING_KEY: &str = "session-verifying.pub";

/// Request header in which the gateway passes its signed [`crate::session::SessionToken`] to a runtime.
pub const SESSION_HEADER: &str = "roost-session";
/// Request header with the [`crate::durability::Durability`] that a query asks for.
pub const DURABILITY_HEADER: &str = "roost-durability";
/// Request and response header with a query's id, a UUID that the caller may choose.
pub const QUERY_ID_HEADER: &str = "roost-query-id";

/// The branch that every tenant has.
pub const MAIN_BRANCH: &str = "main";

/// Paths of the internal API.
pub mod paths {
    /// Runtime: takes a signed grant, answers when it serves.
    pub const GRANT: &str = "/internal/v1/grant";
    /// Runtime: takes a signed command.
    pub const COMMAND: &str = "/internal/v1/command";
    /// Operator: wakes a branch, answers with its route.
    pub const WAKE: &str = "/v1/wake";
}

/// Name that a runtime pod's certificate carries and that its callers verify.
pub fn runtime_tls_name(pod: &str) -> String {
    format!("{pod}.runtime.roost.internal")
}
