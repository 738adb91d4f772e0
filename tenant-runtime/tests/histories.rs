//! Histories of several connections, each killed at a random boundary: what opens is what was there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

#[path = "support/history/mod.rs"]
mod history;
#[path = "support/life.rs"]
mod life;

use history::{
    History,
    run::{make, run},
    shrink::shrink,
    statements::kinds,
};
use std::collections::BTreeMap;

/// The file that `ROOST_HISTORY` names, by hand or by the test below.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a history"]
async fn one() {
    let path = std::env::var("ROOST_HISTORY").expect("ROOST_HISTORY names a file");
    let history: History = std::fs::read_to_string(path).unwrap().parse().unwrap();
    if let Err(failure) = run(&history).await {
        if std::env::var_os("ROOST_SHRINK").is_some() {
            let (history, failure) = shrink(history, failure).await;
            panic!("shrunk:\n{history}\n{failure}");
        }
        panic!("{failure}");
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn many() {
    let wanted = std::env::var("ROOST_KIND").ok();
    let wanted = wanted.map(|name| kinds().find(|kind| kind.name == name).expect("a kind of statement"));
    let first = number("ROOST_SEED", 1);
    let mut counts = BTreeMap::<_, (u32, u32)>::new();
    let mut failures = 0;
    for seed in first..first + number("ROOST_HISTORIES", 60) {
        eprintln!("seed {seed}");
        let ran = make(seed, wanted).await;
        for (kind, (done, failed)) in ran.kinds {
            let counts = counts.entry(kind).or_default();
            counts.0 += done;
            counts.1 += failed;
        }
        if let Err(failure) = ran.result {
            failures += 1;
            let (mut history, mut failure) = (ran.history, failure);
            if std::env::var_os("ROOST_SHRINK").is_some() {
                (history, failure) = shrink(history, failure).await;
                println!("-- seed {seed}, shrunk:\n{history}");
            }
            let cut: String = failure.to_string().chars().take(1000).collect();
            println!("-- seed {seed}: {cut}");
            let path = format!("/tmp/f/{seed}.sql");
            std::fs::write(&path, history.to_string()).unwrap();
        }
    }
    for (kind, (done, failed)) in counts {
        println!("{kind:35} {done:6} {failed:6}");
    }
    assert_eq!(failures, 0);
}
