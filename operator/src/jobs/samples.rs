//! Reports of jobs as tests meet them.

use roost_protocol::{
    Position,
    identity::{BranchName, Lineage, ObjectId},
    report::{CheckedCommit, ReplayReport},
};

/// A check of five commits: all of them open, or the first three.
pub fn replay_report(fails: bool) -> ReplayReport {
    let opens = if fails { 3 } else { 5 };
    ReplayReport {
        engine_version: "1.5.6".into(),
        commits: 5,
        replayed: opens.into(),
        opens: commit(opens),
        fails: fails.then(|| commit(4)),
        error: fails.then(|| "no such table".into()),
        end: commit(5),
    }
}

fn commit(second: u32) -> CheckedCommit {
    let position = Position {
        branch: BranchName::main(),
        lineage: Lineage::from_bytes([1; 16]),
        epoch: 1,
        manifest: 1,
        id: ObjectId::from_bytes([2; 16]),
        sequence: second.into(),
        offset: 0,
        stream_epoch: Some(1),
    };
    CheckedCommit { time: format!("2026-11-20T10:00:0{second}Z"), position }
}
