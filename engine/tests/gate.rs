//! The write gate over real transactions: closing, checkpoints, the bound, sealing, and that nothing is lost.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roost_engine::{Engine, ErrorCode, GateError, Role};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::{PATIENCE, bench, config, eventually, read, request, run, run_as, start, vfs};

const BOUND: Duration = Duration::from_secs(30);
/// An explicit transaction that wrote and is now idle, because nobody reads its huge last result.
const IDLE_WRITER: &str =
    "BEGIN; INSERT INTO t VALUES (99); SELECT i, repeat('x', 200) FROM range(40000000) r(i)";

const HUGE: &str = "SELECT i, repeat('x', 200) AS pad FROM range(40000000) r(i)";

#[tokio::test]
async fn writers_wait_for_a_closed_gate_and_readers_do_not() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT); INSERT INTO t VALUES (1); CREATE SEQUENCE s").await.unwrap();
    let closed = bench.engine.close_gate(BOUND).await.unwrap();
    let writers = [
        "INSERT INTO t VALUES (2)",
        "SELECT nextval('s')",
        "CREATE TABLE u (i INT)",
        "PREPARE p AS INSERT INTO t VALUES (3); EXECUTE p",
        "VACUUM ANALYZE",
    ];
    let mut waiting = Vec::new();
    for sql in writers {
        let engine = bench.engine.clone();
        waiting.push(tokio::spawn(async move { run(&engine, sql).await }));
    }
    eventually("the writers have begun", || bench.engine.activity().running == writers.len()).await;
    for role in [Role::ReadOnly, Role::ReadWrite] {
        assert_eq!(run_as(&bench.engine, "SELECT count(*) FROM t", role).await.unwrap(), ["1"]);
        run_as(&bench.engine, "BEGIN; SELECT count(*) FROM t; COMMIT", role).await.unwrap();
    }
    run(&bench.engine, "CREATE TEMP TABLE mine AS FROM t").await.unwrap();
    bench.engine.checkpoint(&closed).await.unwrap();
    assert!(waiting.iter().all(|writer| !writer.is_finished()), "a writer passed the closed gate");
    drop(closed);
    for writer in waiting {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["3"]);
}

#[tokio::test]
async fn an_idle_transaction_is_rolled_back_at_the_bound() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut idle = start(&bench.engine, request(IDLE_WRITER, Role::ReadWrite)).await.unwrap();
    idle.next().await.unwrap().unwrap();
    assert_eq!(bench.engine.activity().open_transactions, 1);
    let begun = Instant::now();
    let closed = bench.engine.close_gate(Duration::from_millis(300)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < PATIENCE);
    bench.engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    let error = read(idle).await.unwrap_err();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "25P03"), "{error:?}");
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

/// Readers that were there before, and their open results, live through a checkpoint.
#[tokio::test]
async fn an_open_reader_lives_through_a_checkpoint() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t AS SELECT i, repeat('x', 100) AS pad FROM range(400000) r(i)")
        .await
        .unwrap();
    let mut stream = start(&bench.engine, request("SELECT i, pad FROM t", Role::ReadOnly)).await.unwrap();
    let mut rows = stream.next().await.unwrap().unwrap().num_rows();
    for _ in 0..3 {
        run(
            &bench.engine,
            "DELETE FROM t WHERE i % 7 = 0; INSERT INTO t SELECT i, 'new' FROM range(50000) r(i)",
        )
        .await
        .unwrap();
        let closed = bench.engine.close_gate(Duration::from_millis(1)).await.unwrap();
        bench.engine.checkpoint(&closed).await.unwrap();
        drop(closed);
        rows += stream.next().await.unwrap().unwrap().num_rows();
    }
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 400_000);
}

/// A transaction that has read before it writes sees one state all along: it may wait, but not for ever.
#[tokio::test]
async fn a_reader_of_an_old_state_is_asked_to_go_when_a_checkpoint_insists() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t AS SELECT i, repeat('x', 100) AS pad FROM range(400000) r(i)")
        .await
        .unwrap();
    let mut stream = start(&bench.engine, request("SELECT i, pad FROM t", Role::ReadOnly)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    run(&bench.engine, "UPDATE t SET pad = 'new' WHERE i < 10").await.unwrap();
    let closed = bench.engine.close_gate(BOUND).await.unwrap();
    let blocked = bench.engine.checkpoint(&closed).await.unwrap_err();
    assert_eq!(blocked.code, ErrorCode::TransactionConflict, "{blocked:?}");
    stream.next().await.unwrap().unwrap();
    let mut later = start(&bench.engine, request(HUGE, Role::ReadOnly)).await.unwrap();
    later.next().await.unwrap().unwrap();
    bench.engine.checkpoint_interrupting(&closed).await.unwrap();
    let error = read(stream).await.unwrap_err();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "72000"), "{error:?}");
    later.next().await.unwrap().expect("a reader of the newest state was stopped");
}

