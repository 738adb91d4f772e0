//! Check of how far a branch's WAL can be replayed: a worker's task. It touches no HEAD. Each attempt is a process of
//! its own, as the engine may take the process with it.

use crate::{
    config::Config,
    durability::database::ENGINE_VERSION,
    limits::{read_allowance, size},
    problems,
    serving::opening::{EngineSetup, Folders, cache_problem},
    storage,
    workers::private_copy,
};
use roost_protocol::{
    grant::{CheckReplay, Grant, Task},
    problem::{ErrorCode, Problem},
    report::{CheckedCommit, ReplayReport, Report},
    status::{Ending, RuntimeState},
};
use roost_store::{DatedPosition, Environment, Position, ReadablePosition};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Command, ExitStatus, Output, Stdio},
};

/// Most bytes of an attempt's description: a grant and a position.
const MAX_ATTEMPT_BYTES: u64 = 1024 * 1024;
/// Signals that an engine dies of by its own fault: SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const CRASHES: [i32; 5] = [4, 6, 7, 8, 11];

/// One try, as the process that makes it is told.
#[derive(Serialize, Deserialize)]
pub struct Attempt {
    /// The worker's grant.
    pub grant: Grant,
    /// The commit boundary to open: that of the grant's task, or one before it.
    pub position: Position,
}

/// Outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// It was replayed and checkpointed.
    Opens,
    /// It cannot be, and why.
    Fails(String),
    /// Something else went wrong.
    Undecided(Problem),
}

/// Finds the last commit that opens.
/// Errors: `engine-failed`, `out-of-memory`, `storage-unreachable`, `storage-denied`, `data-corrupted`,
/// `data-missing`, `key-unavailable`, `tenant-not-ready`, `bad-request`, `internal`.
pub async fn run(grant: &Grant, task: &CheckReplay, environment: Environment) -> Result<Ending, Problem> {
    let readable = readable(grant, task, environment).await?;
    let commits = readable.commits();
    tracing::info!(commits = commits.len() - 1, "looking for the last commit that opens");
    let found = search(commits.len(), async |index| {
        let attempt = Attempt { grant: grant.clone(), position: commits[index].position.clone() };
        let verdict = in_a_process(&attempt).await?;
        tracing::info!(commit = index, ?verdict, "tried");
        Ok(verdict)
    })
    .await?;
    let written = readable.manifest().written;
    let checked = |index: usize| checked(&commits[index], written);
    let report = ReplayReport {
        engine_version: ENGINE_VERSION.into(),
        commits: commits.len() as u64 - 1,
        replayed: found.opens as u64,
        opens: checked(found.opens),
        fails: found.fails.as_ref().map(|_| checked(found.opens + 1)),
        error: found.fails,
        end: checked(commits.len() - 1),
    };
    Ok(Ending {
        state: RuntimeState::Sealed,
        position: None,
        database_size: None,
        last_active: None,
        problem: None,
        report: Some(Report::Replay(Box::new(report))),
    })
}

fn internal(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ErrorCode::Internal, error.to_string())
}

/// A position with the time that names it: for a manifest in which nothing was ever committed, that of its writing.
fn checked(commit: &DatedPosition, written: jiff::Timestamp) -> CheckedCommit {
    let time = commit.last_commit.unwrap_or(written).to_string();
    CheckedCommit { time, position: commit.position.clone() }
}

/// Result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// Index of the last commit that opens.
    opens: usize,
    /// Why the next one does not; none if there is none.
    fails: Option<String>,
}

/// Tries the last of `commits` commits, else looks between the first one, the manifest, and the last. Whatever it does not
/// try, the commit that it names was tried, and so was the one after it.
async fn search(
    commits: usize,
    mut attempt: impl AsyncFnMut(usize) -> Result<AttemptOutcome, Problem>,
) -> Result<Found, Problem> {
    let mut failed = async |index: usize| match attempt(index).await? {
        AttemptOutcome::Opens => Ok(None),
        AttemptOutcome::Fails(why) => Ok(Some(why)),
        AttemptOutcome::Undecided(problem) => Err(problem),
    };
    let mut fails = commits - 1;
    let Some(mut why) = failed(fails).await? else { return Ok(Found { opens: fails, fails: None }) };
    let mut opens = 0;
    if let Some(why) = if fails == 0 { Some(why.clone()) } else { failed(0).await? } {
        let detail = format!("not even the manifest opens, without any WAL: {why}");
        return Err(Problem::new(ErrorCode::EngineFailed, detail));
    }
    while fails - opens > 1 {
        let middle = opens + (fails - opens) / 2;
        match failed(middle).await? {
            Some(reason) => (fails, why) = (middle, reason),
            None => opens = middle,
        }
    }
    Ok(Found { opens, fails: Some(why) })
}

/// Has this program try it in another process.
#[allow(clippy::disallowed_methods, reason = "waits for a process")]
async fn in_a_process(attempt: &Attempt) -> Result<AttemptOutcome, Problem> {
    let program = std::env::current_exe().map_err(|error| internal(&error))?;
    let mut command = Command::new(program);
    command.arg("--replay-attempt");
    let told = serde_json::to_vec(attempt).map_err(|error| internal(&error))?;
    let asked = tokio::task::spawn_blocking(move || ask(command, &told)).await;
    let unstarted =
        |error| Problem::new(ErrorCode::Internal, format!("no process could be started: {error}"));
    asked.map_err(|error| internal(&error))?.map_err(unstarted)
}

fn ask(mut command: Command, told: &[u8]) -> io::Result<AttemptOutcome> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A process that ends before it has read says why by its end.
        let _ = input.write_all(told);
    }
    let Output { status, stdout, .. } = child.wait_with_output()?;
    Ok(judge(status, &stdout))
}

