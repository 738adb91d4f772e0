//! Bounds within which every state is visited: small ones, each around one part of the protocol.

use crate::StoreModel;
use crate::bucket::{DEV, MAIN};
use crate::pinner::Kind;

/// Two owners of main: takeovers, publishes, seals, and answers that are lost.
pub fn two_owners() -> StoreModel {
    StoreModel {
        owners: vec![MAIN, MAIN],
        max_commits: 3,
        max_slots: 2,
        max_number: 2,
        evict: true,
        faults: 1,
        ..StoreModel::default()
    }
}

/// Three owners of main, of whom two may be zombies at a time.
pub fn three_owners() -> StoreModel {
    StoreModel {
        owners: vec![MAIN; 3],
        max_commits: 2,
        max_number: 3,
        evict: false,
        faults: 0,
        ..two_owners()
    }
}

/// Two owners who answer reads.
pub fn reads() -> StoreModel {
    StoreModel { ticks: 1, max_commits: 1, faults: 0, ..two_owners() }
}

/// A collector beside two owners, one of whom may send a write again long after it lost the branch.
pub fn zombies() -> StoreModel {
    StoreModel { collectors: 1, max_commits: 2, max_slots: 1, evict: false, ..two_owners() }
}

/// A collector that keeps one publish before the last.
pub fn window() -> StoreModel {
    StoreModel { window: 1, max_number: 3, max_commits: 1, faults: 0, ..zombies() }
}

/// Streams of the past are merged, beside a reader of it.
pub fn merging() -> StoreModel {
    StoreModel { merging: true, pinners: vec![Kind::Past], ..window() }
}

/// Streams are merged while somebody asks for the last commit.
pub fn merging_beside_readers() -> StoreModel {
    StoreModel { pinners: vec![Kind::Latest], ..merging() }
}

/// Streams are merged that zombies may still write to.
pub fn merging_beside_zombies() -> StoreModel {
    StoreModel { merging: true, window: 1, ..zombies() }
}

/// A reader beside an owner and a collector.
pub fn reader() -> StoreModel {
    StoreModel {
        owners: vec![MAIN],
        pinners: vec![Kind::Latest],
        max_slots: 2,
        max_number: 3,
        faults: 0,
        ..zombies()
    }
}

/// Two readers of the same manifest, at different places of its stream.
pub fn two_readers() -> StoreModel {
    StoreModel { pinners: vec![Kind::Latest; 2], max_commits: 1, max_number: 2, ..reader() }
}

/// A reader of the past beside one that keeps a manifest alive.
pub fn past() -> StoreModel {
    StoreModel { pinners: vec![Kind::Latest, Kind::Past], max_commits: 1, ..reader() }
}

/// Two runs of the collector, and two readers of whom one may remove its pin twice.
pub fn two_runs() -> StoreModel {
    StoreModel { collectors: 2, max_commits: 0, faults: 1, ..two_readers() }
}

/// A branch is created, perhaps late, and opened.
pub fn branch() -> StoreModel {
    StoreModel {
        owners: vec![MAIN, DEV],
        pinners: vec![Kind::Branch],
        max_commits: 1,
        max_number: 2,
        faults: 1,
        ..reader()
    }
}

/// A branch is created from a stream that goes on.
pub fn source() -> StoreModel {
    StoreModel { collectors: 0, max_commits: 2, ..branch() }
}

/// A branch is deleted, perhaps while it is created.
pub fn deletion() -> StoreModel {
    StoreModel { owners: vec![MAIN], deletion: true, max_commits: 0, ..branch() }
}

/// A branch is deleted while it is open.
pub fn deletion_while_open() -> StoreModel {
    StoreModel { collectors: 0, deletion: true, faults: 0, ..branch() }
}
