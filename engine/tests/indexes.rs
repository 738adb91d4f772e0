//! The making of an index beside other transactions: readers of an older state, other writers, other indexes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{EngineConfig, ErrorCode, QueryError, Role, Session};
use std::time::Duration;
use support::{PATIENCE, ask, bench_with, open, read, request, run, start};

const SHORT: Duration = Duration::from_millis(50);
const TABLES: &str = "CREATE TABLE t (k BIGINT, v INT); INSERT INTO t VALUES (1, 1), (2, 2); CREATE TABLE u (k INT); \
                      INSERT INTO u VALUES (1)";

fn patient(config: &mut EngineConfig) {
    config.alone_patience = Duration::from_hours(1);
}

fn impatient(config: &mut EngineConfig) {
    config.alone_patience = SHORT;
}

fn is_told_to_retry(error: &QueryError) {
    assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "40001"), "{error:?}");
}

/// DuckDB looked for the first row, when the reader had ended, in the index that never had it, and died.
#[tokio::test]
async fn an_index_is_not_made_beside_rows_that_were_deleted_for_an_older_reader() {
    let before_and_index = [
        ("CREATE INDEX i ON t (k); DELETE FROM t WHERE k = 1", "CREATE INDEX j ON t (v)"),
        ("CREATE INDEX i ON t (k); UPDATE t SET k = 7 WHERE k = 1", "CREATE UNIQUE INDEX j ON t (v)"),
        ("BEGIN; DELETE FROM t WHERE k = 1; UPDATE u SET k = 3; COMMIT", "ALTER TABLE t ADD PRIMARY KEY (k)"),
        ("ALTER TABLE t ADD COLUMN c INT[] DEFAULT [1]", "CREATE INDEX j ON t (k)"),
    ];
    for (before, index) in before_and_index {
        let bench = bench_with(impatient);
        run(&bench.engine, TABLES).await.unwrap();
        let mut reader = open(&bench.engine, Role::ReadWrite);
        ask(&mut reader, "BEGIN; FROM t").await.unwrap();
        run(&bench.engine, before).await.unwrap();
        run(&bench.engine, index).await.unwrap_or_else(|error| panic!("{index}: {error:?}"));
        run(&bench.engine, "DELETE FROM t WHERE k = 2").await.unwrap();
        let stopped = ask(&mut reader, "FROM t").await.unwrap_err();
        assert_eq!(
            (stopped.code, stopped.sqlstate),
            (ErrorCode::TransactionConflict, "72000"),
            "{stopped:?}"
        );
        let kept = run(&bench.engine, "SELECT count(*) FROM t").await;
        assert!(kept.is_ok() && !bench.engine.has_failed(), "{before}; {index}: {kept:?}");
    }
}

#[tokio::test]
async fn a_paused_reader_of_an_older_state_is_stopped_as_well() {
    let bench = bench_with(impatient);
    run(&bench.engine, TABLES).await.unwrap();
    let rows = request("SELECT i, repeat('x', 200) FROM range(40000000) r(i), t", Role::ReadOnly);
    let mut paused = start(&bench.engine, rows).await.unwrap();
    paused.next().await.unwrap().unwrap();
    run(&bench.engine, "CREATE INDEX i ON t (k); DELETE FROM t WHERE k = 1").await.unwrap();
    run(&bench.engine, "CREATE INDEX j ON t (v); DELETE FROM t").await.unwrap();
    assert_eq!(read(paused).await.unwrap_err().sqlstate, "72000");
    assert!(!bench.engine.has_failed());
}

#[tokio::test]
async fn a_reader_of_the_present_state_is_left_alone() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut reader = open(&bench.engine, Role::ReadWrite);
    ask(&mut reader, "BEGIN; FROM t").await.unwrap();
    run(&bench.engine, "CREATE INDEX i ON t (k)").await.unwrap();
    assert_eq!(ask(&mut reader, "SELECT count(*) FROM t").await.unwrap(), ["2"]);
    run(&bench.engine, "DELETE FROM t WHERE k = 1").await.unwrap();
    assert_eq!(ask(&mut reader, "SELECT count(*) FROM t; COMMIT").await.unwrap(), ["0"; 0]);
    run(&bench.engine, "DELETE FROM t").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_has_done_nothing_is_left_alone() {
    for role in [Role::ReadWrite, Role::ReadOnly] {
        let bench = bench_with(impatient);
        run(&bench.engine, TABLES).await.unwrap();
        let mut reader = open(&bench.engine, role);
        ask(&mut reader, "BEGIN").await.unwrap();
        run(&bench.engine, "DELETE FROM t WHERE k = 1; CREATE INDEX i ON t (k)").await.unwrap();
        assert_eq!(ask(&mut reader, "FROM u; SELECT count(*) FROM t").await.unwrap(), ["1"]);
        ask(&mut reader, "COMMIT").await.unwrap();
    }
}

