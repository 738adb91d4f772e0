//! The name of a tenant's branch, as clients, gateway and operator use it.

use crate::names::MAIN_BRANCH;
use std::fmt;

/// A branch by the names that clients use: what is woken, routed to and counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchKey {
    /// Namespace of the Tenant.
    pub namespace: String,
    /// Name of the Tenant.
    pub tenant: String,
    /// Name of the branch within the tenant.
    pub branch: String,
}

impl BranchKey {
    /// Whether this is the branch that every tenant has.
    pub fn is_main(&self) -> bool {
        self.branch == MAIN_BRANCH
    }
}

impl fmt::Display for BranchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.tenant)?;
        if self.is_main() { Ok(()) } else { write!(f, " branch {}", self.branch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_branch_goes_without_saying() {
        for (branch, text) in [("main", "shop/acme"), ("dev", "shop/acme branch dev")] {
            let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: branch.into() };
            assert_eq!(key.to_string(), text);
        }
    }
}