/// A transaction that waits for the gate before its first statement does not keep the checkpoint from running.
#[tokio::test]
async fn a_waiting_transaction_does_not_block_the_checkpoint() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t AS SELECT i FROM range(100) r(i)").await.unwrap();
    let closed = bench.engine.close_gate(BOUND).await.unwrap();
    let engine = bench.engine.clone();
    let waiting =
        tokio::spawn(
            async move { run(&engine, "BEGIN; DELETE FROM t; INSERT INTO t VALUES (1); COMMIT").await },
        );
    eventually("the writer waits", || bench.engine.activity().open_transactions == 1).await;
    bench.engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    waiting.await.unwrap().unwrap();
    assert_eq!(run(&bench.engine, "FROM t").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_sealed_gate_refuses_writers_before_they_run() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let closed = bench.engine.close_gate(BOUND).await.unwrap();
    let engine = bench.engine.clone();
    let waiting = tokio::spawn(async move { run(&engine, "INSERT INTO t VALUES (1)").await });
    eventually("the writer waits", || bench.engine.activity().running == 1).await;
    closed.seal();
    drop(closed);
    assert_eq!(waiting.await.unwrap().unwrap_err().code, ErrorCode::Draining);
    assert_eq!(run(&bench.engine, "INSERT INTO t VALUES (1)").await.unwrap_err().code, ErrorCode::Draining);
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    assert_eq!(bench.engine.close_gate(BOUND).await.err(), Some(GateError::Sealed));
}

#[tokio::test]
async fn the_database_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..4_i64 {
        let engine = Engine::open(config(folder.path()), vfs(folder.path())).unwrap();
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS t (i INT); INSERT INTO t VALUES ({round}); SELECT count(*) FROM t"
        );
        assert_eq!(run(&engine, &sql).await.unwrap(), [(round + 1).to_string()]);
        if round % 2 == 0 {
            let closed = engine.close_gate(BOUND).await.unwrap();
            engine.checkpoint(&closed).await.unwrap();
        }
        engine.close().await;
    }
}

const TABLES: &str = "CREATE TABLE ledger (w INT, n INT, rows INT); CREATE TABLE bulk (w INT, tag INT, s VARCHAR); \
    CREATE TABLE pk (id BIGINT PRIMARY KEY, v INT)";

/// One writer: transactions of many kinds, each with its line in the ledger; returns how many were acknowledged.
async fn write(engine: Engine, writer: u32, seed: u64, stop: Arc<AtomicBool>, acknowledged: Arc<AtomicU32>) {
    let mut random = StdRng::seed_from_u64(seed * 31 + u64::from(writer));
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let rows = random.random_range(1..20_000);
        let next = n + 1;
        let ledger = |rows: u32| format!("INSERT INTO ledger VALUES ({writer}, {next}, {rows})");
        let bulk =
            format!("INSERT INTO bulk SELECT {writer}, {next}, md5(i::VARCHAR) FROM range({rows}) r(i)");
        let base = u64::from(writer) * 1_000_000;
        let (sql, committed) = match random.random_range(0..8) {
            0 => (format!("BEGIN; {bulk}; {}; COMMIT", ledger(rows)), true),
            1 => (format!("BEGIN; {bulk}; ROLLBACK"), false),
            2 => (
                format!(
                    "BEGIN; {}; UPDATE bulk SET s = 'u' WHERE w = {writer} AND tag % 5 = 0; COMMIT",
                    ledger(0)
                ),
                true,
            ),
            3 => (
                format!(
                    "BEGIN; INSERT OR REPLACE INTO pk SELECT {base} + i, {n} FROM range({}) r(i); {}; COMMIT",
                    rows / 10,
                    ledger(0)
                ),
                true,
            ),
            4 => (
                format!(
                    "BEGIN; CREATE OR REPLACE TABLE t{writer} AS FROM range({rows}); {}; COMMIT",
                    ledger(0)
                ),
                true,
            ),
            5 => (format!("BEGIN; {bulk}; SELECT 'no'::INT"), false),
            _ => (ledger(0), true),
        };
        match run(&engine, &sql).await {
            Ok(_) if committed => {
                n = next;
                acknowledged.store(n, Ordering::SeqCst);
            }
            Ok(_) => {}
            Err(error) => assert!(
                matches!(error.code, ErrorCode::TransactionConflict | ErrorCode::QueryFailed),
                "seed {seed}: {sql}: {error:?}"
            ),
        }
    }
}

/// Four writers, checkpoints in between, then opened again: the ledger holds exactly what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    for seed in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(config(folder.path()), vfs(folder.path())).unwrap();
        run(&engine, TABLES).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let counts: Vec<Arc<AtomicU32>> = (0..4).map(|_| Arc::default()).collect();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let count = Arc::clone(&counts[writer as usize]);
                tokio::spawn(write(engine.clone(), writer, seed, Arc::clone(&stop), count))
            })
            .collect();
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(random.random_range(5..250))).await;
            let closed = engine.close_gate(Duration::from_millis(random.random_range(0..400))).await.unwrap();
            engine.checkpoint(&closed).await.unwrap();
        }
        stop.store(true, Ordering::SeqCst);
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(!engine.has_failed());
        engine.close().await;
        let engine = Engine::open(config(folder.path()), vfs(folder.path())).unwrap();
        for (writer, count) in counts.iter().enumerate() {
            let acknowledged = count.load(Ordering::SeqCst);
            assert!(acknowledged > 0, "seed {seed}: writer {writer} did nothing");
            let sql = format!(
                "SELECT count(*), max(n), sum(rows) = (SELECT count(*) FROM bulk WHERE w = {writer}) \
                FROM ledger WHERE w = {writer}"
            );
            let expected = format!("{acknowledged}|{acknowledged}|true");
            assert_eq!(run(&engine, &sql).await.unwrap(), [expected], "seed {seed}, writer {writer}");
        }
        engine.close().await;
    }
}
