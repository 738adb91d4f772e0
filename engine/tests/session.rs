//! One session of many statements, as a connection's: without any server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{
    ErrorCode, QueryError, Returns, Role, RowStream, Session, SessionLimits, Statement, Value,
};
use std::time::Duration;
use support::{PATIENCE, bench, bench_with, eventually, open, request, rows, run, start};

const ENDLESS: &str = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range < 0";
const HUGE: &str = "SELECT i, repeat('x', 200) AS pad FROM range(40000000) r(i)";

async fn prepared(session: &mut Session, sql: &str) -> Result<Statement, QueryError> {
    let mut statements = session.extract(sql, PATIENCE).await?;
    assert_eq!(statements.len(), 1, "{sql}");
    session.prepare(statements.remove(0), PATIENCE).await
}

async fn begun(session: &mut Session, sql: &str) -> Result<RowStream, QueryError> {
    let statement = prepared(session, sql).await?;
    session.execute(&statement, Vec::new(), PATIENCE).await
}

/// The rows of one statement.
async fn ask(session: &mut Session, sql: &str) -> Result<Vec<String>, QueryError> {
    read(&mut begun(session, sql).await?).await
}

async fn read(stream: &mut RowStream) -> Result<Vec<String>, QueryError> {
    let mut all = Vec::new();
    while let Some(batch) = stream.next().await {
        all.extend(rows::text(&batch?));
    }
    Ok(all)
}

#[tokio::test]
async fn statements_share_a_session() {
    let bench = bench();
    let mut session = open(&bench.engine, Role::ReadWrite);
    let statements =
        session.extract("CREATE TEMP TABLE x (i INT); SET VARIABLE v = 7; FROM x", PATIENCE).await.unwrap();
    assert_eq!(statements.len(), 3);
    for statement in statements {
        let statement = session.prepare(statement, PATIENCE).await.unwrap();
        read(&mut session.execute(&statement, Vec::new(), PATIENCE).await.unwrap()).await.unwrap();
    }
    assert_eq!(ask(&mut session, "SELECT getvariable('v')").await.unwrap(), ["7"]);
    assert_eq!(ask(&mut session, "SELECT count(*) FROM x").await.unwrap(), ["0"]);
    session.end().await;
    let mut another = open(&bench.engine, Role::ReadWrite);
    assert_eq!(ask(&mut another, "FROM x").await.unwrap_err().sqlstate, "42P01");
}

