//! Histories of several connections, each killed at a random boundary: what opens, for a writer and for a worker, is what
//! the same history holds that was not killed.
//!
//! By hand: `ROOST_HISTORY=FILE cargo test -p tenant-runtime --test histories one -- --ignored --nocapture`, where the file is
//! one of `histories/`, or what a failure printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]
#![allow(clippy::format_push_string, reason = "statements are put together of parts")]

#[path = "support/history/mod.rs"]
mod history;
#[path = "support/life.rs"]
mod life;

use history::{
    History, TABLE_OFF,
    child::{Contents, Task, Word},
    run::{make, run},
    shrink::{Failing, shrink},
    statements::kinds,
};
use roost_engine::mutation::{self, Broken, Mutation};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Histories in `make test`.
const HISTORIES: u64 = 60;
/// Histories of one child: one that dies takes no others with it.
const SHARE: u64 = 10;
/// A wanted kind of statement is in one of so many histories at least.
const TRIES: u64 = 40;

/// Failures that are made shorter: that takes long.
const SHRUNK: usize = 3;

/// Leaves everything to the replay, also what is not proven, if the environment says so.
fn table_off() -> Option<Broken> {
    let wanted = std::env::var_os(TABLE_OFF).is_some_and(|value| !value.is_empty());
    wanted.then(|| mutation::begin(Mutation::ShipWhatIsNotProven))
}

/// Runs the task of a process that another test began.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "begun by others"]
async fn child() {
    let _broken = table_off();
    match Task::of_this_process() {
        Some(Task::Script(path)) => run(&std::fs::read_to_string(path).unwrap().parse().unwrap()).await.say(),
        Some(Task::Seeds { first, count, wanted, script }) => {
            let wanted =
                wanted.map(|name| kinds().find(|kind| kind.name == name).expect("a kind of statement"));
            for seed in first..first + count {
                Word::Begun(seed).say();
                make(seed, wanted, &script).await.say();
            }
        }
        None => {}
    }
}

/// The history in the file that `ROOST_HISTORY` names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a history"]
async fn one() {
    // All ignored tests are begun where there is a cluster.
    let Ok(path) = std::env::var("ROOST_HISTORY") else { return };
    let _broken = table_off();
    let history: History = std::fs::read_to_string(path).unwrap().parse().unwrap();
    if let Word::Failed { what, .. } = run(&history).await {
        panic!("{what}");
    }
}

/// Sums over histories of many seeds.
#[derive(Default)]
struct Tally {
    histories: u64,
    statements: BTreeMap<String, (u64, u64)>,
    /// Histories in which a kind of statement or a record was replayed.
    replayed: BTreeMap<String, u64>,
    failures: Vec<(u64, Failing)>,
}

impl Tally {
    fn add(&mut self, contents: Contents) {
        self.histories += 1;
        for (kind, (done, failed)) in contents.statements {
            let counts = self.statements.entry(kind).or_default();
            *counts = (counts.0 + done, counts.1 + failed);
        }
        let replayed = contents.replayed.into_iter().chain(contents.records.into_keys());
        for kind in replayed.collect::<BTreeSet<_>>() {
            *self.replayed.entry(kind).or_default() += 1;
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.histories += other.histories;
        for (kind, (done, failed)) in other.statements {
            let counts = self.statements.entry(kind).or_default();
            *counts = (counts.0 + done, counts.1 + failed);
        }
        for (kind, count) in other.replayed {
            *self.replayed.entry(kind).or_default() += count;
        }
        self.failures.extend(other.failures);
        self
    }

    /// Histories in which this was replayed.
    fn of(&self, name: &str) -> u64 {
        self.replayed.get(name).copied().unwrap_or_default()
    }

    /// Records that were replayed, but for the one that ends each commit.
    fn records(&self) -> impl Iterator<Item = &str> {
        let is_record = |name: &&str| name.starts_with(char::is_uppercase) && *name != "Flush";
        self.replayed.keys().map(String::as_str).filter(is_record)
    }

    fn tell(&self) {
        println!("{:40} {:>9} {:>7} {:>9}", "statements and records", "succeeded", "failed", "replayed");
        let names: BTreeSet<_> = self.statements.keys().chain(self.replayed.keys()).collect();
        for name in names {
            let (done, failed) = self.statements.get(name).copied().unwrap_or_default();
            println!("{name:40} {done:9} {failed:7} {:9}", self.of(name));
        }
        println!("{} histories, of which {} failed", self.histories, self.failures.len());
    }
}

/// Which histories are run.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// The seed of the first one.
    first: u64,
    count: u64,
    /// A kind of statement that there is much of.
    kind: Option<&'a str>,
    /// Only histories count in which it is replayed.
    only: bool,
    table_off: bool,
}

