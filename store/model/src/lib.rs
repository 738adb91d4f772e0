//! A bounded model of the storage protocol, for an explicit-state model checker.
//!
//! The names are those of the code. What stands for what:
//!
//! | model | `roost-store` |
//! |---|---|
//! | [`bucket`] | the objects, `format`, `position`, `stream::{read, merge, merged}` |
//! | [`request`] | `bucket.rs`: conditional writes, answers that decide nothing, reading back |
//! | [`owner`], `take_over` | `branch::{take_over, ship, publish, owned}`, `stream::seal` |
//! | [`collector`] | `garbage::run`, `garbage::condemned`, `reachability::{walk, standing, reached, history}` |
//! | [`pinner`] | `tenant::{pins, moment, branches}` |
//! | [`properties`] | the invariants |
//! | [`Switch`] | the rules, each of which can be broken |
//!
//! A process may stay where it is between any two actions, so that death, freezing and zombies need no action of their
//! own. A conditional write is sent, delivered, answered and settled in separate actions; its answer may be lost, and a
//! copy that is sent again leaves the first one on its way.
//!
//! Not modelled: chunks and pages (a manifest refers to its own pack, the one of the publish before, and those that the
//! stream between carried), segments of several commits, DuckDB, the local disk, encryption, whose prefix it is, the
//! length of a grace, a merged object that is too long, and time but for [`Action::Tick`], which lets all proofs grow old. A pin is removed by whoever put it.

use std::collections::BTreeSet;

use stateright::{Model, Property};

pub mod bounds;
pub mod bucket;
pub mod collector;
pub mod owner;
pub mod pinner;
pub mod properties;
pub mod request;
mod switches;
mod take_over;

pub use switches::Switch;

use bucket::{
    Branch, Bucket, Commit, End, Epoch, Head, MAIN, Manifest, ManifestId, Number, Purpose, PutId, packed,
};
use collector::Collector;
use owner::{Owner, Phase};
use pinner::{Deleter, Kind, Pinner};
use request::{Answer, Request, Which};

/// The bounds of a run, and the switches that are on.
#[derive(Clone, Debug, Default)]
pub struct StoreModel {
    /// The processes that may own a branch, by their branch. The first one serves main from the beginning.
    pub owners: Vec<Branch>,
    /// Runs of the collector.
    pub collectors: u8,
    /// The processes that pin positions of main, by what their pins are for.
    pub pinners: Vec<Kind>,
    /// Whether the branch may be deleted that a pinner creates.
    pub deletion: bool,
    /// Publishes before HEAD's that the recovery window keeps.
    pub window: u8,
    /// Most commits.
    pub max_commits: u8,
    /// Most segments of a stream.
    pub max_slots: u8,
    /// Whether streams that are over are merged.
    pub merging: bool,
    /// Highest number of a manifest.
    pub max_number: Number,
    /// Whether owners may seal HEAD and go.
    pub evict: bool,
    /// Answers that may be lost, and requests that may arrive late or twice.
    pub faults: u8,
    /// Most ticks, at each of which all proofs grow old.
    pub ticks: u8,
    /// The rules of the protocol that are broken.
    pub switches: Vec<Switch>,
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The bucket.
    pub bucket: Bucket,
    /// Requests on their way to it.
    pub network: Vec<Request>,
    /// The owners.
    pub owners: Vec<Owner>,
    /// The collectors.
    pub collectors: Vec<Collector>,
    /// The pinners.
    pub pinners: Vec<Pinner>,
    /// The process that deletes the branch.
    pub deleter: Deleter,
    /// For the checker: every commit.
    pub commits: Vec<Committed>,
    /// For the checker: by branch, the highest epoch that acknowledged a commit.
    pub acknowledged_by: [Epoch; 2],
    /// For the checker: the same before the last tick.
    pub acknowledged_before: [Epoch; 2],
    /// For the checker: violations that happened.
    pub wrong: Wrong,
    /// Ticks so far.
    pub now: u8,
    /// Faults that are left.
    pub faults: u8,
}

