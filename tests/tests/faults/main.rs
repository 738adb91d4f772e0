//! Faults in the control plane's way, on a real cluster.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]

mod api_server;
mod durability;
mod killed;
mod place;
mod pods;
mod resources;
mod s3;
mod stale;
mod start;
mod storm;
mod story;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whether the long version is asked for: `make chaos`.
fn chaos() -> bool {
    std::env::var_os("ROOST_CHAOS").is_some()
}

static CLUSTER: RwLock<()> = RwLock::const_new(());

/// For a test whose fault only its own tenants feel.
async fn shared() -> RwLockReadGuard<'static, ()> {
    CLUSTER.read().await
}

/// For a test that takes a part of the cluster away from everyone.
async fn alone() -> RwLockWriteGuard<'static, ()> {
    CLUSTER.write().await
}
