//! Makes a history that fails shorter, as long as it fails in the same way.

use super::{
    History,
    run::{Failure, run},
};

/// Leaves steps out: first many at a time, at last one by one.
pub async fn shrink(history: History, failure: Failure) -> (History, Failure) {
    let (mut history, mut failure) = (history, failure);
    let mut size = (history.0.len() / 2).max(1);
    loop {
        let mut at = history.0.len();
        let mut shorter = false;
        while at > 0 {
            let from = at.saturating_sub(size);
            let mut fewer = history.clone();
            fewer.0.drain(from..at);
            if let Err(found) = run(&fewer).await
                && found.class() == failure.class()
            {
                (history, failure, shorter) = (fewer, found, true);
            }
            at = from;
        }
        match size {
            1 if !shorter => return (history, failure),
            _ => size = (size / 2).max(1),
        }
    }
}
