//! Settings of a class as a grant carries them, beyond what `roost-crds` resolves.

use std::time::Duration;

use roost_crds::{Durability, Reads, TenantClassSpec, TenantSpec};
use roost_protocol::{
    durability::{self, PutBudget, Terms},
    grant::EngineLimits,
};

/// Time of a pod's termination grace that is kept for exiting after the seal.
const EXIT_MARGIN: Duration = Duration::from_secs(5);
/// The least that a drain is given.
const DRAIN_MIN: Duration = Duration::from_secs(5);

/// Longest time that sealing may take once draining began: the grace without a margin to exit in.
pub fn drain_timeout(spec: &TenantClassSpec) -> Duration {
    spec.termination_grace().saturating_sub(EXIT_MARGIN).max(DRAIN_MIN)
}

/// Limits of the engine, for the grant.
pub fn engine_limits(spec: &TenantClassSpec) -> EngineLimits {
    let engine = spec.engine.clone().unwrap_or_default();
    EngineLimits {
        memory_limit: engine.memory_limit,
        threads: spec.threads(),
        settings: engine.settings.unwrap_or_default(),
        statement_timeout: spec.statement_timeout(),
    }
}

/// The durability that answers of a tenant wait for.
pub fn terms(class: &TenantClassSpec, tenant: &TenantSpec) -> Terms {
    let of = |stated| match stated {
        Durability::Synchronous => durability::Durability::Synchronous,
        Durability::Asynchronous => durability::Durability::Asynchronous,
    };
    let reads = match class.reads.unwrap_or_default() {
        Reads::Strict => durability::Reads::Strict,
        Reads::Relaxed => durability::Reads::Relaxed,
    };
    Terms::new(of(class.durability.unwrap_or_default()), tenant.durability.map(of), reads)
}

/// The same as status shows it.
pub const fn shown_durability(terms: Terms) -> Durability {
    match terms.default {
        durability::Durability::Synchronous => Durability::Synchronous,
        durability::Durability::Asynchronous => Durability::Asynchronous,
    }
}

/// Rate at which a tenant may write to its WAL.
pub fn put_budget(class: &TenantClassSpec) -> PutBudget {
    let stated = class.storage.put_budget.clone().unwrap_or_default();
    let positive = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
    let default = match class.durability.unwrap_or_default() {
        Durability::Synchronous => PutBudget::default(),
        Durability::Asynchronous => PutBudget { per_second: 1, ..PutBudget::default() },
    };
    PutBudget {
        burst: positive(stated.burst).unwrap_or(default.burst),
        per_second: positive(stated.per_second).unwrap_or(default.per_second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::samples::spec;

    #[test]
    fn a_drain_ends_before_the_kubelet_kills() {
        for (grace, drain) in [("120s", 115), ("30s", 25), ("3s", 5)] {
            let class = spec(serde_json::json!({"runtime": {"terminationGracePeriod": grace}}));
            assert_eq!(drain_timeout(&class), Duration::from_secs(drain), "{grace}");
        }
    }

    #[test]
    fn a_tenant_asks_for_more_and_never_gets_less() {
        use roost_protocol::durability::{
            Durability::{Asynchronous, Synchronous},
            Reads::{Relaxed, Strict},
        };
        let tenant = |json: serde_json::Value| serde_json::from_value::<TenantSpec>(json).unwrap();
        let asynchronous = serde_json::json!({"durability": "Asynchronous"});
        let class = |json: &serde_json::Value| spec(json.clone());
        let none = serde_json::json!({});
        let lowest = terms(&class(&asynchronous), &tenant(none.clone()));
        assert_eq!(lowest, Terms { floor: Asynchronous, default: Asynchronous, reads: Strict });
        let more = terms(&class(&asynchronous), &tenant(serde_json::json!({"durability": "Synchronous"})));
        assert_eq!(more, Terms { floor: Asynchronous, default: Synchronous, reads: Strict });
        let less = terms(&class(&none), &tenant(asynchronous));
        assert_eq!(less, Terms { floor: Synchronous, default: Synchronous, reads: Strict });
        assert_eq!(shown_durability(less), Durability::Synchronous);
        let relaxed = terms(&class(&serde_json::json!({"reads": "Relaxed"})), &tenant(none));
        assert_eq!(relaxed, Terms { floor: Synchronous, default: Synchronous, reads: Relaxed });
    }

    #[test]
    fn budgets_have_a_default_of_their_durability() {
        let budget = |json| put_budget(&spec(json));
        assert_eq!(budget(serde_json::json!({})), PutBudget { burst: 20, per_second: 2 });
        let asynchronous = serde_json::json!({"durability": "Asynchronous"});
        assert_eq!(budget(asynchronous), PutBudget { burst: 20, per_second: 1 });
        let mut stated = spec(serde_json::json!({}));
        stated.storage.put_budget = Some(roost_crds::PutBudget { burst: None, per_second: Some(50) });
        assert_eq!(put_budget(&stated), PutBudget { burst: 20, per_second: 50 });
    }
}
