//! The state of a runtime pod, in one place: every transition and its cause is logged once.

pub mod ending;

use roost_protocol::status::{Ending, RuntimeState};
use std::path::PathBuf;
use tokio::sync::watch;

/// A transition that the states do not have: a bug of whoever asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a runtime cannot go from {from:?} to {to:?}")]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: RuntimeState,
    /// The state asked for.
    pub to: RuntimeState,
}

/// Whether one state may follow another.
const fn may_follow(from: RuntimeState, to: RuntimeState) -> bool {
    use RuntimeState::{Claimed, Draining, Failed, Fenced, Hydrating, Pooled, Sealed, Serving};
    matches!(
        (from, to),
        (Pooled, Claimed)
            | (Claimed, Hydrating)
            | (Hydrating, Serving)
            | (Pooled | Claimed | Hydrating | Serving, Draining)
            | (Draining, Sealed)
            | (Claimed | Hydrating | Serving | Draining, Fenced)
            | (Pooled | Claimed | Hydrating | Serving | Draining, Failed)
    )
}

/// The state machine. It only moves forward, and ends in Sealed, Fenced or Failed.
#[derive(Debug)]
pub struct Lifecycle {
    state: watch::Sender<RuntimeState>,
    /// Where the last words go.
    last_words: Option<PathBuf>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Lifecycle {
    /// The beginning, with the place where the last words go.
    pub fn new(last_words: Option<PathBuf>) -> Self {
        Self { state: watch::Sender::new(RuntimeState::Pooled), last_words }
    }

    /// Leaves words that are the last ones if the process dies now; none takes them back.
    pub fn foretell(&self, ending: Option<&Ending>) {
        ending::foretell(ending, self.last_words.as_deref());
    }

    /// The state now.
    pub fn state(&self) -> RuntimeState {
        *self.state.borrow()
    }

    /// Goes to a state, once; the loser of a race gets an error.
    pub fn advance(&self, to: RuntimeState, cause: &str) -> Result<(), IllegalTransition> {
        let mut moved_from = Err(IllegalTransition { from: to, to });
        self.state.send_if_modified(|state| {
            let from = *state;
            let legal = may_follow(from, to);
            if legal {
                *state = to;
            }
            moved_from = if legal { Ok(from) } else { Err(IllegalTransition { from, to }) };
            legal
        });
        let from = moved_from?;
        tracing::info!(?from, ?to, cause, "state changed");
        Ok(())
    }

    /// Waits until the state is one of those that `done` accepts.
    pub async fn reached(&self, mut done: impl FnMut(RuntimeState) -> bool) -> RuntimeState {
        let mut states = self.state.subscribe();
        match states.wait_for(|state| done(*state)).await {
            Ok(state) => *state,
            // The sender lives as long as `self`.
            Err(_) => self.state(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RuntimeState::{Claimed, Draining, Failed, Fenced, Hydrating, Pooled, Sealed, Serving};

    const ALL: [RuntimeState; 8] = [Pooled, Claimed, Hydrating, Serving, Draining, Sealed, Fenced, Failed];

    #[test]
    fn states_only_move_forward_and_endings_are_final() {
        for from in ALL {
            for to in ALL {
                if may_follow(from, to) {
                    assert!(from < to, "{from:?} -> {to:?}");
                    assert!(from < Sealed, "{from:?} is final");
                }
            }
        }
    }

    #[test]
    fn a_whole_life_is_possible_and_each_step_once() {
        let lifecycle = Lifecycle::default();
        for to in [Claimed, Hydrating, Serving, Draining, Sealed] {
            lifecycle.advance(to, "test").unwrap();
            assert_eq!(lifecycle.advance(to, "again"), Err(IllegalTransition { from: to, to }));
        }
        assert_eq!(lifecycle.advance(Failed, "late"), Err(IllegalTransition { from: Sealed, to: Failed }));
    }

    #[test]
    fn only_drained_runtimes_seal() {
        for from in [Pooled, Claimed, Hydrating, Serving] {
            assert!(!may_follow(from, Sealed));
        }
    }
}