#[tokio::test]
async fn a_statement_tells_what_it_is_and_runs_again_and_again() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT, s VARCHAR)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    let insert = prepared(&mut session, "INSERT INTO t VALUES (?, $2)").await.unwrap();
    let types: Vec<_> = insert.parameters.iter().map(|one| one.logical_type.as_deref()).collect();
    assert_eq!(types, [Some("INTEGER"), Some("VARCHAR")]);
    assert!(insert.writes && !insert.streams && insert.returns == Returns::ChangedRows);
    for n in 0..3 {
        let values = vec![Value::I64(n), Value::Text(format!("row {n}"))];
        let mut stream = session.execute(&insert, values, PATIENCE).await.unwrap();
        read(&mut stream).await.unwrap();
        let outcome = stream.outcome().unwrap();
        assert_eq!((outcome.rows_changed, outcome.committed_writes), (Some(1), true));
    }
    let select = prepared(&mut session, "SELECT i, s FROM t WHERE i >= $1 ORDER BY i").await.unwrap();
    let columns: Vec<_> = select.columns.iter().map(|one| (&*one.name, &*one.logical_type)).collect();
    assert_eq!(columns, [("i", "INTEGER"), ("s", "VARCHAR")]);
    assert!(!select.writes && select.streams && select.returns == Returns::Rows);
    for (least, expected) in [(2, vec!["2|row 2"]), (1, vec!["1|row 1", "2|row 2"])] {
        let mut stream = session.execute(&select, vec![Value::I64(least)], PATIENCE).await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap(), expected);
    }
    let unknown = prepared(&mut session, "SELECT ?").await.unwrap();
    assert_eq!(unknown.parameters[0].logical_type, None);
    let refused = session.execute(&select, Vec::new(), PATIENCE).await.err().unwrap();
    assert_eq!((refused.code, refused.sqlstate), (ErrorCode::BadRequest, "08P01"));
    assert_eq!(ask(&mut session, "SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn binding_takes_no_longer_than_it_may() {
    let bench = bench();
    let mut session = open(&bench.engine, Role::ReadWrite);
    // Each arrow doubles the time that binding takes, and binding hears no interrupt.
    let slow = format!("SELECT '{{}}'::JSON{}", "->'a'".repeat(20));
    let statement = session.extract(&slow, PATIENCE).await.unwrap().remove(0);
    let error = session.prepare(statement, Duration::from_millis(1)).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::StatementTimeout);
    let mut another = open(&bench.engine, Role::ReadWrite);
    assert_eq!(ask(&mut another, "SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_transaction_goes_on_from_statement_to_statement() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT PRIMARY KEY)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    for (sql, open) in [("BEGIN", true), ("INSERT INTO t VALUES (1)", true), ("COMMIT", false)] {
        ask(&mut session, sql).await.unwrap();
        assert_eq!(session.in_transaction(), open, "{sql}");
        assert_eq!(bench.engine.activity().open_transactions, usize::from(open), "{sql}");
    }
    assert_eq!(run(&bench.engine, "FROM t").await.unwrap(), ["1"]);
    // One that failed waits for its ROLLBACK.
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (2)").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (1)").await.unwrap_err();
    assert!(session.in_transaction());
    assert_eq!(ask(&mut session, "SELECT 1").await.unwrap_err().sqlstate, "25P02");
    ask(&mut session, "ROLLBACK").await.unwrap();
    assert!(!session.in_transaction());
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (2)").await.unwrap();
    ask(&mut session, "FROM missing").await.unwrap_err();
    ask(&mut session, "COMMIT").await.unwrap();
    assert!(!session.in_transaction(), "a COMMIT of what has failed is a rollback");
    assert_eq!(run(&bench.engine, "FROM t").await.unwrap(), ["1"]);
    // A commit that fails is over as well.
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "DROP TABLE t").await.unwrap();
    run(&bench.engine, "CREATE INDEX late ON t (i)").await.unwrap();
    ask(&mut session, "COMMIT").await.unwrap_err();
    assert!(!session.in_transaction());
    // One that is left open ends with its session.
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (3)").await.unwrap();
    session.end().await;
    assert_eq!(bench.engine.activity().open_transactions, 0);
    drop(bench.engine.close_gate(PATIENCE).await.unwrap());
    assert_eq!(run(&bench.engine, "FROM t").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_statement_is_cancelled_and_its_session_goes_on() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    let handle = session.handle();
    handle.cancel();
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (1)").await.unwrap();
    let endless = prepared(&mut session, ENDLESS).await.unwrap();
    let cancel = async {
        eventually("it runs", || handle.elapsed().is_some()).await;
        handle.cancel();
    };
    let (cancelled, ()) = tokio::join!(session.execute(&endless, Vec::new(), PATIENCE), cancel);
    let error = cancelled.err().unwrap();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::Cancelled, "57014"));
    assert!(session.in_transaction(), "the transaction is its client's to end");
    ask(&mut session, "ROLLBACK").await.unwrap();
    let error = session.execute(&endless, Vec::new(), Duration::from_millis(100)).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::StatementTimeout);
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn an_idle_writing_transaction_ends_when_a_publish_has_waited_for_it() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (1)").await.unwrap();
    let closed = bench.engine.close_gate(Duration::from_millis(200)).await.unwrap();
    eventually("the session knows", || !session.in_transaction()).await;
    bench.engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    let error = ask(&mut session, "INSERT INTO t VALUES (2)").await.unwrap_err();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "25P03"));
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    // One that only reads holds nobody up.
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "FROM t").await.unwrap();
    let closed = bench.engine.close_gate(Duration::ZERO).await.unwrap();
    bench.engine.checkpoint(&closed).await.unwrap();
    ask(&mut session, "COMMIT").await.unwrap();
}

