//! The protocol under a seeded scheduler and a bucket that fails in every way: owners race, are killed and
//! frozen at any request, resume as zombies, lose answers. A failing run prints its seed; `ROOST_SEED=n` repeats it,
//! `ROOST_SEEDS=n` sets how many are tried.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod killed_publish;
mod mutations;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use world::simulate;

const DEFAULT_SEEDS: u64 = 400;

fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("ROOST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ROOST_SEEDS").unwrap_or(DEFAULT_SEEDS),
    }
}

/// Runs the schedules, several at a time; what came of them in all.
fn run(seeds: Range<u64>) -> BTreeMap<&'static str, u64> {
    let (next, outcomes) = (AtomicU64::new(seeds.start), Mutex::new(BTreeMap::new()));
    let run_some = || {
        loop {
            let seed = next.fetch_add(1, SeqCst);
            if seed >= seeds.end {
                return;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            match catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(seed)))) {
                Ok(counted) => {
                    let mut outcomes = outcomes.lock().unwrap();
                    for (what, times) in counted {
                        *outcomes.entry(what).or_default() += times;
                    }
                }
                Err(panic) => {
                    eprintln!("failing seed: ROOST_SEED={seed}");
                    next.store(seeds.end, SeqCst);
                    resume_unwind(panic);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(run_some);
        }
    });
    outcomes.into_inner().unwrap()
}

#[test]
fn invariants_hold_under_faults() {
    let seeds = seeds();
    let (count, begun) = (seeds.end - seeds.start, Instant::now());
    let outcomes = run(seeds);
    let single = count == 1;
    println!("{count} schedules in {:.1} s", begun.elapsed().as_secs_f64());
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
