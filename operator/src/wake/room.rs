//! Who makes room at a class's ceiling: pure.

use std::time::Duration;

use roost_protocol::status::{RuntimeState, RuntimeStatus};

use crate::pods::PodView;

/// A pod that has a place of the class.
#[derive(Clone, Debug)]
pub struct Occupant {
    /// The pod.
    pub pod: PodView,
    /// What it said of itself just now; none if it could not be asked.
    pub status: Option<RuntimeStatus>,
    /// How long ago something was last asked of it.
    pub quiet: Duration,
}

/// How a place becomes free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// One is about to be: a pod is on its way out.
    Coming,
    /// This one may be asked to leave: the least recently active of those that have nothing to do.
    Ask(usize),
    /// Everybody is at work, starting, or was active a moment ago.
    None,
}

/// Chooses whom to ask. One at a time: while somebody leaves, nobody else is asked. `least` is how long the class lets a
/// tenant be idle at least.
pub fn room(occupants: &[Occupant], least: Duration) -> Room {
    if occupants.iter().any(leaves) {
        return Room::Coming;
    }
    occupants
        .iter()
        .enumerate()
        .filter(|(_, occupant)| idle(occupant) && occupant.quiet >= least)
        .max_by_key(|(_, occupant)| occupant.quiet)
        .map_or(Room::None, |(index, _)| Room::Ask(index))
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
            let stage = Stage::Finished { ending: None, reason: "Completed".into() };
            Occupant { pod: PodView { stage, ..idle(1).pod }, status: None, quiet: Duration::ZERO }
        };
        let deleted = || Occupant { pod: PodView { leaving: true, ..idle(1).pod }, ..silent() };
        let table = [
            (vec![], Room::None),
            (vec![idle(40), idle(90), idle(50)], Room::Ask(1)),
            (vec![busy(400), idle(40)], Room::Ask(1)),
            (vec![busy(400), starting(), silent()], Room::None),
            (vec![idle(29), idle(10)], Room::None),
            (vec![idle(30)], Room::Ask(0)),
            (vec![idle(90), draining()], Room::Coming),
            (vec![idle(90), finished()], Room::Coming),
            (vec![idle(90), deleted()], Room::Coming),
        ];
        for (occupants, expected) in table {
            assert_eq!(room(&occupants, Duration::from_secs(30)), expected, "{occupants:?}");
        }
    }
}
