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

use history::{History, run::run};

/// The file that `ROOST_HISTORY` names, by hand or by the test below.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a history"]
async fn one() {
    let path = std::env::var("ROOST_HISTORY").expect("ROOST_HISTORY names a file");
    let history: History = std::fs::read_to_string(path).unwrap().parse().unwrap();
    if let Err(failure) = run(&history).await {
        panic!("{failure}");
    }
}