#[tokio::test]
async fn an_index_waits_for_another_writer() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut writer = open(&bench.engine, Role::ReadWrite);
    ask(&mut writer, "BEGIN; DELETE FROM t WHERE k = 1").await.unwrap();
    let mut maker = open(&bench.engine, Role::ReadWrite);
    let made = tokio::spawn(async move { ask(&mut maker, "CREATE INDEX i ON t (k)").await });
    ask(&mut writer, "DELETE FROM t WHERE k = 2; COMMIT").await.unwrap();
    made.await.unwrap().unwrap();
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn a_writer_that_keeps_an_index_waiting_is_rolled_back() {
    let bench = bench_with(impatient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut writer = open(&bench.engine, Role::ReadWrite);
    ask(&mut writer, "BEGIN; DELETE FROM t WHERE k = 1").await.unwrap();
    run(&bench.engine, "CREATE INDEX i ON t (k)").await.unwrap();
    assert_eq!(ask(&mut writer, "COMMIT").await.unwrap_err().sqlstate, "25P03");
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn of_two_transactions_that_wait_to_make_an_index_one_is_told_to_retry() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let (mut first, mut second) =
        (open(&bench.engine, Role::ReadWrite), open(&bench.engine, Role::ReadWrite));
    ask(&mut first, "BEGIN; INSERT INTO t VALUES (3, 3)").await.unwrap();
    ask(&mut second, "BEGIN; INSERT INTO u VALUES (3)").await.unwrap();
    let make = async |session: &mut Session, index: &str| {
        let made = ask(session, index).await;
        ask(session, if made.is_ok() { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
        made
    };
    let both = tokio::join!(
        make(&mut first, "CREATE INDEX i ON t (k)"),
        make(&mut second, "CREATE INDEX j ON u (k)")
    );
    let error = match both {
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
        other => panic!("{other:?}"),
    };
    is_told_to_retry(&error);
}

#[tokio::test]
async fn a_table_is_not_altered_by_who_dropped_an_index_of_it() {
    let bench = bench_with(patient);
    run(&bench.engine, &format!("{TABLES}; CREATE INDEX i ON t (k)")).await.unwrap();
    for alter in ["ADD COLUMN c INT", "RENAME COLUMN v TO w", "RENAME TO t2", "ADD PRIMARY KEY (v)"] {
        let sql = format!("BEGIN; DROP INDEX i; ALTER TABLE t {alter}; COMMIT");
        let error = run(&bench.engine, &sql).await.expect_err(&sql);
        // Trying again would not help.
        assert_eq!((error.code, error.sqlstate), (ErrorCode::QueryFailed, "0A000"), "{error:?}");
    }
    run(&bench.engine, "DROP INDEX i; ALTER TABLE t RENAME COLUMN v TO w; FROM t").await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_is_older_than_a_write_makes_no_index_but_over_tables_of_its_own() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    let own = "BEGIN; FROM t; CREATE TABLE own (k INT, v INT); INSERT INTO own SELECT range, range FROM range(300000)";
    ask(&mut session, own).await.unwrap();
    run(&bench.engine, "INSERT INTO u VALUES (7)").await.unwrap();
    ask(&mut session, "CREATE INDEX o ON own (k); CREATE TEMP TABLE x AS FROM t; CREATE INDEX y ON x (k)")
        .await
        .unwrap();
    is_told_to_retry(&ask(&mut session, "CREATE INDEX i ON t (k)").await.unwrap_err());
    ask(&mut session, "ROLLBACK").await.unwrap();
    ask(&mut session, "BEGIN; CREATE INDEX i ON t (k); COMMIT").await.unwrap();
}

/// DuckDB would write by the old plan, and leave the new index out.
#[tokio::test]
async fn a_transaction_that_is_older_than_an_index_writes_nothing() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    for write in ["UPDATE t SET v = v + 10", "PREPARE q AS DELETE FROM t; EXECUTE q", "EXECUTE p"] {
        let mut session = open(&bench.engine, Role::ReadWrite);
        ask(&mut session, "BEGIN; FROM t; PREPARE p AS UPDATE t SET v = v + 10").await.unwrap();
        run(&bench.engine, "CREATE INDEX j ON t (v)").await.unwrap();
        is_told_to_retry(&ask(&mut session, write).await.unwrap_err());
        ask(&mut session, "ROLLBACK").await.unwrap();
        run(&bench.engine, "DROP INDEX j").await.unwrap();
    }
    // One that has done nothing yet begins anew.
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN").await.unwrap();
    run(&bench.engine, "CREATE INDEX j ON t (v)").await.unwrap();
    ask(&mut session, "UPDATE t SET v = v + 10; COMMIT").await.unwrap();
    assert_eq!(run(&bench.engine, "SELECT k FROM t WHERE v = 12").await.unwrap(), ["2"]);
    run(&bench.engine, "DELETE FROM t").await.unwrap();
}

/// DuckDB would take away the wrong one of two indexes of one name, and what was published then killed it.
#[tokio::test]
async fn an_index_is_not_made_anew_in_the_transaction_that_drops_it() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    run(&bench.engine, "CREATE INDEX i ON t (k)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN; DROP INDEX i").await.unwrap();
    is_told_to_retry(&ask(&mut session, "CREATE INDEX i ON t (v)").await.unwrap_err());
    ask(&mut session, "ROLLBACK").await.unwrap();
    ask(&mut session, "BEGIN; DROP INDEX i; COMMIT; CREATE INDEX i ON t (v)").await.unwrap();
    let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
    bench.engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    run(&bench.engine, "DELETE FROM t").await.unwrap();
}

/// DuckDB dies where rows are deleted of a table that has a column and an index of an open transaction.
#[tokio::test]
async fn nobody_else_writes_while_a_transaction_that_made_an_index_is_open() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut maker = open(&bench.engine, Role::ReadWrite);
    ask(&mut maker, "BEGIN; ALTER TABLE t ADD COLUMN c INT; CREATE INDEX j ON t (c)").await.unwrap();
    let short = request("DELETE FROM t WHERE k = 1", Role::ReadWrite).within(Duration::from_millis(300));
    let late = match start(&bench.engine, short).await {
        Ok(stream) => read(stream).await,
        Err(error) => Err(error),
    };
    assert_eq!(late.unwrap_err().code, ErrorCode::StatementTimeout);
    let engine = bench.engine.clone();
    let waits = tokio::spawn(async move { run(&engine, "DELETE FROM t WHERE k = 1").await });
    ask(&mut maker, "COMMIT").await.unwrap();
    waits.await.unwrap().unwrap();
    assert_eq!(run(&bench.engine, "SELECT k FROM t").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn a_publish_does_not_wait_for_ever_for_a_transaction_that_made_an_index() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut maker = open(&bench.engine, Role::ReadWrite);
    ask(&mut maker, "BEGIN; CREATE INDEX j ON t (k)").await.unwrap();
    let closed = bench.engine.close_gate(SHORT).await.unwrap();
    bench.engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    assert_eq!(ask(&mut maker, "COMMIT").await.unwrap_err().sqlstate, "25P03");
    run(&bench.engine, "DELETE FROM t").await.unwrap();
}

#[tokio::test]
async fn an_index_that_is_not_the_first_statement_waits_as_well() {
    let bench = bench_with(impatient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut reader = open(&bench.engine, Role::ReadWrite);
    ask(&mut reader, "BEGIN; FROM t").await.unwrap();
    run(&bench.engine, "INSERT INTO t VALUES (3, 3); CREATE INDEX i ON t (k)").await.unwrap();
    assert_eq!(ask(&mut reader, "FROM t").await.unwrap_err().sqlstate, "72000");
}

#[tokio::test]
async fn an_index_that_is_there_already_disturbs_nobody() {
    let bench = bench_with(impatient);
    run(&bench.engine, TABLES).await.unwrap();
    run(&bench.engine, "CREATE INDEX i ON t (k)").await.unwrap();
    let mut reader = open(&bench.engine, Role::ReadWrite);
    ask(&mut reader, "BEGIN; FROM t").await.unwrap();
    run(&bench.engine, "INSERT INTO t VALUES (3, 3); CREATE INDEX IF NOT EXISTS i ON t (k)").await.unwrap();
    assert_eq!(ask(&mut reader, "SELECT count(*) FROM t").await.unwrap(), ["2"]);
}

/// It executes what it explains, and nothing that is asked of an ALTER or an index would be asked of it.
#[tokio::test]
async fn explain_analyze_defines_nothing() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    for sql in ["ALTER TABLE t RENAME TO r", "CREATE INDEX i ON t (k)", "ALTER TABLE t ADD PRIMARY KEY (k)"] {
        let error = run(&bench.engine, &format!("EXPLAIN ANALYZE {sql}")).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::StatementNotAllowed, "{sql}: {error:?}");
        run(&bench.engine, &format!("EXPLAIN {sql}")).await.unwrap();
    }
}