/// A commit as the checker knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    /// The branch that it was made on.
    pub branch: Branch,
    /// Epoch of the owner that made it.
    pub epoch: Epoch,
    /// The commits that were in its database before it.
    pub before: Vec<Commit>,
    /// Whether a client may know that it is durable.
    pub acknowledged: bool,
    /// Whether its owner heard of a PUT that came too late.
    pub late: bool,
}

/// Violations that no single state shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrong {
    /// A commit was acknowledged by a PUT that arrived after the stream had ended.
    pub late: bool,
    /// An owner took itself for fenced, and nobody had taken over.
    pub gave_up: bool,
    /// HEAD went back.
    pub went_back: bool,
}

/// One step of a process, of the network or of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An owner reads HEAD and sends its own.
    TakeOver(usize),
    /// A commit, and the PUT of its segment.
    Ship(usize),
    /// Freeze, upload, and the write of HEAD.
    Publish(usize),
    /// The last publish.
    Seal(usize),
    /// The seal of a branch that has nothing to publish.
    Relinquish(usize),
    /// A publish in place of one that was frozen and not named.
    FreezeAgain(usize),
    /// HEAD is read again.
    Prove(usize),
    /// The answer of that.
    Proven(usize),
    /// An owner looks at the answer of a write, or reads back because it lost it.
    Settle(usize, Which),
    /// An answer is lost.
    LoseAnswer(usize, Which),
    /// The bucket gets a request.
    Deliver(Request),
    /// All proofs grow old.
    Tick,
    /// A collector goes on.
    Collect(usize),
    /// A stream that is over is put into one object.
    Merge(End),
    /// A pinner goes on.
    Pin(usize),
    /// A pinner's last request is late, or arrives twice.
    PinLate(usize),
    /// The deletion of the branch goes on.
    Delete,
}

impl StoreModel {
    /// The same bounds, and one switch more that is on.
    #[must_use]
    pub fn with(&self, switch: Switch) -> Self {
        let mut model = self.clone();
        model.switches.push(switch);
        model
    }

    pub(crate) fn on(&self, switch: Switch) -> bool {
        self.switches.contains(&switch)
    }

    /// HEAD's epoch and number only grow, and a publish continues what was published.
    fn watch_head(state: &mut State, before: Option<Head>, head: &Head) {
        let Some(before) = before else { return };
        let history = |head: &Head| {
            let manifest = head.manifest.and_then(|id| state.bucket.manifests.get(&id));
            manifest.map(|manifest| manifest.history.clone()).unwrap_or_default()
        };
        let continues = head.deleted || history(head).starts_with(&history(&before));
        let grows = head.epoch >= before.epoch && head.number() >= before.number();
        state.wrong.went_back |= !(continues && grows);
    }

    fn owner_actions(&self, state: &State, i: usize, actions: &mut Vec<Action>) {
        let owner = &state.owners[i];
        // Processes are alike, so the first one that has not begun stands for all of them.
        let first =
            !state.owners[..i].iter().any(|other| (other.branch, other.phase) == (owner.branch, Phase::Idle));
        let alive = state.bucket.heads.get(&owner.branch).is_some_and(|head| !head.deleted);
        if owner.phase == Phase::Idle && first && alive {
            actions.push(Action::TakeOver(i));
        }
        if self.may_commit(state, owner) {
            actions.push(Action::Ship(i));
        }
        if self.may_publish(owner) {
            actions.push(Action::Publish(i));
            if self.evict {
                actions.push(Action::Seal(i));
            }
        }
        if self.evict && Self::may_relinquish(owner) {
            actions.push(Action::Relinquish(i));
        }
        if self.may_freeze_again(state, owner) {
            actions.push(Action::FreezeAgain(i));
        }
        if self.ticks > 0 && owner.phase == Phase::Serving {
            actions.push(if owner.asked.is_some() { Action::Proven(i) } else { Action::Prove(i) });
        }
        for (which, write) in [(Which::Slot, owner.slot_write), (Which::Head, owner.head_write)] {
            let Some(write) = write else { continue };
            if write.answer != Answer::Awaited {
                actions.push(Action::Settle(i, which));
            }
            if write.answer != Answer::Lost && state.faults > 0 {
                actions.push(Action::LoseAnswer(i, which));
            }
        }
    }
}

