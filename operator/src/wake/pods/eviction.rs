//! Eviction at a class's ceiling: which idle tenant is asked to leave. Pure.

use std::time::Duration;

use roost_protocol::status::{RuntimeState, RuntimeStatus};

use crate::pods::PodView;

/// A pod that has a place of the class.
#[derive(Clone, Debug)]
pub struct Occupant {
    /// The pod.
    pub pod: PodView,
    /// The status that it told just now; none if it could not be asked.
    pub status: Option<RuntimeStatus>,
    /// Time since something was last asked of it.
    pub quiet: Duration,
}

/// Way in which a place becomes free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// One is about to be: a pod is on its way out.
    UnderWay,
    /// This one may be asked to leave: the least recently active of those that have nothing to do.
    Ask(usize),
    /// Everybody is at work, starting, or was active a moment ago.
    None,
}

/// Chooses a tenant to ask. One at a time: while somebody leaves, nobody else is asked. `least` is how long the class lets a
/// tenant be idle at least.
pub fn choose(occupants: &[Occupant], least: Duration) -> Eviction {
    if occupants.iter().any(leaves) {
        return Eviction::UnderWay;
    }
    occupants
        .iter()
        .enumerate()
        .filter(|(_, occupant)| idle(occupant) && occupant.quiet >= least)
        .max_by_key(|(_, occupant)| occupant.quiet)
        .map_or(Eviction::None, |(index, _)| Eviction::Ask(index))
}

fn leaves(occupant: &Occupant) -> bool {
    let state = occupant.status.as_ref().map(|status| status.state);
    occupant.pod.leaving
        || occupant.pod.finished()
        || state.is_some_and(|state| state >= RuntimeState::Draining)
}

/// Serves and runs nothing. A transaction does not outlive its request, so nothing running means none open.
fn idle(occupant: &Occupant) -> bool {
    occupant
        .status
        .as_ref()
        .is_some_and(|status| status.state == RuntimeState::Serving && status.running == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::{Stage, samples};

    fn occupant(state: Option<RuntimeState>, running: u32, quiet: u64) -> Occupant {
        let status = state.map(|state| RuntimeStatus { running, ..samples::status(state) });
        Occupant { pod: samples::pod(), status, quiet: Duration::from_secs(quiet) }
    }

    fn idle(quiet: u64) -> Occupant {
        occupant(Some(RuntimeState::Serving), 0, quiet)
    }

    fn busy(quiet: u64) -> Occupant {
        occupant(Some(RuntimeState::Serving), 1, quiet)
    }

    #[test]
    fn the_least_recently_active_idle_one_is_asked() {
        let starting = || occupant(Some(RuntimeState::Hydrating), 0, 500);
        let silent = || occupant(None, 0, 500);
        let draining = || occupant(Some(RuntimeState::Draining), 0, 1);
        let finished = || {
            let stage = Stage::Finished { ending: None, exit: samples::exit("Completed", 0) };
            Occupant { pod: PodView { stage, ..idle(1).pod }, status: None, quiet: Duration::ZERO }
        };
        let deleted = || Occupant { pod: PodView { leaving: true, ..idle(1).pod }, ..silent() };
        let table = [
            (vec![], Eviction::None),
            (vec![idle(40), idle(90), idle(50)], Eviction::Ask(1)),
            (vec![busy(400), idle(40)], Eviction::Ask(1)),
            (vec![busy(400), starting(), silent()], Eviction::None),
            (vec![idle(29), idle(10)], Eviction::None),
            (vec![idle(30)], Eviction::Ask(0)),
            (vec![idle(90), draining()], Eviction::UnderWay),
            (vec![idle(90), finished()], Eviction::UnderWay),
            (vec![idle(90), deleted()], Eviction::UnderWay),
        ];
        for (occupants, expected) in table {
            assert_eq!(choose(&occupants, Duration::from_secs(30)), expected, "{occupants:?}");
        }
    }
}
