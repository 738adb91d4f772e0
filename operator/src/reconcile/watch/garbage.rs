//! When a tenant may have garbage. Pure.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use crate::reconcile::{index::TenantRecord, queue::Key};

/// When a tenant that changed is to be looked at; none if its change leaves no garbage. `before` is none when it is seen
/// for the first time by this replica: then an hour's worth of tenants is spread over the hour.
pub fn due(
    key: &Key,
    before: Option<&TenantRecord>,
    now: &TenantRecord,
    interval: Duration,
) -> Option<Duration> {
    if !now.published {
        return None;
    }
    match before {
        _ if !now.recoverable => Some(Duration::ZERO),
        None => {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            Some(
                interval.mul_f64(
                    f64::from(u16::try_from(hasher.finish() & 0xffff).unwrap_or_default()) / 65536.0,
                ),
            )
        }
        Some(before) => (before.at != now.at).then_some(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(published: bool, recoverable: bool, manifest: u64) -> TenantRecord {
        TenantRecord { published, recoverable, at: Some((1, manifest)), ..TenantRecord::default() }
    }

    #[test]
    fn a_tenant_is_due_when_it_moved_and_soon_the_first_time() {
        let (key, hour) = (Key::new("shop", "acme"), Duration::from_hours(1));
        let due = |before: Option<TenantRecord>, now: TenantRecord| due(&key, before.as_ref(), &now, hour);
        assert_eq!(due(None, seen(false, false, 0)), None);
        assert_eq!(due(Some(seen(false, false, 0)), seen(true, false, 1)), Some(Duration::ZERO));
        assert_eq!(due(Some(seen(true, true, 1)), seen(true, true, 2)), Some(hour));
        assert_eq!(due(Some(seen(true, true, 2)), seen(true, true, 2)), None);
        let spread = due(None, seen(true, true, 2)).unwrap();
        assert!(spread < hour && spread > Duration::ZERO, "{spread:?}");
    }
}