impl Model for StoreModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let manifest = ManifestId { branch: MAIN, epoch: 0, number: 1 };
        let put_id = PutId { by: u8::MAX, purpose: Purpose::Create, epoch: 0, number: 0, again: 0 };
        let sealed = Head {
            put_id,
            epoch: 0,
            manifest: Some(manifest),
            source: None,
            stream: None,
            sealed: true,
            deleted: false,
        };
        let packs = BTreeSet::from([packed(manifest)]);
        let first = Manifest { history: Vec::new(), packs: packs.clone(), parent: None };
        let bucket = Bucket {
            heads: [(MAIN, sealed)].into(),
            manifests: [(manifest, first)].into(),
            packs,
            ..Bucket::default()
        };
        let mut state = State {
            bucket,
            network: Vec::new(),
            owners: self.owners.iter().map(|branch| Owner::new(*branch)).collect(),
            collectors: vec![Collector::Idle; usize::from(self.collectors)],
            pinners: vec![Pinner::Idle; self.pinners.len()],
            deleter: Deleter::Idle,
            commits: Vec::new(),
            acknowledged_by: [0; 2],
            acknowledged_before: [0; 2],
            wrong: Wrong::default(),
            now: 0,
            faults: self.faults,
        };
        if self.owners.first() == Some(&MAIN) {
            self.take_over(&mut state, 0);
            for request in state.network.clone() {
                self.deliver(&mut state, &request);
            }
            self.settle(&mut state, 0, Which::Head);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for i in 0..state.owners.len() {
            self.owner_actions(state, i, actions);
        }
        actions.extend(state.network.iter().map(|request| Action::Deliver(*request)));
        if state.now < self.ticks {
            actions.push(Action::Tick);
        }
        for i in 0..state.collectors.len() {
            if self.may_collect(state, i) {
                actions.push(Action::Collect(i));
            }
        }
        actions.extend(self.mergeable(&state.bucket).into_iter().map(Action::Merge));
        for i in 0..state.pinners.len() {
            if self.may_pin(state, i) {
                actions.push(Action::Pin(i));
            }
            if self.may_pin_late(state, i) {
                actions.push(Action::PinLate(i));
            }
        }
        if self.may_delete(state) {
            actions.push(Action::Delete);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::TakeOver(i) => self.take_over(&mut state, i),
            Action::Ship(i) => self.ship(&mut state, i),
            Action::Publish(i) => self.publish(&mut state, i, false),
            Action::Seal(i) => self.publish(&mut state, i, true),
            Action::Relinquish(i) => Self::relinquish(&mut state, i),
            Action::FreezeAgain(i) => self.freeze_again(&mut state, i),
            Action::Prove(i) => Self::prove(&mut state, i),
            Action::Proven(i) => self.proven(&mut state, i),
            Action::Settle(i, which) => self.settle(&mut state, i, which),
            Action::LoseAnswer(i, which) => {
                let owner = &mut state.owners[i];
                let write = if which == Which::Slot { &mut owner.slot_write } else { &mut owner.head_write };
                write.as_mut()?.answer = Answer::Lost;
                state.faults -= 1;
            }
            Action::Deliver(request) => self.deliver(&mut state, &request),
            Action::Tick => {
                state.now += 1;
                state.acknowledged_before = state.acknowledged_by;
            }
            Action::Collect(i) => self.collect(&mut state, i),
            Action::Merge(end) => self.merge(&mut state, end),
            Action::Pin(i) => self.pin(&mut state, i),
            Action::PinLate(i) => self.pin_late(&mut state, i),
            Action::Delete => self.delete_branch(&mut state),
        }
        self.tidy(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }
}