/// Runs histories, some in a child, until there are enough or one fails as `stop` says.
fn run_seeds(wanted: Wanted<'_>, stop: impl Fn(&Failing) -> bool) -> Tally {
    let Wanted { first, count, kind, only, table_off } = wanted;
    let counted = kind.filter(|_| only);
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("history.sql");
    let mut tally = Tally::default();
    let (mut seed, last) = (first, first + count * counted.map_or(1, |_| TRIES));
    while tally.histories < count && seed < last && !tally.failures.iter().any(|(_, failing)| stop(failing)) {
        let share = SHARE.min(last - seed).min(count - tally.histories);
        let task =
            Task::Seeds { first: seed, count: share, wanted: kind.map(Into::into), script: script.clone() };
        let mut failed = Vec::new();
        let mut current = seed;
        let ended = task.run(table_off, |word| match word {
            Word::Begun(seed) => current = seed,
            Word::Done(contents) => {
                if counted.is_none_or(|kind| contents.replayed.iter().any(|replayed| replayed == kind)) {
                    tally.add(contents);
                }
            }
            Word::Failed { class, what, script } => {
                println!("seed {current}: {class}");
                failed.push((current, script, class, what));
            }
        });
        if let Err(how) = ended {
            failed.push((current, std::fs::read_to_string(&script).unwrap_or_default(), how.clone(), how));
        }
        tally.histories += failed.len() as u64;
        tally.failures.extend(failed.into_iter().map(|(seed, script, class, what)| {
            (seed, Failing { history: script.parse().unwrap(), class, what })
        }));
        seed = current + 1;
    }
    tally
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

/// The histories that fail are told as scripts, as short as they can be made.
fn tell_failures(failures: Vec<(u64, Failing)>, table_off: bool) {
    let folder = tempfile::tempdir().unwrap();
    for (number, (seed, failing)) in failures.into_iter().enumerate() {
        let class = failing.class.clone();
        println!("\n-- seed {seed}: {class}");
        if number < SHRUNK {
            let Failing { history, what, .. } = shrink(failing, folder.path(), table_off);
            println!("{history}\n{}", what.chars().take(4_000).collect::<String>());
        }
    }
}

#[test]
fn each_history_opens_as_it_was() {
    let (first, count) = (setting("ROOST_SEED", 1), setting("ROOST_HISTORIES", HISTORIES));
    let kind = std::env::var("ROOST_KIND").ok();
    let table_off = std::env::var_os("ROOST_TABLE").is_some_and(|table| table == "off");
    let half = |first, count| {
        let wanted = Wanted { first, count, kind: kind.as_deref(), only: true, table_off };
        run_seeds(wanted, |_| false)
    };
    println!("ROOST_SEED={first} ROOST_HISTORIES={count}");
    // Far from each other, so that each may try more.
    let (ours, theirs) = (count.div_ceil(2), first + (1 << 32));
    let tally = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(theirs, count - ours));
        half(first, ours).and(other.join().unwrap())
    });
    tally.tell();
    let failed = tally.failures.len();
    tell_failures(tally.failures, table_off);
    assert_eq!(failed, 0, "histories failed");
    assert_eq!(tally.histories, count, "not enough histories hold the wanted kind");
}