/// AttemptOutcome of a process that tried, by its words or by its end.
fn judge(status: ExitStatus, said: &[u8]) -> AttemptOutcome {
    if let (true, Ok(verdict)) = (status.success(), serde_json::from_slice(said)) {
        return verdict;
    }
    match status.signal() {
        Some(signal) if CRASHES.contains(&signal) => {
            AttemptOutcome::Fails(format!("the engine crashed with signal {signal}"))
        }
        Some(9) => AttemptOutcome::Undecided(Problem::new(
            ErrorCode::OutOfMemory,
            "an attempt was killed, as happens when it needs more memory than runtime.resources.limits.memory of the \
             TenantClass",
        )),
        _ => AttemptOutcome::Undecided(internal(&format!("an attempt ended with {status}"))),
    }
}

/// The process that tries: reads the attempt, prints its verdict.
pub fn attempt(config: &Config) -> io::Result<()> {
    let mut told = Vec::new();
    io::stdin().take(MAX_ATTEMPT_BYTES).read_to_end(&mut told)?;
    let attempt: Attempt = serde_json::from_slice(&told)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let verdict = match runtime.block_on(open(config, &attempt)) {
        Ok(()) => AttemptOutcome::Opens,
        Err(problem) if problem.code == ErrorCode::ReplayFailed => AttemptOutcome::Fails(problem.detail),
        Err(problem) => AttemptOutcome::Undecided(problem),
    };
    let mut output = io::stdout();
    output.write_all(&serde_json::to_vec(&verdict)?)?;
    output.flush()
}

async fn open(config: &Config, attempt: &Attempt) -> Result<(), Problem> {
    let Attempt { grant, position } = attempt;
    let Task::CheckReplay(task) = &grant.task else {
        return Err(Problem::new(ErrorCode::BadRequest, "the grant is not one to check a replay"));
    };
    let sizing = size(&grant.engine, read_allowance())
        .map_err(|error| Problem::new(ErrorCode::TenantNotReady, error.to_string()))?;
    let cache = config.cache_dir.as_deref().ok_or_else(|| internal(&"ROOST_CACHE_DIR is not set"))?;
    let setup = EngineSetup {
        database: grant.tenant.name.clone(),
        sizing,
        settings: grant.engine.settings.clone(),
        spill_limit: config.spill_limit,
        cache_limit: config.cache_limit,
        max_sessions: 1,
    };
    let environment = Environment::system();
    let readable = readable(grant, task, environment.clone()).await?.until(position);
    let folders = Folders::make(cache).map_err(|error| cache_problem(&error))?;
    let (engine, _files) = private_copy::open(&readable, &setup, folders, None, environment).await?;
    engine.close().await;
    Ok(())
}

async fn readable(
    grant: &Grant,
    task: &CheckReplay,
    environment: Environment,
) -> Result<ReadablePosition, Problem> {
    let tenant = storage::tenant(storage::bucket(&grant.storage)?, grant, environment)?;
    let branch = tenant.branch(&storage::branch(&grant.branch)?);
    branch.open_position(&task.position, &task.pin).await.map_err(|error| problems::of_store(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn searched(commits: usize, fails_at: usize) -> (Found, usize) {
        let mut tries = 0;
        let found = search(commits, async |index| {
            tries += 1;
            Ok(if index < fails_at {
                AttemptOutcome::Opens
            } else {
                AttemptOutcome::Fails(index.to_string())
            })
        });
        let found = found.await.unwrap();
        (found, tries)
    }

    #[tokio::test]
    async fn the_last_commit_that_opens_is_found_with_few_tries() {
        for commits in 2..40 {
            for fails_at in 1..commits {
                let (found, tries) = searched(commits, fails_at).await;
                let expected = Found { opens: fails_at - 1, fails: Some(fails_at.to_string()) };
                assert_eq!(found, expected, "{fails_at} of {commits}");
                assert!(tries <= 8, "{tries}");
            }
            assert_eq!(searched(commits, commits).await, (Found { opens: commits - 1, fails: None }, 1));
        }
    }

    #[tokio::test]
    async fn nothing_is_found_where_not_even_the_manifest_opens_or_a_try_says_nothing() {
        for commits in [1, 7] {
            let fails = search(commits, async |_| Ok(AttemptOutcome::Fails("old".into()))).await;
            assert_eq!(fails.unwrap_err().code, ErrorCode::EngineFailed);
        }
        let away = || Problem::new(ErrorCode::StorageUnreachable, "away");
        let undecided = search(7, async |_| Ok(AttemptOutcome::Undecided(away()))).await;
        assert_eq!(undecided.unwrap_err(), away());
    }

    #[test]
    fn a_crash_is_a_verdict_and_a_kill_is_none() {
        let died = |signal| judge(ExitStatus::from_raw(signal), b"");
        assert_eq!(died(11), AttemptOutcome::Fails("the engine crashed with signal 11".into()));
        assert!(
            matches!(died(9), AttemptOutcome::Undecided(problem) if problem.code == ErrorCode::OutOfMemory)
        );
        assert!(matches!(judge(ExitStatus::from_raw(2 << 8), b""), AttemptOutcome::Undecided(_)));
        let said = serde_json::to_vec(&AttemptOutcome::Opens).unwrap();
        assert_eq!(judge(ExitStatus::from_raw(0), &said), AttemptOutcome::Opens);
        // It ends before it can be believed.
        assert!(matches!(judge(ExitStatus::from_raw(11), &said), AttemptOutcome::Fails(_)));
    }
}
