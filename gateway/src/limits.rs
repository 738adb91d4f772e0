//! Limits of one tenant's calls in flight.

use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
    routes::Load,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Most calls of [`Load::Lookup`] of one tenant at once.
const MAX_LOOKUPS_PER_TENANT: u32 = 64;

#[derive(Debug, Default)]
struct Count {
    queries: u32,
    lookups: u32,
}

impl Count {
    const fn of(&mut self, load: Load) -> &mut u32 {
        match load {
            Load::Query => &mut self.queries,
            Load::Lookup => &mut self.lookups,
        }
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
    load: Load,
}

impl TenantLimits {
    /// Allows each tenant this many queries at once.
    pub fn new(queries: u32) -> Self {
        Self { counts: Arc::default(), queries }
    }

    /// Takes a place, or says that all are taken.
    /// Errors: `busy`.
    pub fn admit(&self, key: &BranchKey, load: Load) -> Result<Admission, Problem> {
        let most = match load {
            Load::Query => self.queries,
            Load::Lookup => MAX_LOOKUPS_PER_TENANT,
        };
        let tenant = (key.namespace.clone(), key.tenant.clone());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tenant.clone()).or_default().of(load);
        if *count >= most {
            let detail =
                format!("tenant {} has {most} requests in flight here: wait for one to end", key.tenant);
            return Err(Problem::new(ErrorCode::Busy, detail).retry_after(1));
        }
        *count += 1;
        Ok(Admission { counts: Arc::clone(&self.counts), tenant, load })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count.of(self.load) -= 1;
            if count.queries == 0 && count.lookups == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str, branch: &str) -> BranchKey {
        BranchKey { namespace: "shop".into(), tenant: tenant.into(), branch: branch.into() }
    }

    #[test]
    fn each_tenant_has_its_own_limit() {
        let limits = TenantLimits::new(2);
        let first = limits.admit(&key("acme", "main"), Load::Query).unwrap();
        let _second = limits.admit(&key("acme", "dev"), Load::Query).unwrap();
        assert_eq!(limits.admit(&key("acme", "main"), Load::Query).unwrap_err().code, ErrorCode::Busy);
        let _other = limits.admit(&key("other", "main"), Load::Query).unwrap();
        let _cancel = limits.admit(&key("acme", "main"), Load::Lookup).unwrap();
        drop(first);
        let _third = limits.admit(&key("acme", "main"), Load::Query).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_a_tenant_without_requests() {
        let limits = TenantLimits::new(2);
        drop(limits.admit(&key("acme", "main"), Load::Query).unwrap());
        assert!(limits.counts.lock().unwrap().is_empty());
    }
}
