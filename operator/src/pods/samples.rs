//! Pods as tests meet them: each test states only what it is about.

use roost_protocol::{
    BranchKey, PROTOCOL_VERSION,
    status::{RuntimeState, RuntimeStatus},
    time::UnixMillis,
};

use super::{Exit, PodView, Purpose, Stage, TenantBranch};

/// A pod that runs and serves `main` of shop/acme.
pub fn pod() -> PodView {
    PodView {
        name: "rt-1".into(),
        uid: "u".into(),
        resource_version: None,
        purpose: Purpose::Serve(branch("main")),
        stage: Stage::Running { address: "10.0.0.1".into(), ready: true },
        leaving: false,
        slot: None,
        created: None,
        obstacle: None,
        template: None,
        cache_bytes: None,
    }
}

/// A branch of shop/acme.
pub fn branch(name: &str) -> TenantBranch {
    let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: name.into() };
    TenantBranch { key, tenant_uid: "t".into() }
}

/// The exit of a process, by the kubelet's reason and its code.
pub fn exit(reason: &str, code: i32) -> Exit {
    Exit::Process { reason: reason.into(), code }
}

/// The status that its runtime tells.
pub fn status(state: RuntimeState) -> RuntimeStatus {
    RuntimeStatus {
        version: PROTOCOL_VERSION,
        state,
        position: None,
        database_size: 0,
        durable_lag_millis: 0,
        last_active: UnixMillis(0),
        running: 0,
    }
}
