//! Processes that die while they ship and publish. Whatever the moment, what opens next holds every transaction that
//! was acknowledged, and whole transactions only. Real processes, real files.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use roost_tests::mortal::SIGNAL;
use serde_json::{Value, json};
use std::{os::unix::process::ExitStatusExt as _, path::Path, time::Duration};
use support::{Process, copy::copy_bucket, fate, head, if_mortal, manifest, standalone};

/// More steps than any publish here has.
const MAX_STEPS: u64 = 200;

/// A publish in which processes die, and the rows before and after it.
struct Publish {
    /// The test that tells of it.
    test: &'static str,
    during: &'static str,
    /// Statements of an earlier, sealed life.
    before: &'static [&'static str],
    /// The only transaction of the life that ends.
    transaction: &'static str,
}

impl Publish {
    /// Processes die at its first step, at its second, and so on until one reaches its end.
    async fn die_at_each_step(&self) {
        let origin = tempfile::tempdir().unwrap();
        for sql in self.before {
            let process = Process::start(origin.path(), &[]);
            process.query(sql).await;
            process.stop();
        }
        let base = if self.before.is_empty() { 0 } else { manifest(origin.path()).await };
        let (old, new) = self.rows_before_and_after(origin.path()).await;
        assert_ne!(old, new);

        let baseline = Baseline { origin: origin.path(), base, old, new };
        let end = format!("after {}", self.during);
        let mut deaths = Vec::new();
        let mut swapped = false;
        while deaths.last().is_none_or(|death: &String| !death.starts_with(&end)) {
            let at = deaths.len() as u64;
            assert!(at < MAX_STEPS, "{deaths:#?}");
            let death = self.die_and_open(&baseline, &[], at, &mut swapped).await;
            deaths.push(death);
        }
        // Several threads read and compute, so which of their steps bears which number is up to chance.
        for step in [
            "before close gate",
            "after close gate",
            "before checkpoint",
            "after checkpoint",
            "after freeze",
            "before read chunk",
            "after read chunk",
            "before compute",
            "after compute",
        ] {
            let death = self.die_and_open(&baseline, &[step], 0, &mut false).await;
            assert!(death.starts_with(step), "died {death}, not {step}");
        }
        for object in ["/packs/", "/pages/", "/manifests/", "/HEAD"] {
            for phase in ["before put ", "after put "] {
                let died = |death: &String| death.starts_with(phase) && death.contains(object);
                assert!(deaths.iter().any(died), "never died {phase}{object}: {deaths:#?}");
            }
        }
        println!("{} deaths during {}", deaths.len(), self.during);
    }

    /// One life that ends at step `at` of `only`, and the next, which must find what it may find. `swapped` says
    /// whether one that ended earlier, or this one, ended after HEAD was swapped.
    async fn die_and_open(
        &self,
        baseline: &Baseline<'_>,
        only: &[&str],
        at: u64,
        swapped: &mut bool,
    ) -> String {
        let folder = tempfile::tempdir().unwrap();
        copy_bucket(&baseline.origin.join("bucket"), &folder.path().join("bucket"));
        let (death, acknowledged) = self.die(folder.path(), only, at).await;
        let head = head(folder.path()).await;
        // Only HEAD's swap makes the new state the branch's, and from then on it is.
        *swapped |= after_head(&death);
        assert_eq!(head.number(), baseline.base + u64::from(*swapped), "died {death}; HEAD is {head:?}");
        assert_eq!(head.sealed, *swapped && self.during == "seal", "died {death}; HEAD is {head:?}");
        let found = ledger(folder.path()).await;
        if acknowledged || (*swapped && !self.before.is_empty()) {
            assert_eq!(found, baseline.new, "died {death}");
        } else {
            assert!(found == baseline.old || found == baseline.new, "died {death}: {found}");
        }
        death
    }

    async fn rows_before_and_after(&self, origin: &Path) -> (Value, Value) {
        let copy = tempfile::tempdir().unwrap();
        copy_bucket(&origin.join("bucket"), &copy.path().join("bucket"));
        let process = Process::start(copy.path(), &[]);
        let old = rows(&process).await;
        process.query(self.transaction).await;
        let new = rows(&process).await;
        process.kill();
        (old, new)
    }

    /// One life that ends at step `at` of `only`: where it ended, and whether the transaction was acknowledged before.
    async fn die(&self, folder: &Path, only: &[&str], at: u64) -> (String, bool) {
        let obituary = folder.join("obituary");
        let fate = fate(self.during, only, at, obituary);
        let interval = if self.during == "seal" { "1h" } else { "1ms" };
        let arguments = standalone(folder, &["--publish-interval", interval]);
        // A new database is published before it is served.
        let Ok(mut process) = Process::launch(fate.command(self.test, &arguments).unwrap(), folder) else {
            return (fate.last_step().unwrap(), false);
        };
        // The answer may be lost: the publish that the process dies in begins once this is committed.
        let answer = process.post(&json!({"sql": self.transaction})).await;
        let acknowledged = answer.is_ok_and(|answer| answer.status() == 200);
        if self.during == "seal" {
            process.signal("TERM");
        }
        assert_eq!(process.wait_status().signal(), Some(SIGNAL));
        (fate.last_step().unwrap(), acknowledged)
    }
}

