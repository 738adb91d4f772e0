//! The invariants, with their numbers in the design, and states that a run must reach to be worth anything.

use stateright::Property;

use crate::bucket::{DEV, End, Head, MAIN, Object, Position};
use crate::collector::Collector;
use crate::owner::Phase;
use crate::pinner::{Deleter, Kind, Pinner};
use crate::{State, StoreModel, Switch};

/// 1: every acknowledged commit of a branch that is there survives any takeover.
pub const SURVIVES: &str = "1: an acknowledged commit survives";
/// 2 and 7: no PUT is acknowledged that arrived after its stream had ended.
pub const NOTHING_LATE: &str = "2, 7: nothing late is acknowledged";
/// 3, 6 and 10: HEAD names what can be read, at every step of a publish.
pub const HEAD_READABLE: &str = "3, 6, 10: what HEAD names can be read";
/// 4 and 5: what is opened is a prefix of the order in which commits were made.
pub const PREFIX: &str = "4, 5: an opened state is a commit boundary";
/// 5: a pin of the last durable commit keeps all that was acknowledged when it was asked for.
pub const PIN_CURRENT: &str = "5: a pin keeps what was acknowledged before";
/// 6: a promised position can be read.
pub const PIN_READABLE: &str = "6: what a pin promises can be read";
/// 6: what the recovery window keeps can be read.
pub const PAST_READABLE: &str = "6: the past in the window can be read";
/// 8: HEAD's epoch and number only grow.
pub const ONLY_GROWS: &str = "8: HEAD only grows";
/// 11: no read is answered from a state that is older than a proof may be.
pub const READS_PROVEN: &str = "11: no stale read";
/// No owner takes itself for fenced while it is not: every ambiguous write is settled as what it was.
pub const NO_FALSE_LOSS: &str = "an owner ends only when another epoch has the branch";

/// All that are checked within some bounds: an invariant always, an occurrence if the bounds allow it.
pub fn all(model: &StoreModel) -> Vec<Property<StoreModel>> {
    let mut properties = vec![
        Property::always(HEAD_READABLE, |_, state| head_readable(state)),
        Property::always(SURVIVES, |_, state| survives(state)),
        Property::always(PREFIX, |_, state| prefix(state)),
        Property::always(NOTHING_LATE, |_, state: &State| !state.wrong.late),
        Property::always(ONLY_GROWS, |_, state: &State| !state.wrong.went_back),
        Property::always(NO_FALSE_LOSS, |_, state: &State| !state.wrong.gave_up),
    ];
    if !model.pinners.is_empty() {
        properties.push(Property::always(PIN_READABLE, pin_readable));
        properties.push(Property::always(PIN_CURRENT, pin_current));
        properties.push(Property::sometimes("a pin became a promise", |_, state: &State| {
            state.pinners.iter().any(|pinner| matches!(pinner, Pinner::Promised(..)))
        }));
    }
    if model.window > 0 {
        properties.push(Property::always(PAST_READABLE, past_readable));
    }
    if model.ticks > 0 {
        properties.push(Property::always(READS_PROVEN, reads_proven));
    }
    if model.switches.is_empty() {
        occurrences(model, &mut properties);
    }
    properties
}

fn occurrences(model: &StoreModel, properties: &mut Vec<Property<StoreModel>>) {
    if model.owners.starts_with(&[MAIN, MAIN]) {
        properties.push(Property::sometimes("a zombie was fenced", |_, state: &State| {
            state.owners.iter().any(|owner| owner.phase == Phase::Fenced)
        }));
        if model.max_commits > 0 {
            properties.push(Property::sometimes("a commit was replayed", |_, state: &State| {
                state.owners.iter().any(|owner| {
                    let replayed = |commit: &u8| state.commits[usize::from(*commit)].epoch < owner.epoch();
                    owner.phase == Phase::Serving && owner.history.iter().any(replayed)
                })
            }));
        }
    }
    if model.max_commits > 0 {
        properties.push(Property::sometimes("a commit went to the next stream", |_, state: &State| {
            let waits = |end: &End| end.sequence > 0;
            state.owners.iter().any(|owner| owner.next.as_ref().is_some_and(waits))
        }));
    }
    if model.evict {
        properties.push(Property::sometimes("a branch was sealed", |_, state: &State| {
            state.bucket.heads.get(&MAIN).is_some_and(|head| head.sealed && head.epoch > 0)
        }));
    }
    if model.collectors > 0 {
        properties.push(Property::sometimes("garbage was collected", |_, state: &State| {
            state.collectors.contains(&Collector::Done(true))
        }));
    }
    if model.merging {
        properties.push(Property::sometimes("only a merged stream was left", |_, state: &State| {
            let mut merged = state.bucket.merged.keys();
            merged.any(|stream| state.bucket.stream(*stream).next().is_none())
        }));
    }
    if model.pinners.contains(&Kind::Branch) {
        properties.push(Property::sometimes("a branch was created", |_, state: &State| {
            state.bucket.heads.get(&DEV).is_some_and(|head| !head.deleted)
        }));
    }
    if model.pinners.contains(&Kind::Branch) && model.owners.contains(&DEV) {
        properties.push(Property::sometimes("a branch was published", |_, state: &State| {
            state.bucket.heads.get(&DEV).is_some_and(|head| head.manifest.is_some())
        }));
    }
    if model.deletion {
        properties.push(Property::sometimes("a branch was deleted", |_, state: &State| {
            state.deleter == Deleter::Done
        }));
    }
}