/// A transaction that waits for the gate gives up what it has not begun; it does not vanish.
#[tokio::test]
async fn a_transaction_that_was_stopped_while_it_waited_is_its_clients_to_end() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN").await.unwrap();
    let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
    let insert = prepared(&mut session, "INSERT INTO t VALUES (1)").await.unwrap();
    let timeout = Duration::from_millis(100);
    let error = session.execute(&insert, Vec::new(), timeout).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::StatementTimeout);
    drop(closed);
    assert!(session.in_transaction());
    let error = session.execute(&insert, Vec::new(), PATIENCE).await.err().unwrap();
    assert_eq!(error.sqlstate, "25P02", "it is not committed on its own");
    ask(&mut session, "COMMIT").await.unwrap();
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn an_idle_transaction_ends_at_its_own_bound() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let limits = SessionLimits { idle_transaction: Duration::from_millis(300) };
    let mut session = bench.engine.open_session(Role::ReadWrite, limits).unwrap();
    for round in 0..2 {
        ask(&mut session, "BEGIN").await.unwrap();
        ask(&mut session, "INSERT INTO t VALUES (1)").await.unwrap();
        eventually("it is rolled back", || bench.engine.activity().open_transactions == 0).await;
        let error = ask(&mut session, "COMMIT").await.unwrap_err();
        assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "25P03"), "{round}");
        assert!(!session.in_transaction());
    }
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

#[tokio::test]
async fn an_unread_result_obeys_the_same_bounds() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t AS SELECT i, repeat('x', 100) AS pad FROM range(400000) r(i)")
        .await
        .unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    let mut old = begun(&mut session, "SELECT i, pad FROM t").await.unwrap();
    old.next().await.unwrap().unwrap();
    run(&bench.engine, "UPDATE t SET pad = 'new' WHERE i < 10").await.unwrap();
    let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
    bench.engine.checkpoint_interrupting(&closed).await.unwrap();
    drop(closed);
    let error = read(&mut old).await.unwrap_err();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "72000"));
    let statement = prepared(&mut session, HUGE).await.unwrap();
    let mut slow = session.execute(&statement, Vec::new(), Duration::from_millis(500)).await.unwrap();
    slow.next().await.unwrap().unwrap();
    eventually("it ends at its timeout", || bench.engine.activity().running == 0).await;
    assert_eq!(read(&mut slow).await.unwrap_err().code, ErrorCode::StatementTimeout);
    assert_eq!(ask(&mut session, "SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_result_ends_where_its_reader_leaves_it() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (1)").await.unwrap();
    let mut some = begun(&mut session, HUGE).await.unwrap();
    some.next().await.unwrap().unwrap();
    some.leave().await.unwrap();
    assert!(session.in_transaction());
    ask(&mut session, "COMMIT").await.unwrap();
    assert_eq!(run(&bench.engine, "FROM t").await.unwrap(), ["1"]);
    // Outside of a transaction, by leaving, by another statement, and by dropping it.
    let mut some = begun(&mut session, HUGE).await.unwrap();
    some.next().await.unwrap().unwrap();
    some.leave().await.unwrap();
    let mut first = begun(&mut session, HUGE).await.unwrap();
    first.next().await.unwrap().unwrap();
    assert_eq!(ask(&mut session, "SELECT 2").await.unwrap(), ["2"]);
    assert_eq!(read(&mut first).await.unwrap_err().code, ErrorCode::Cancelled);
    let mut dropped = begun(&mut session, HUGE).await.unwrap();
    dropped.next().await.unwrap().unwrap();
    drop(dropped);
    eventually("it stops", || bench.engine.activity().running == 0).await;
    assert_eq!(ask(&mut session, "SELECT 3").await.unwrap(), ["3"]);
}

#[tokio::test]
async fn readers_sessions_write_nothing() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadOnly);
    let refused = prepared(&mut session, "INSERT INTO t VALUES (1)").await.err().unwrap();
    assert_eq!((refused.code, refused.sqlstate), (ErrorCode::ReadOnly, "25006"));
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    ask(&mut session, "BEGIN").await.unwrap();
    assert!(session.in_transaction());
    assert_eq!(ask(&mut session, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    ask(&mut session, "COMMIT").await.unwrap();
    assert!(!session.in_transaction());
}

fn session_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.trim() == "session").count()
}