/// The state that a publish begins with, and the rows before and after it.
struct Baseline<'a> {
    origin: &'a Path,
    /// Number of the manifest that HEAD names; 0 before the first.
    base: u64,
    old: Value,
    new: Value,
}

fn after_head(death: &str) -> bool {
    death.starts_with("after put ") && death.ends_with("/HEAD")
}

/// All rows, folded, as a process that opens the folder finds them; null without the table.
async fn ledger(folder: &Path) -> Value {
    let process = Process::start(folder, &[]);
    let rows = rows(&process).await;
    process.kill();
    rows
}

async fn rows(process: &Process) -> Value {
    let sql =
        "select count(*), coalesce(max(n), 0), coalesce(sum(hash(n, part, filler)), 0)::varchar from ledger";
    let (status, answer) = process.ask(json!({"sql": sql})).await;
    if answer["code"] == "invalid-sql" {
        return Value::Null;
    }
    assert_eq!(status, 200, "{answer}");
    answer["rows"][0].clone()
}

/// Statements that fill the database first: more than one pack's worth of rows would only make it slower.
const BEFORE: &[&str] = &[
    "create table ledger as select 1 as n, range as part, hash(range)::varchar as filler from range(20000)",
];

/// Changes old rows, adds new ones, and frees some.
const TRANSACTION: &str = "begin; update ledger set n = 2 where part % 7 = 0; \
     insert into ledger select 3, range, hash(range * 3)::varchar from range(10000); \
     delete from ledger where part between 5000 and 6000; commit";

#[tokio::test(flavor = "multi_thread")]
async fn dead_at_any_step_of_a_publish_it_opens_at_head() {
    if_mortal();
    let test = "dead_at_any_step_of_a_publish_it_opens_at_head";
    Publish { test, during: "publish", before: BEFORE, transaction: TRANSACTION }.die_at_each_step().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_at_any_step_of_a_seal_it_opens_at_head() {
    if_mortal();
    let test = "dead_at_any_step_of_a_seal_it_opens_at_head";
    Publish { test, during: "seal", before: BEFORE, transaction: TRANSACTION }.die_at_each_step().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_at_any_step_of_the_first_publish_it_opens_at_head() {
    if_mortal();
    let test = "dead_at_any_step_of_the_first_publish_it_opens_at_head";
    Publish { test, during: "first publish", before: &[], transaction: BEFORE[0] }.die_at_each_step().await;
}

/// Longest life of a process that is killed at random, from its first transaction. Publishes begin within 100 ms.
const LIFETIME: Duration = Duration::from_millis(300);

/// Kills processes of one folder at random moments of their work. What opens next must be whole transactions, in order,
/// none that was acknowledged missing.
async fn kill_at_random(seed: u64, kills: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..=kills {
        let path = folder.path().to_owned();
        let process =
            tokio::task::spawn_blocking(move || Process::start(&path, &["--publish-interval", "1ms"]));
        let process = process.await.unwrap();
        let found = rows(&process).await[1].as_i64().unwrap_or(0);
        let possible = acknowledged..=acknowledged + 1;
        assert!(possible.contains(&found), "seed {seed} round {round}: {found} is not within {possible:?}");
        process.query("create table if not exists ledger(n bigint, part int, filler varchar)").await;
        let broken = "select count(*) from (select n, row_number() over (order by n) as nth, \
                      count(*) filter (part >= 0) as parts, -min(part) as sent from ledger group by n) \
                      where parts <> sent or n <> nth";
        let torn = process.query(broken).await;
        assert_eq!(torn, json!([[0]]), "seed {seed} round {round}: a transaction is torn or missing");
        if round == kills {
            break;
        }
        acknowledged = write_until_killed(process, &mut rng, found).await;
    }
}

/// Writes until the process is killed, at a random moment. The last transaction that was acknowledged.
async fn write_until_killed(mut process: Process, rng: &mut StdRng, have: i64) -> i64 {
    let lifetime = rng.random_range(Duration::from_millis(1)..LIFETIME);
    let killer = tokio::spawn({
        let pid = process.child.id().to_string();
        async move {
            tokio::time::sleep(lifetime).await;
            std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        }
    });
    let mut acknowledged = have;
    loop {
        let (n, parts) = (acknowledged + 1, rng.random_range(1..50));
        let sql = format!(
            "begin; insert into ledger select {n}, range, repeat('{n}', 100) from range({parts}); \
             insert into ledger values ({n}, -{parts}, ''); commit"
        );
        let Ok(answer) = process.post(&json!({"sql": sql})).await else { break };
        if answer.status() != 200 || answer.bytes().await.is_err() {
            break;
        }
        acknowledged = n;
    }
    killer.await.unwrap();
    process.wait_status();
    acknowledged
}

/// Folders whose processes live and die beside each other.
const FOLDERS: usize = 4;

async fn kill_in_folders(seed: u64, kills: usize) {
    let lives = (0..FOLDERS).map(|n| {
        let share = kills / FOLDERS + usize::from(n < kills % FOLDERS);
        tokio::spawn(kill_at_random(seed + n as u64, share))
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_random_kills_lose_nothing() {
    kill_in_folders(1, 8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; make test runs it with ROOST_KILLS=200"]
async fn many_random_kills_lose_nothing() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let seed = number("ROOST_SEED", 20_261_121);
    let kills = usize::try_from(number("ROOST_KILLS", 200)).unwrap();
    println!("seed {seed}, {kills} kills");
    kill_in_folders(seed, kills).await;
}