/// Histories that once failed, as they were found; each tells how it fails where everything is left to a replay. One that
/// does not tell it opens there too.
#[test]
fn what_once_failed_opens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let scratch = tempfile::tempdir().unwrap();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let history: History = text.parse().unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        let failure = Task::failure_of(&history, scratch.path(), false);
        assert!(failure.is_none(), "{name}: {failure:?}");
        let fails = text.lines().find_map(|line| line.strip_prefix("-- fails if shipped: "));
        match (fails, Task::failure_of(&history, scratch.path(), true)) {
            (None, None) => {}
            (Some(fails), Some((_, what))) => assert!(what.contains(fails), "{name} fails by {what}"),
            (fails, found) => panic!("{name}, where it is shipped: {found:?}, but it says: {fails:?}"),
        }
    }
}

/// The records that are proven, each with a kind of statement that makes it.
const PROVEN: [(&str, &str); 18] = [
    ("CreateTable", "create table"),
    ("DropTable", "drop table"),
    ("CreateSchema", "create schema"),
    ("DropSchema", "drop schema without tables"),
    ("CreateView", "create view"),
    ("DropView", "drop view"),
    ("CreateSequence", "create sequence"),
    ("SequenceValue", "insert nextval"),
    ("CreateMacro", "create macro"),
    ("CreateTableMacro", "create table macro"),
    ("UseTable", "insert rows"),
    ("InsertTuple", "insert rows"),
    ("DeleteTuple", "delete"),
    ("UpdateTuple", "update"),
    ("RowGroupData", "insert bulk"),
    ("Alter(Comment)", "comment"),
    ("Alter(RenameTable)", "rename table"),
    ("Alter(RenameView)", "rename view"),
];
/// A record is proven by so many histories.
const EACH: u64 = 500;

/// Each record of the table is replayed in so many histories that open as they were: hours.
#[test]
#[ignore = "the long version, `make proof`"]
fn soak_each_proven_record() {
    let (each, mut seed) = (setting("ROOST_EACH", EACH), setting("ROOST_SEED", 1 << 40));
    let mut tally = Tally::default();
    while let Some((_, kind)) =
        PROVEN.iter().min_by_key(|(record, _)| tally.of(record)).filter(|(record, _)| tally.of(record) < each)
    {
        // All of them: runs with other seeds (ROOST_SEED) add up.
        let counts: Vec<_> =
            PROVEN.iter().map(|(record, _)| format!("{record} {}", tally.of(record))).collect();
        println!("{} histories, next {kind}; {}", tally.histories, counts.join(", "));
        let half = |first| {
            let wanted = Wanted { first, count: SHARE, kind: Some(kind), only: false, table_off: false };
            run_seeds(wanted, |_| false)
        };
        let (ours, theirs) = (seed, seed + SHARE);
        seed = theirs + SHARE;
        tally = std::thread::scope(|scope| {
            let other = scope.spawn(|| half(theirs));
            tally.and(half(ours)).and(other.join().unwrap())
        });
    }
    tally.tell();
    let unlisted = tally.records().find(|name| PROVEN.iter().all(|(record, _)| record != name));
    assert_eq!(unlisted, None, "it was replayed, and is not listed");
    let failed = tally.failures.len();
    tell_failures(tally.failures, false);
    assert_eq!(failed, 0, "histories failed");
}

/// Without the table of what is proven, and with DuckDB's own connections where DuckDB has them, random histories find
/// what these two are there for.
#[test]
fn random_histories_find_what_cannot_be_replayed() {
    for (kind, error) in [("alter type to an enum", "Type with name"), ("rename table", "Table with name")] {
        let wanted = Wanted { first: 1, count: 100, kind: Some(kind), only: true, table_off: true };
        let tally = run_seeds(wanted, |failing| failing.what.contains(error));
        let found = tally.failures.iter().find(|(_, failing)| failing.what.contains(error));
        let (seed, failing) =
            found.unwrap_or_else(|| panic!("{} histories with {kind} opened", tally.histories));
        println!("{kind}, seed {seed}: {}", failing.what);
    }
}
