//! A tenant's life on a laptop: asleep and awake again, drained, killed, taken over. Real processes, real files.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use serde_json::{Value, json};
use std::{
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};
use support::{Process, client, eventually, head, manifest};

const EXIT_FENCED: i32 = 21;

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_tenant_falls_asleep_and_wakes_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    for night in 1..=3 {
        let mut process = Process::start(folder.path(), &["--idle-timeout", "3s"]);
        process.query("create table if not exists nights(n int)").await;
        process.query(&format!("insert into nights values ({night})")).await;
        let counted = process.query("select count(*), max(n) from nights").await;
        assert_eq!(counted, json!([[night, night]]));
        assert_eq!(process.wait(), 0, "it seals and ends by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_keeps_the_tenant_awake() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &["--idle-timeout", "1500ms"]);
    let sql = "select count(*) from range(100000000) a, range(1000000) b where a.range * b.range = 7";
    let started = Instant::now();
    let (status, _) = process.ask(json!({"sql": sql, "timeout": "2s"})).await;
    assert_eq!(status, 408);
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!(process.wait(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_larger_than_its_cache_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let whole = "select count(*), count(distinct h), sum(h) from t where h = hash(i)";
    let cache = ["--cache-limit", "20Mi"];
    let process = Process::start(folder.path(), &cache);
    let huge = "create table u as select r, hash(r) from range(4000000) r(r)";
    let (status, refused) = process.ask(json!({"sql": huge})).await;
    assert!(status == 422 && refused.to_string().contains("runtime.cacheSize"), "{status} {refused}");
    process.query("create table t(i bigint, h ubigint)").await;
    for part in 0..8 {
        // 8 MB: refused while too much of what came before is not published yet.
        let insert = format!("insert into t select r, hash(r) from range({part}000000, {part}500000) r(r)");
        eventually("a part is taken", async || {
            let (status, answer) = process.ask(json!({"sql": insert})).await;
            assert!(status == 200 || answer.to_string().contains("runtime.cacheSize"), "{answer}");
            (status == 200).then_some(())
        })
        .await;
    }
    let expected = process.query(whole).await;
    assert_eq!(expected[0][0], 4_000_000);
    let (status, refused) = process.ask(json!({"sql": huge})).await;
    assert!(status == 422 && refused.to_string().contains("runtime.cacheSize"), "{status} {refused}");
    assert_eq!(process.query(whole).await, expected, "it is as if it had never been asked");
    drop(process);
    // After a kill, from the bucket.
    let process = Process::start(folder.path(), &["--cache-limit", "20Mi", "--take-over"]);
    assert_eq!(process.query(whole).await, expected);
    let cache = std::fs::read_dir(folder.path().join("cache")).unwrap().next().unwrap().unwrap();
    let file = std::fs::metadata(cache.path().join("data/main")).unwrap();
    assert!(file.len() > 30 << 20, "the database has {} bytes", file.len());
    assert!(file.blocks() * 512 < 28 << 20, "{} bytes of it are cached", file.blocks() * 512);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_refuses_new_requests_before_anything_is_executed_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &[]);
    process.query("create table t(i int)").await;
    let sql = "select count(*) from range(100000000) a, range(1000000) b where a.range * b.range = 7";
    let query = format!("{}/query", process.url());
    let long = client().post(&query).json(&json!({"sql": sql, "timeout": "10s"}));
    let long = tokio::spawn(async move { long.send().await });
    // Acknowledged writes until the first refusal: those and no others must be there.
    let mut acknowledged = 0;
    let refusal = loop {
        let (status, answer) =
            process.ask(json!({"sql": format!("insert into t values ({acknowledged})")})).await;
        if status != 200 {
            break (status, answer);
        }
        acknowledged += 1;
        if acknowledged == 20 {
            process.signal("TERM");
        }
    };
    assert_eq!(refusal.0, 503);
    assert_eq!(refusal.1["code"], "draining");
    assert_eq!(refusal.1["advice"], "retry");
    assert_eq!(long.await.unwrap().unwrap().status(), 408, "what ran was let to its own end");
    assert_eq!(process.wait(), 0);
    let process = Process::start(folder.path(), &[]);
    let rows = process.query("select count(*), count(distinct i), max(i) + 1 from t").await;
    assert_eq!(rows, json!([[acknowledged, acknowledged, acknowledged]]));
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_published_in_time_and_only_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["--publish-interval", "100ms"]);
    process.query("create table t as select range i, hash(range) h from range(300000)").await;
    // The first one is the empty database's.
    eventually("the first publish", async || (manifest(folder.path()).await == 2).then_some(())).await;
    let before = bytes_of(folder.path());
    process.query("update t set i = -1 where i = 7").await;
    eventually("the second publish", async || (manifest(folder.path()).await == 3).then_some(())).await;
    let grown = bytes_of(folder.path()) - before;
    assert!(grown < before / 2, "a changed row cost {grown} bytes of {before}");
    process.kill();
    let process = Process::start(folder.path(), &[]);
    assert_eq!(process.query("select count(*), min(i) from t").await, json!([[300_000, -1]]));
    process.stop();
}

fn bytes_of(folder: &Path) -> u64 {
    fn walk(folder: &Path) -> u64 {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let folder = entry.file_type().unwrap().is_dir();
                if folder { walk(&entry.path()) } else { entry.metadata().unwrap().len() }
            })
            .sum()
    }
    walk(&folder.join("bucket"))
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_end_unknown_then_pause_while_nothing_can_be_shipped_and_go_on_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["--writes-refused-after", "1s"]);
    process.query("create table t(i int primary key)").await;
    // New segments cannot be written where a file is in the way.
    let wal = folder.path().join("bucket/objects/tenants/default/demo/branches/main/wal");
    let aside = wal.with_file_name("wal-aside");
    std::fs::rename(&wal, &aside).unwrap();
    std::fs::write(&wal, "in the way").unwrap();
    let (status, unknown) = process.ask(json!({"sql": "insert into t values (1)", "timeout": "500ms"})).await;
    assert_eq!((status, &unknown["code"]), (504, &json!("outcome-unknown")), "{unknown}");
    // What it committed is there, and may vanish: nobody is told of it, by an error either.
    let (status, again) = process.ask(json!({"sql": "insert into t values (1)", "timeout": "500ms"})).await;
    assert_ne!(again["code"], "query-failed", "{status} {again}");
    let (status, kept) = process.ask(json!({"sql": "select count(*) from t", "timeout": "500ms"})).await;
    assert_eq!((status, &kept["code"]), (503, &json!("storage-unreachable")), "{kept}");
    let paused = eventually("writes pause", async || {
        let (status, answer) =
            process.ask(json!({"sql": "insert into t values (2)", "timeout": "500ms"})).await;
        (status == 503).then_some((status, answer))
    })
    .await;
    assert_eq!(paused.0, 503);
    assert_eq!(paused.1["code"], "writes-paused", "{}", paused.1);
    std::fs::remove_file(&wal).unwrap();
    std::fs::rename(&aside, &wal).unwrap();
    eventually("writes go on", async || {
        (process.ask(json!({"sql": "insert into t values (3)"})).await.0 == 200).then_some(())
    })
    .await;
    let count = process.query("select count(*), min(i) from t").await;
    assert_eq!(count[0][1], 1, "what was unknown survived");
    process.kill();
    let process = Process::start(folder.path(), &[]);
    assert_eq!(process.query("select count(*), min(i) from t").await, count);
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_and_the_seal_succeeds_after_publishes_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["--publish-interval", "100ms"]);
    process.query("create table t(i int)").await;
    // Else its publish is what fails, and the row waits for that.
    eventually("the table is published", async || (manifest(folder.path()).await == 2).then_some(())).await;
    // New packs cannot be written where a file is in the way.
    let packs = folder.path().join("bucket/objects/tenants/default/demo/packs");
    let aside = packs.with_file_name("packs-aside");
    std::fs::rename(&packs, &aside).unwrap();
    std::fs::write(&packs, "in the way").unwrap();
    process.query("insert into t values (1)").await;
    // What it sees is durable, though the publish that took it is not done.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!(process.query("select i from t").await, json!([[1]]));
    }
    std::fs::remove_file(&packs).unwrap();
    std::fs::rename(&aside, &packs).unwrap();
    process.stop();
    assert!(head(folder.path()).await.sealed);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_folder_has_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let refused = Process::try_start(folder.path(), &[]).err().unwrap();
    assert!(refused.contains("another process serves it"), "{refused}");
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_over_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Process::start(folder.path(), &[]);
    first.query("create table t(i int)").await;
    let second = Process::start(folder.path(), &["--take-over"]);
    second.query("insert into t values (2)").await;
    assert_eq!(first.wait(), EXIT_FENCED);
    assert_eq!(second.query("select i from t").await, json!([[2]]));
    second.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_frozen_while_it_was_taken_over_answers_nothing_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut frozen = Process::start(folder.path(), &[]);
    frozen.query("create table t as select 1 as i").await;
    frozen.signal("STOP");
    let stopped = Instant::now();
    let winner = Process::start(folder.path(), &["--take-over"]);
    winner.query("update t set i = 2").await;
    // The kernel accepts connections for a stopped process: these requests wait for it.
    let asked: Vec<_> = (0..10)
        .map(|n| {
            let sql = if n % 2 == 0 { "select i from t" } else { "insert into t values (3)" };
            let request = client().post(format!("{}/query", frozen.url())).json(&json!({"sql": sql}));
            tokio::spawn(async move { request.send().await })
        })
        .collect();
    // A proof counts for 10 seconds.
    tokio::time::sleep(Duration::from_secs(11).saturating_sub(stopped.elapsed())).await;
    frozen.signal("CONT");
    for answer in asked {
        match answer.await.unwrap() {
            Err(_) => {}
            Ok(response) => {
                assert_eq!(response.status(), 503);
                let problem: Value = response.json().await.unwrap();
                assert_eq!(problem["code"], "fenced", "{problem}");
            }
        }
    }
    assert_eq!(frozen.wait(), EXIT_FENCED);
    assert_eq!(winner.query("select i from t").await, json!([[2]]));
    winner.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_race_for_a_folder_and_one_history_remains() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    process.query("create table t(who int, n int)").await;
    process.stop();
    let before = head(folder.path()).await.epoch;
    let contenders: Vec<_> = (0..2)
        .map(|who| {
            let folder = folder.path().to_owned();
            tokio::task::spawn_blocking(move || {
                (who, Process::try_start(&folder, &["--take-over", "--publish-interval", "100ms"]))
            })
        })
        .collect();
    let mut alive = Vec::new();
    for contender in contenders {
        let (who, process) = contender.await.unwrap();
        alive.extend(process.ok().map(|process| (who, process)));
    }
    // Both may come up, one after the other; the one with the lower epoch then ends.
    eventually("one remains", async || {
        for (who, process) in &mut alive {
            let _ = process.post(&json!({"sql": format!("insert into t values ({who}, 0)")})).await;
        }
        alive.retain_mut(|(_, process)| process.child.try_wait().unwrap().is_none());
        (alive.len() == 1).then_some(())
    })
    .await;
    let (winner, process) = alive.pop().unwrap();
    assert_eq!(process.query("select distinct who from t").await, json!([[winner]]), "only its own commits");
    process.stop();
    assert!(head(folder.path()).await.epoch > before);
}