/// Sessions hold a connection each, and no thread while nothing of them runs.
#[tokio::test]
async fn idle_sessions_and_paused_results_hold_no_thread() {
    let bench = bench_with(|config| config.max_sessions = 40);
    let (mut idle, mut paused) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut session = open(&bench.engine, Role::ReadWrite);
        ask(&mut session, "SELECT 1").await.unwrap();
        idle.push(session);
        let mut stream = start(&bench.engine, request(HUGE, Role::ReadOnly)).await.unwrap();
        stream.next().await.unwrap().unwrap();
        paused.push(stream);
    }
    // Some threads wait for the next statement of anybody.
    eventually("threads are given back", || session_threads() <= 8).await;
    let refused = bench.engine.open_session(Role::ReadOnly, SessionLimits::default()).err().unwrap();
    assert_eq!(refused.code, ErrorCode::Busy);
    for mut stream in paused {
        for _ in 0..10 {
            stream.next().await.unwrap().unwrap();
        }
    }
    drop(idle);
    eventually("places are given up", || {
        bench.engine.open_session(Role::ReadOnly, SessionLimits::default()).is_ok()
    })
    .await;
}

#[tokio::test]
async fn closing_the_engine_ends_sessions_that_are_idle() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut session = open(&bench.engine, Role::ReadWrite);
    ask(&mut session, "BEGIN").await.unwrap();
    ask(&mut session, "INSERT INTO t VALUES (1)").await.unwrap();
    let unused = open(&bench.engine, Role::ReadWrite);
    tokio::time::timeout(PATIENCE, bench.engine.clone().close()).await.unwrap();
    assert_eq!(ask(&mut session, "COMMIT").await.unwrap_err().code, ErrorCode::Draining);
    drop(unused);
}

/// DuckDB would go on, and could not checkpoint the table, or open what it has written.
#[tokio::test]
async fn a_table_is_not_made_anew_over_an_index_that_its_transaction_does_not_see() {
    let bench = bench();
    let alters = [
        ("ALTER TABLE t RENAME TO r", "2BP01"),
        ("ALTER TABLE t ADD PRIMARY KEY (i)", "2BP01"),
        ("ALTER TABLE t RENAME j TO k", "2BP01"),
        ("ALTER TABLE t DROP j", "42P01"),
        ("ALTER TABLE t ALTER j TYPE BIGINT", "42P01"),
    ];
    for (n, (alter, seen)) in alters.into_iter().enumerate() {
        run(&bench.engine, "CREATE OR REPLACE TABLE t (i INT, j INT)").await.unwrap();
        let mut session = open(&bench.engine, Role::ReadWrite);
        ask(&mut session, "BEGIN").await.unwrap();
        ask(&mut session, "FROM t").await.unwrap();
        run(&bench.engine, &format!("CREATE INDEX i{n} ON t (j)")).await.unwrap();
        let error = ask(&mut session, alter).await.unwrap_err();
        assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "40001"), "{alter}");
        ask(&mut session, "ROLLBACK").await.unwrap();
        let error = ask(&mut session, alter).await.unwrap_err();
        assert_eq!(error.sqlstate, seen, "now it sees the index: {error:?}");
        run(&bench.engine, &format!("DROP INDEX i{n}; {alter}; DROP TABLE IF EXISTS r")).await.unwrap();
        let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
        bench.engine.checkpoint(&closed).await.unwrap();
    }
    // The indexes of constraints keep the names that they were made with.
    let keys = "CREATE TABLE u (a INT UNIQUE, b INT PRIMARY KEY, c INT, UNIQUE (b, c)); ALTER TABLE u RENAME TO v; \
                ALTER TABLE v RENAME a TO z; ALTER TABLE v RENAME TO w; ALTER TABLE w RENAME TO u";
    run(&bench.engine, keys).await.unwrap();
}