fn head_readable(state: &State) -> bool {
    let mut heads = state.bucket.heads.values().filter(|head| !head.deleted);
    heads.all(|head| state.bucket.recover(head).is_some())
}

fn survives(state: &State) -> bool {
    recovered(state).all(|(branch, history)| {
        let mut commits = (0u8..).zip(&state.commits);
        commits.all(|(i, commit)| commit.branch != branch || !commit.acknowledged || history.contains(&i))
    })
}

fn prefix(state: &State) -> bool {
    recovered(state).all(|(_, history)| {
        let mut commits = history.iter().enumerate();
        commits.all(|(i, commit)| state.commits[usize::from(*commit)].before == history[..i])
    })
}

/// Lists each branch with the commits that opening it gives; one that does not open breaks an invariant of its own.
fn recovered(state: &State) -> impl Iterator<Item = (u8, Vec<u8>)> {
    let heads = state.bucket.heads.iter().filter(|(_, head): &(_, &Head)| !head.deleted);
    heads.filter_map(|(branch, head)| Some((*branch, state.bucket.recover(head)?)))
}

/// Positions that somebody relies on, and the commits that must be in each. Nobody waits for a branch that is deleted.
fn promises<'a>(
    model: &'a StoreModel,
    state: &'a State,
) -> impl Iterator<Item = (&'a Position, &'a Vec<u8>)> {
    let wanted = |kind| kind != Kind::Branch || state.deleter != Deleter::Done;
    state.pinners.iter().zip(&model.pinners).filter_map(move |(pinner, kind)| match pinner {
        Pinner::Promised(position, known) if wanted(*kind) => Some((position, known)),
        _ => None,
    })
}

fn pin_readable(model: &StoreModel, state: &State) -> bool {
    promises(model, state).all(|(position, _)| state.bucket.read(position).is_some())
}

fn pin_current(model: &StoreModel, state: &State) -> bool {
    promises(model, state).all(|(position, known)| {
        let history = state.bucket.read(position);
        history.is_none_or(|history| known.iter().all(|commit| history.contains(commit)))
    })
}

fn past_readable(model: &StoreModel, state: &State) -> bool {
    state.bucket.heads.values().filter(|head| !head.deleted).all(|head| {
        let Some(mut id) = head.manifest else { return true };
        for _ in 0..model.window {
            let Some(manifest) = state.bucket.manifests.get(&id) else { return false };
            let Some(parent) = manifest.parent.filter(|parent| parent.manifest.branch == id.branch) else {
                return true;
            };
            if !state.bucket.exists(&Object::Manifest(parent.manifest))
                || state.bucket.read(&parent).is_none()
            {
                return false;
            }
            id = parent.manifest;
        }
        true
    })
}

/// An owner that may answer a read has the newest epoch, or one that nobody acknowledged anything after when its
/// proof was young.
fn reads_proven(model: &StoreModel, state: &State) -> bool {
    state.owners.iter().filter(|owner| owner.phase == Phase::Serving).all(|owner| {
        let proven = owner.proof == Some(state.now) || model.on(Switch::ReadWithoutProof);
        !proven || state.acknowledged_before[usize::from(owner.branch)] <= owner.epoch()
    })
}
