//! Last words of a process that cannot replay a WAL, or dies of it. Real processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use roost_protocol::{
    problem::ErrorCode,
    status::{Ending, RuntimeState},
};
use roost_tests::mortal::SIGNAL;
use std::{
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};
use support::{copy::copy_bucket, fate, head, if_mortal, standalone};

/// A tenant's folder with a bucket whose WAL cannot be replayed, and a place for last words.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/buckets/unreplayable");
    copy_bucket(&kept, &folder.path().join("bucket"));
    std::fs::write(folder.path().join("words"), "of somebody before").unwrap();
    folder
}

/// Runs a process to its end.
fn ended(mut command: Command, folder: &Path) -> (ExitStatus, Ending) {
    let words = folder.join("words");
    command.env("ROOST_TERMINATION_LOG", &words).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().unwrap();
    (status, serde_json::from_slice(&std::fs::read(words).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dies_while_it_replays_has_said_so() {
    if_mortal();
    let folder = folder();
    let before = head(folder.path()).await;
    let fate = fate("attach", &[], 0, folder.path().join("obituary"));
    let arguments = standalone(folder.path(), &[]);
    let command = fate.command("who_dies_while_it_replays_has_said_so", &arguments).unwrap();
    let (status, ending) = ended(command, folder.path());
    assert_eq!(status.signal(), Some(SIGNAL), "{:?}", fate.last_step());
    assert_eq!(ending.state, RuntimeState::Hydrating);
    let problem = ending.problem.unwrap();
    assert_eq!(problem.code, ErrorCode::ReplayFailed);
    let published = before.last_commit.unwrap();
    assert!(problem.detail.contains(&format!("from: {{time: \"{published}\"}}")), "{problem}");
    let after = head(folder.path()).await;
    assert_eq!((after.sealed, after.manifest, after.stream), (false, before.manifest, before.stream));
}

#[test]
fn who_cannot_replay_says_so_itself() {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenant-runtime"));
    command.args(standalone(folder.path(), &[]));
    let (status, ending) = ended(command, folder.path());
    assert_eq!((status.code(), ending.state), (Some(22), RuntimeState::Failed));
    assert_eq!(ending.problem.unwrap().code, ErrorCode::ReplayFailed);
}
