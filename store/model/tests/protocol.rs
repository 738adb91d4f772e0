//! The protocol keeps its invariants in every state within some bounds, and gets to the states that matter.
#![allow(clippy::panic, reason = "tests")]

use roost_store_model::bucket::MAIN;
use roost_store_model::pinner::Kind;
use roost_store_model::{StoreModel, bounds};
use stateright::{Checker, Model};

/// Visits every state. Prints how many there are: a rule that is too strict shows as a number that shrank.
fn holds(name: &str, model: StoreModel) {
    let checker = model.checker().spawn_bfs().join();
    println!(
        "{name}: {} states, the longest path has {} steps",
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn takeovers_publishes_and_lost_answers() {
    holds("two owners", bounds::two_owners());
    holds("three owners", bounds::three_owners());
}

#[test]
fn answers_of_reads() {
    holds("reads", bounds::reads());
}

#[test]
fn garbage_beside_zombies() {
    holds("zombies", bounds::zombies());
    holds("window", bounds::window());
    holds("merging", bounds::merging());
    holds("merging beside readers", bounds::merging_beside_readers());
    holds("merging beside zombies", bounds::merging_beside_zombies());
}

#[test]
fn pins_beside_garbage() {
    holds("reader", bounds::reader());
    holds("two readers", bounds::two_readers());
    holds("past", bounds::past());
    holds("two runs", bounds::two_runs());
}

#[test]
fn branches_are_created_and_deleted() {
    holds("branch", bounds::branch());
    holds("source", bounds::source());
    holds("deletion", bounds::deletion());
    holds("deletion while open", bounds::deletion_while_open());
}

/// Some minutes: the same with more of everything.
#[test]
#[ignore = "soak"]
fn soak_larger_bounds() {
    let models = [
        ("two owners", StoreModel { faults: 2, max_number: 3, max_commits: 4, ..bounds::two_owners() }),
        ("three owners", StoreModel { faults: 1, max_commits: 3, ..bounds::three_owners() }),
        ("reads", StoreModel { ticks: 2, max_commits: 2, faults: 1, ..bounds::reads() }),
        ("zombies", StoreModel { max_slots: 2, max_commits: 3, evict: true, ..bounds::zombies() }),
        ("window", StoreModel { max_commits: 2, faults: 1, ..bounds::window() }),
        ("merging", StoreModel { max_commits: 2, max_slots: 2, ..bounds::merging() }),
        ("merging beside zombies", StoreModel { max_slots: 2, ..bounds::merging_beside_zombies() }),
        ("reader", StoreModel { owners: vec![MAIN; 2], max_number: 2, faults: 1, ..bounds::reader() }),
        ("two readers", StoreModel { max_commits: 2, max_number: 3, ..bounds::two_readers() }),
        ("past", StoreModel { max_commits: 2, window: 1, ..bounds::past() }),
        ("past", StoreModel { owners: vec![MAIN; 2], pinners: vec![Kind::Past], ..bounds::past() }),
        ("two runs", StoreModel { max_commits: 1, ..bounds::two_runs() }),
        ("branch", StoreModel { max_commits: 2, evict: true, ..bounds::branch() }),
        ("deletion", StoreModel { deletion: true, ..bounds::branch() }),
        ("two creations", StoreModel { pinners: vec![Kind::Branch; 2], ..bounds::deletion() }),
    ];
    for (name, model) in models {
        holds(name, model);
    }
}
