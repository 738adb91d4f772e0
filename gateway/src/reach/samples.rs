//! A branch and its pods as tests meet them.

use roost_protocol::{BranchKey, wake::Route};
use std::time::Duration;

/// `main` of shop/acme.
pub fn branch() -> BranchKey {
    BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() }
}

/// The way to a pod with this UID.
pub fn route(uid: &str) -> Route {
    Route {
        version: 1,
        pod: "rt-1".into(),
        pod_uid: uid.into(),
        address: "10.0.0.1".into(),
        port: 8443,
        tenant_uid: "t".into(),
        statement_timeout: Duration::from_secs(1),
    }
}
