//! How many requests of one tenant may be in flight.

use crate::target::Call;
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Most status requests and cancels of one tenant at once. They have a limit of their own: whoever has used up the
/// limit of queries must be able to cancel some.
const MAX_LOOKUPS_PER_TENANT: u32 = 64;

#[derive(Debug, Default)]
struct Count {
    queries: u32,
    lookups: u32,
}

impl Count {
    fn of(&mut self, call: Call) -> &mut u32 {
        if call == Call::Query { &mut self.queries } else { &mut self.lookups }
    }
}

type Counts = Mutex<HashMap<(String, String), Count>>;

/// Counts requests by tenant, all its branches together.
#[derive(Debug)]
pub struct TenantLimits {
    counts: Arc<Counts>,
    queries: u32,
}

/// A place among a tenant's requests, given back when dropped.
#[derive(Debug)]
pub struct Admission {
    counts: Arc<Counts>,
    tenant: (String, String),
    call: Call,
}

impl TenantLimits {
    /// Allows each tenant this many queries at once.
    pub fn new(queries: u32) -> Self {
        Self { counts: Arc::default(), queries }
    }

    /// Takes a place, or says that all are taken.
    pub fn admit(&self, key: &BranchKey, call: Call) -> Result<Admission, Problem> {
        let most = if call == Call::Query { self.queries } else { MAX_LOOKUPS_PER_TENANT };
        let tenant = (key.namespace.clone(), key.tenant.clone());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tenant.clone()).or_default().of(call);
        if *count >= most {
            let detail =
                format!("tenant {} has {most} requests in flight here: wait for one to end", key.tenant);
            return Err(Problem::new(ErrorCode::Busy, detail).retry_after(1));
        }
        *count += 1;
        Ok(Admission { counts: Arc::clone(&self.counts), tenant, call })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count.of(self.call) -= 1;
            if count.queries == 0 && count.lookups == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn key(tenant: &str, branch: &str) -> BranchKey {
        BranchKey { namespace: "shop".into(), tenant: tenant.into(), branch: branch.into() }
    }

    #[test]
    fn each_tenant_has_its_own_limit() {
        let limits = TenantLimits::new(2);
        let first = limits.admit(&key("acme", "main"), Call::Query).unwrap();
        let _second = limits.admit(&key("acme", "dev"), Call::Query).unwrap();
        assert_eq!(limits.admit(&key("acme", "main"), Call::Query).unwrap_err().code, ErrorCode::Busy);
        let _other = limits.admit(&key("other", "main"), Call::Query).unwrap();
        let _cancel = limits.admit(&key("acme", "main"), Call::CancelQuery(Uuid::nil())).unwrap();
        drop(first);
        let _third = limits.admit(&key("acme", "main"), Call::Query).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_a_tenant_without_requests() {
        let limits = TenantLimits::new(2);
        drop(limits.admit(&key("acme", "main"), Call::Query).unwrap());
        assert!(limits.counts.lock().unwrap().is_empty());
    }
}
