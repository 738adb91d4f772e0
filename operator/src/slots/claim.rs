//! Which slot to try next, as a pure function of the Leases of a class.

use std::{collections::BTreeMap, time::Duration};

/// Time for which a slot without a pod is left alone: its taker may be about to create the pod.
pub const UNUSED_GRACE: Duration = Duration::from_mins(1);

/// A Lease that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Name of the Lease.
    pub name: String,
    /// Its number, below the class's ceiling when it was taken.
    pub number: u32,
    /// Pod that it was taken for.
    pub pod: String,
    /// Distinguishes this taking from every other.
    pub token: String,
    /// Time since it was taken.
    pub age: Duration,
}

/// The next step for a pod that needs a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The pod's name has one already, left by its predecessor or by another replica: renew it.
    Renew(String),
    /// Create the one of this number.
    Create(u32),
    /// Every number below the ceiling is taken.
    Full,
}

/// Chooses. `spread` is random, so that replicas do not all try the same number.
pub fn next(slots: &[Slot], active: u32, pod: &str, spread: u32) -> Next {
    // Another replica may have taken one for the same pod a moment ago; renewing is a compare-and-swap.
    if let Some(own) = slots.iter().filter(|slot| slot.pod == pod).min_by_key(|slot| slot.number) {
        return Next::Renew(own.name.clone());
    }
    let taken: std::collections::BTreeSet<u32> = slots.iter().map(|slot| slot.number).collect();
    // Those above a lowered ceiling count as well: the pods exist.
    if taken.len() >= usize::try_from(active).unwrap_or(usize::MAX) {
        return Next::Full;
    }
    let start = spread.checked_rem(active).unwrap_or(0);
    (start..active).chain(0..start).find(|number| !taken.contains(number)).map_or(Next::Full, Next::Create)
}

/// Slots whose pod does not exist or occupies another slot, and whose taker had time enough. `pods` maps the names
/// of existing pods to the slots that they name, as [`super::Taken`] writes them.
pub fn unused<'a>(slots: &'a [Slot], pods: &BTreeMap<String, Option<String>>) -> Vec<&'a Slot> {
    slots
        .iter()
        .filter(|slot| slot.age >= UNUSED_GRACE)
        .filter(|slot| {
            pods.get(&slot.pod)
                .is_none_or(|occupied| occupied.as_ref() != Some(&format!("{}/{}", slot.name, slot.token)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(number: u32, pod: &str, age: u64) -> Slot {
        let age = Duration::from_secs(age);
        Slot { name: format!("c-{number}"), number, pod: pod.into(), token: "t".into(), age }
    }

    #[test]
    fn a_pod_gets_its_own_slot_or_a_free_one_below_the_ceiling() {
        let two = [slot(0, "rt-a", 5), slot(2, "rt-b", 5)];
        let table = [
            (&two[..], 3, "rt-c", 0, Next::Create(1)),
            (&two[..], 3, "rt-c", 2, Next::Create(1)),
            (&two[..], 4, "rt-c", 7, Next::Create(3)),
            (&two[..], 2, "rt-c", 0, Next::Full),
            (&two[..], 1, "rt-c", 0, Next::Full),
            (&two[..], 2, "rt-b", 0, Next::Renew("c-2".into())),
            (&[], 0, "rt-a", 9, Next::Full),
            (&[], 1, "rt-a", 9, Next::Create(0)),
        ];
        for (slots, active, pod, spread, expected) in table {
            assert_eq!(next(slots, active, pod, spread), expected, "{slots:?} {active} {pod} {spread}");
        }
    }

    #[test]
    fn unused_ones_are_old_and_name_no_pod_of_theirs() {
        let slots = [slot(0, "rt-a", 90), slot(1, "rt-b", 90), slot(2, "rt-c", 90), slot(3, "rt-d", 5)];
        let pods = [("rt-a", Some("c-0/t")), ("rt-b", Some("c-1/u"))]
            .map(|(pod, slot)| (pod.to_owned(), slot.map(str::to_owned)))
            .into();
        let names: Vec<_> = unused(&slots, &pods).into_iter().map(|slot| slot.name.as_str()).collect();
        assert_eq!(names, ["c-1", "c-2"]);
    }

    proptest! {
        #[test]
        fn a_created_number_is_free_and_below_the_ceiling(
            taken in prop::collection::btree_set(0_u32..20, 0..20), active in 0_u32..20, spread: u32,
        ) {
            let slots: Vec<_> = taken.iter().map(|n| slot(*n, "other", 0)).collect();
            match next(&slots, active, "rt-new", spread) {
                Next::Create(number) => prop_assert!(number < active && !taken.contains(&number)),
                Next::Full => prop_assert!(taken.len() >= active as usize),
                Next::Renew(_) => prop_assert!(false, "nothing is its own"),
            }
        }
    }
}