/// DuckDB's grammar keeps them out of PREPARE, so EXECUTE needs no case of its own.
#[tokio::test]
async fn sql_prepares_nothing_that_alters_or_makes_an_index() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    for sql in ["ALTER TABLE t RENAME TO r", "CREATE INDEX i ON t (k)", "CREATE VIEW w AS FROM t"] {
        let error = run(&bench.engine, &format!("PREPARE p AS {sql}")).await.unwrap_err();
        assert_eq!(error.sqlstate, "42601", "{sql}: {error:?}");
    }
}

/// A statement that was prepared is judged again by what others have done since.
#[tokio::test]
async fn an_alter_that_was_prepared_before_an_index_was_made_is_told_to_retry() {
    let bench = bench_with(patient);
    run(&bench.engine, TABLES).await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN; FROM t").await.unwrap();
    let alter = session.extract("ALTER TABLE t RENAME TO r", PATIENCE).await.unwrap().remove(0);
    let alter = session.prepare(alter, PATIENCE).await.unwrap();
    run(&bench.engine, "CREATE INDEX i ON t (k)").await.unwrap();
    is_told_to_retry(&session.execute(&alter, Vec::new(), PATIENCE).await.err().unwrap());
    ask(&mut session, "ROLLBACK").await.unwrap();
    let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
    bench.engine.checkpoint(&closed).await.unwrap();
}
