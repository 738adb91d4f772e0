//! Names of what the operator makes in the runtime namespace: hashes, because user names collide and are too long.

/// Hexadecimal digits kept of a hash: 80 bits.
const HASH_DIGITS: usize = 20;

fn hash(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // The length first: no two lists of parts give the same bytes.
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hex = hasher.finalize().to_hex().to_string();
    hex.truncate(HASH_DIGITS);
    hex
}

/// Name of the pod that serves a branch: the API server's 409 on it is the single flight across replicas.
pub fn serving_pod(tenant_uid: &str, branch: &str) -> String {
    format!("rt-{}", hash(&[tenant_uid, branch]))
}

/// Name of the pod that takes a snapshot.
pub fn worker_pod(snapshot_uid: &str) -> String {
    format!("ws-{}", hash(&[snapshot_uid]))
}

/// Name of the pod that checks how far a branch's WAL can be replayed: one at a time.
pub fn replay_check_pod(tenant_uid: &str, branch: &str) -> String {
    format!("rc-{}", hash(&[tenant_uid, branch]))
}

/// Label value and name part that stands for a class.
pub fn class_hash(class: &str) -> String {
    hash(&[class])
}

/// Name of the NetworkPolicy with a class's own egress rules.
pub fn egress_policy(class_hash: &str) -> String {
    format!("egress-{class_hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_and_differ() {
        let name = serving_pod("6e2b1d1c-8f7d-4b52-9d32-0a6f0f3f2f11", "main");
        assert_eq!(name.len(), 23);
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        assert_ne!(serving_pod("ab", "c"), serving_pod("a", "bc"));
        assert_ne!(serving_pod("a", "main"), serving_pod("b", "main"));
    }
}
