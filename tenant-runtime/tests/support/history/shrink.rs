//! Makes a history that fails shorter, as long as it fails in the same way.

use super::{History, child::Task};
use std::path::Path;

/// A history that fails.
pub struct Failing {
    pub history: History,
    /// The kind of failure.
    pub class: String,
    /// All of it.
    pub what: String,
}

/// Leaves steps out: first many at a time, at last one by one.
pub fn shrink(mut failing: Failing, folder: &Path, table_off: bool) -> Failing {
    let mut size = (failing.history.0.len() / 2).max(1);
    loop {
        let (mut at, mut shorter) = (failing.history.0.len(), false);
        while at > 0 {
            let from = at.saturating_sub(size);
            let mut history = failing.history.clone();
            history.0.drain(from..at);
            if let Some((class, what)) = Task::failure_of(&history, folder, table_off)
                && class == failing.class
            {
                (failing, shorter) = (Failing { history, class, what }, true);
            }
            at = from;
        }
        if size == 1 && !shorter {
            return failing;
        }
        size = (size / 2).max(1);
    }
}
