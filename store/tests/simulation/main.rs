//! The protocol under a seeded scheduler and a bucket that fails in every way: owners race, are killed and
//! frozen at any request, resume as zombies, lose answers. A failing run prints its seed; `ROOST_SEED=n` repeats it,
//! `ROOST_SEEDS=n` sets how many are tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod killed_publish;
mod mutations;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;

use world::simulate;

const DEFAULT_SEEDS: u64 = 400;

fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("ROOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOST_SEEDS").unwrap_or(DEFAULT_SEEDS),
    }
}

#[test]
fn invariants_hold_under_faults() {
    let mut outcomes: BTreeMap<&'static str, u64> = BTreeMap::new();
    let seeds = seeds();
    let single = seeds.end - seeds.start == 1;
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(simulate(seed))));
        match result {
            Ok(counted) => {
                for (what, times) in counted {
                    *outcomes.entry(what).or_default() += times;
                }
            }
            Err(panic) => {
                eprintln!("failing seed: ROOST_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{outcomes:?}");
    // A simulation in which nothing goes wrong, or nothing goes right, tests nothing.
    for expected in [
        "published",
        "sealed",
        "gave up",
        "thawed",
        "died",
        "branch sealed",
        "branch deleted",
        "collected",
        "merged",
        "not collected",
        "publish failed",
        "shipped",
        "fenced",
        "replayed",
        "opened",
    ] {
        assert!(
            single || outcomes.get(expected).is_some_and(|times| *times > 0),
            "{expected} never happened"
        );
    }
}
