//! Every rule of the protocol is needed: without it, the checker finds the invariant that breaks.
#![allow(clippy::panic, reason = "tests")]

use roost_store_model::{StoreModel, Switch, bounds, properties as broken};
use stateright::{Checker, HasDiscoveries, Model};

/// Bounds within which a switch shows, and the invariant that it breaks.
fn broken_by(switch: Switch) -> (StoreModel, &'static str) {
    match switch {
        Switch::SkipSeal
        | Switch::OpenBeforeSealing
        | Switch::AcknowledgeBeforePut
        | Switch::AcknowledgeBeforeNamed
        | Switch::OpenGate
        | Switch::UnconditionalSlot => (bounds::two_owners(), broken::SURVIVES),
        Switch::UnconditionalHead => (bounds::two_owners(), broken::ONLY_GROWS),
        Switch::NewPutId => (bounds::two_owners(), broken::NO_FALSE_LOSS),
        Switch::FreezeAgain | Switch::StreamWithoutEpoch => (bounds::two_owners(), broken::PREFIX),
        Switch::SealSource => (bounds::source(), broken::NO_FALSE_LOSS),
        Switch::ReadWithoutProof | Switch::ProofFromAnswer => (bounds::reads(), broken::READS_PROVEN),
        Switch::DropCarriedPacks | Switch::CollectByAge => (bounds::zombies(), broken::HEAD_READABLE),
        Switch::CollectSeals => (bounds::zombies(), broken::SURVIVES),
        Switch::CollectBeforeSeal => (bounds::zombies(), broken::NOTHING_LATE),
        // Either of two rules keeps the packs of the stream that HEAD names.
        Switch::EpochEndsStream => (bounds::zombies().with(Switch::ForgetStreamPacks), broken::HEAD_READABLE),
        Switch::ForgetStreamPacks | Switch::LookOnce | Switch::IgnoreCondemned => {
            (bounds::reader(), broken::PIN_READABLE)
        }
        Switch::CondemnedBeforePin | Switch::IgnoreExpired => (bounds::reader(), broken::PIN_READABLE),
        Switch::MergeGuards => (bounds::merging_beside_zombies(), broken::NOTHING_LATE),
        Switch::MergeOpen => {
            (StoreModel { max_commits: 2, max_slots: 2, ..bounds::merging() }, broken::PAST_READABLE)
        }
        Switch::TrustFirstHead => (bounds::merging_beside_readers(), broken::PIN_CURRENT),
        Switch::IgnoreMerged => (bounds::merging(), broken::PAST_READABLE),
        Switch::ForgetOldestPages => (bounds::window(), broken::PAST_READABLE),
        Switch::KeepPartOfStream => (bounds::two_readers(), broken::PIN_READABLE),
        Switch::RemoveListsInUse | Switch::SharedPinName => (bounds::two_runs(), broken::PIN_READABLE),
        Switch::UnpinUndecided => (bounds::branch(), broken::HEAD_READABLE),
        Switch::DeleteHead | Switch::DeleteWithoutMark => (bounds::deletion(), broken::HEAD_READABLE),
    }
}

/// Counts the steps that lead to a state that breaks an invariant; none if no state does.
fn steps_to(model: StoreModel, property: &'static str) -> Option<usize> {
    let finish = HasDiscoveries::AllOf([property].into());
    let checker = model.checker().finish_when(finish).spawn_bfs().join();
    checker.discovery(property).map(|path| path.into_actions().len())
}

#[test]
fn every_switch_breaks_an_invariant() {
    let mut harmless = Vec::new();
    for switch in Switch::ALL {
        let (model, property) = broken_by(*switch);
        match steps_to(model.with(*switch), property) {
            Some(steps) => println!("{switch:?} breaks \"{property}\" in {steps} steps"),
            None => harmless.push((switch, property)),
        }
    }
    assert!(harmless.is_empty(), "the checker finds nothing wrong with {harmless:?}");
}

/// The packs of the stream that HEAD names are kept twice: with that stream, and because its attempt has not ended.
#[test]
fn packs_of_the_named_stream_are_kept_twice() {
    for switch in [Switch::EpochEndsStream, Switch::ForgetStreamPacks] {
        assert_eq!(steps_to(bounds::zombies().with(switch), broken::HEAD_READABLE), None, "{switch:?}");
    }
}

/// A position that was found before its stream was collected, or while it was, is found in part.
#[test]
fn a_pin_of_a_manifest_keeps_its_stream() {
    let model = bounds::two_readers().with(Switch::KeepPartOfStream).with(Switch::TrustFirstHead);
    assert!(steps_to(model, broken::PIN_CURRENT).is_some());
    let model = bounds::past().with(Switch::KeepPartOfStream);
    assert!(steps_to(model, broken::PIN_READABLE).is_some());
}
