//! Pods as tests meet them: each test states only what it is about.

use roost_protocol::{
    PROTOCOL_VERSION,
    status::{RuntimeState, RuntimeStatus},
    time::UnixMillis,
};

use super::{PodView, Stage};

/// A pod that runs and serves `main` of shop/acme.
pub fn pod() -> PodView {
    PodView {
        name: "rt-1".into(),
        uid: "u".into(),
        resource_version: None,
        namespace: "shop".into(),
        tenant: "acme".into(),
        snapshot: None,
        replay_check: false,
        tenant_uid: "t".into(),
        branch: "main".into(),
        stage: Stage::Running { address: "10.0.0.1".into(), ready: true },
        leaving: false,
        slot: None,
        created: None,
        obstacle: None,
        template: None,
        cache_bytes: None,
    }
}

/// What the runtime in it says.
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
