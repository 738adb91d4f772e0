//! Requests: order, parameters, transactions, roles, errors, cancelling, timeouts, back-pressure.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, ErrorCode, QueryError, Role, SessionLimits, Value};
use std::time::{Duration, Instant};
use support::{PATIENCE, bench, bench_with, eventually, read, request, run, run_as, script, start};

/// A query that would run for hours.
const ENDLESS: &str = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range < 0";
/// A result of about 8 GB.
const HUGE: &str = "SELECT i, repeat('x', 200) AS pad FROM range(40000000) r(i)";

async fn refused(engine: &Engine, sql: &str, role: Role) -> QueryError {
    run_as(engine, sql, role).await.expect_err(sql)
}

#[tokio::test]
async fn statements_run_in_order_and_the_last_answers() {
    let bench = bench();
    let rows =
        run(&bench.engine, "CREATE TABLE t (i INT); INSERT INTO t VALUES (1), (2); FROM t ORDER BY i").await;
    assert_eq!(rows.unwrap(), ["1", "2"]);
}

#[tokio::test]
async fn a_stream_tells_columns_and_outcome() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut stream =
        start(&bench.engine, request("INSERT INTO t VALUES (1), (2)", Role::ReadWrite)).await.unwrap();
    while let Some(batch) = stream.next().await {
        batch.unwrap();
    }
    let outcome = stream.outcome().unwrap();
    assert_eq!((outcome.rows_changed, outcome.committed_writes), (Some(2), true));
    let mut stream = start(&bench.engine, request("SELECT 1::DECIMAL(9, 2) AS d, [1] AS l", Role::ReadOnly))
        .await
        .unwrap();
    let columns: Vec<_> = stream.columns.iter().map(|c| (c.name.as_str(), c.logical_type.as_str())).collect();
    assert_eq!(columns, [("d", "DECIMAL(9,2)"), ("l", "INTEGER[]")]);
    while let Some(batch) = stream.next().await {
        batch.unwrap();
    }
    let outcome = stream.outcome().unwrap();
    assert_eq!((outcome.rows_returned, outcome.committed_writes), (1, false));
    let stream = start(&bench.engine, request("CREATE TABLE u (i INT)", Role::ReadWrite)).await.unwrap();
    assert!(stream.columns.is_empty());
    assert!(read(stream).await.unwrap().is_empty());
}

#[tokio::test]
async fn errors_carry_kind_sqlstate_and_position() {
    use ErrorCode as Kind;
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT PRIMARY KEY); INSERT INTO t VALUES (1)").await.unwrap();
    for (sql, kind, sqlstate) in [
        ("SELEC 1", Kind::InvalidSql, "42601"),
        ("", Kind::BadRequest, "42601"),
        ("FROM missing", Kind::InvalidSql, "42P01"),
        ("SELECT missing FROM t", Kind::InvalidSql, "42703"),
        ("SELECT missing(1)", Kind::InvalidSql, "42883"),
        ("CREATE TABLE t (i INT)", Kind::InvalidSql, "42P07"),
        ("SELECT 'x'::INT", Kind::QueryFailed, "22P02"),
        ("INSERT INTO t VALUES (1)", Kind::QueryFailed, "23000"),
        ("SELECT 1::TINYINT + 127::TINYINT", Kind::QueryFailed, "22003"),
        ("SELECT ?", Kind::BadRequest, "08P01"),
        ("BEGIN; SELECT 1", Kind::TransactionLeftOpen, "25000"),
        ("LOAD icu", Kind::StatementNotAllowed, "42501"),
    ] {
        let error = refused(&bench.engine, sql, Role::ReadWrite).await;
        assert_eq!((error.code, error.sqlstate), (kind, sqlstate), "{sql}: {error:?}");
    }
    assert_eq!(refused(&bench.engine, "SELECT 1; SELEC 2", Role::ReadWrite).await.position, Some(10));
}

#[tokio::test]
async fn a_failure_half_way_ends_the_stream_with_an_error() {
    let bench = bench();
    let sql =
        "SELECT CASE WHEN i = 900000 THEN 'x'::VARCHAR ELSE i::VARCHAR END::INT FROM range(1000000) r(i)";
    let mut stream = start(&bench.engine, request(sql, Role::ReadOnly)).await.unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.next().await.expect("an error before the end") {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.code, ErrorCode::QueryFailed, "{error:?}");
    assert!(rows > 0, "nothing came before the error");
    assert!(stream.next().await.is_none() && stream.outcome().is_none());
}

#[tokio::test]
async fn parameters_go_with_one_statement() {
    let bench = bench();
    let with = |sql: &str, parameters| request(sql, Role::ReadWrite).with(parameters);
    let text = |text: &str| Value::Text(text.into());
    let sql = "SELECT $1::INT + 1, $2::VARCHAR, $3 IS NULL, ($4::INT[])[2], $5::DATE + 1 = DATE '2024-01-02'";
    let all = vec![Value::I64(41), text("it's"), Value::Null, text("[1, 2]"), text("2024-01-01")];
    let rows = read(start(&bench.engine, with(sql, all)).await.unwrap()).await.unwrap();
    assert_eq!(rows, ["42|it's|true|2|true"]);
    for (sql, parameters) in [
        ("SELECT 1; SELECT ?", vec![Value::I64(1)]),
        ("SELECT ?, ?", vec![Value::I64(1)]),
        ("SELECT 1", vec![Value::I64(1)]),
    ] {
        let error = start(&bench.engine, with(sql, parameters)).await.err().expect(sql);
        assert_eq!(error.code, ErrorCode::BadRequest, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn an_open_transaction_is_rolled_back() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    refused(&bench.engine, "BEGIN; INSERT INTO t VALUES (1)", Role::ReadWrite).await;
    refused(&bench.engine, "BEGIN; INSERT INTO t VALUES (1); SELECT nonsense", Role::ReadWrite).await;
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    assert_eq!(bench.engine.activity().open_transactions, 0);
}

#[tokio::test]
async fn readers_write_nothing() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT); CREATE SEQUENCE s; CREATE MACRO m() AS nextval('s')")
        .await
        .unwrap();
    for sql in [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1 RETURNING i",
        "SELECT nextval('s')",
        "SELECT m()",
        "PREPARE p AS DELETE FROM t; EXECUTE p",
        "BEGIN; INSERT INTO t VALUES (1); COMMIT",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    ] {
        let error = refused(&bench.engine, sql, Role::ReadOnly).await;
        assert_eq!((error.code, error.sqlstate), (ErrorCode::ReadOnly, "25006"), "{sql}: {error:?}");
    }
    let rows = run_as(&bench.engine, "BEGIN; SELECT count(*) FROM t; COMMIT; SELECT 7", Role::ReadOnly).await;
    assert_eq!(rows.unwrap(), ["7"]);
    let rows = run_as(&bench.engine, "CREATE TEMP TABLE x AS SELECT 8; FROM x", Role::ReadOnly).await;
    assert_eq!(rows.unwrap(), ["8"]);
    assert_eq!(run(&bench.engine, "SELECT count(*), nextval('s') FROM t").await.unwrap(), ["0|1"]);
}

/// The transaction of a reader is READ ONLY for DuckDB as well: the second wall behind the role.
#[tokio::test]
async fn readers_transactions_are_read_only() {
    let bench = support::bench_behind(&roost_engine::Walls::only(&[roost_engine::Wall::Policy]));
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    for sql in ["INSERT INTO t VALUES (1)", "BEGIN; INSERT INTO t VALUES (1); COMMIT"] {
        let error = refused(&bench.engine, sql, Role::ReadOnly).await;
        assert_eq!(error.refusal, None, "{sql}: {error:?}");
        assert!(error.message.contains("read-only"), "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn sessions_share_nothing_but_the_database() {
    let bench = bench();
    run(&bench.engine, "CREATE TEMP TABLE x AS SELECT 1; SET VARIABLE v = 1; SET TimeZone = 'Asia/Tokyo'")
        .await
        .unwrap();
    assert_eq!(refused(&bench.engine, "FROM x", Role::ReadWrite).await.sqlstate, "42P01");
    let rows =
        run(&bench.engine, "SELECT getvariable('v') IS NULL, current_setting('TimeZone') <> 'Asia/Tokyo'")
            .await;
    assert_eq!(rows.unwrap(), ["true|true"]);
}

#[tokio::test]
async fn a_query_is_cancelled_by_whoever_has_its_handle() {
    let bench = bench();
    let session = bench.engine.open_session(Role::ReadOnly, SessionLimits::default()).unwrap();
    let handle = session.handle();
    run(&bench.engine, "CREATE TABLE t AS SELECT range AS i FROM range(3000000)").await.unwrap();
    // Of many tasks for several threads: DuckDB tells the progress between two of those that ours does.
    let long = "SELECT max(md5(repeat(i::VARCHAR, 10000))) FROM t";
    let query = tokio::spawn(session.request(request(long, Role::ReadOnly).request));
    eventually("the query runs", || handle.progress().is_some()).await;
    assert!(handle.elapsed().is_some());
    handle.cancel();
    let error = query.await.unwrap().err().unwrap();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::Cancelled, "57014"));
    eventually("the session ends", || bench.engine.activity().running == 0).await;
    assert!(handle.elapsed().is_none() && handle.progress().is_none());
}

#[tokio::test]
async fn a_query_ends_at_its_timeout() {
    let bench = bench();
    for sql in [ENDLESS, "SELECT sleep_ms(3600000)"] {
        let begun = Instant::now();
        let short = request(sql, Role::ReadOnly).within(Duration::from_millis(200));
        let error = match start(&bench.engine, short).await {
            Ok(stream) => read(stream).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code, ErrorCode::StatementTimeout, "{sql}: {error:?}");
        assert!(begun.elapsed() < PATIENCE, "{sql}");
    }
}

/// A reader that pauses does not let a request live longer than its timeout.
#[tokio::test]
async fn a_paused_stream_ends_at_its_timeout() {
    let bench = bench();
    let short = request(HUGE, Role::ReadOnly).within(Duration::from_secs(3));
    let mut stream = start(&bench.engine, short).await.unwrap();
    stream.next().await.unwrap().unwrap();
    eventually("the session ends", || bench.engine.activity().running == 0).await;
    assert_eq!(read(stream).await.unwrap_err().code, ErrorCode::StatementTimeout);
}

#[tokio::test]
async fn a_reader_that_leaves_stops_its_query() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let mut stream = start(&bench.engine, request(HUGE, Role::ReadOnly)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    eventually("the reader's query stops", || bench.engine.activity().running == 0).await;
    let engine = bench.engine.clone();
    let waiting =
        tokio::spawn(async move { start(&engine, request(ENDLESS, Role::ReadOnly)).await.map(|_| ()) });
    eventually("the query runs", || bench.engine.activity().running == 1).await;
    waiting.abort();
    eventually("the abandoned query stops", || bench.engine.activity().running == 0).await;
    let writer = format!("BEGIN; INSERT INTO t VALUES (1); {HUGE}");
    let mut stream = start(&bench.engine, request(&writer, Role::ReadWrite)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    eventually("the writer stops", || bench.engine.activity().running == 0).await;
    assert_eq!(
        run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(),
        ["0"],
        "committed without a reader"
    );
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Rows are made as they are read: a slow reader of 8 GB costs little, and then gets the rest intact.
#[tokio::test]
async fn a_huge_result_is_made_as_it_is_read() {
    let bench = bench();
    let before = resident_bytes();
    let mut stream = start(&bench.engine, request(HUGE, Role::ReadOnly)).await.unwrap();
    let mut next = 0;
    for _ in 0..200 {
        let batch = stream.next().await.unwrap().unwrap();
        next += batch.num_rows();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(next >= 200 * 1024 && grown < 256 << 20, "{next} rows, grown by {} MiB", grown >> 20);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let bench = bench_with(|config| config.max_sessions = 1);
    let stream = start(&bench.engine, request(HUGE, Role::ReadOnly)).await.unwrap();
    let error = start(&bench.engine, request("SELECT 1", Role::ReadOnly)).await.err().unwrap();
    assert_eq!((error.code, error.sqlstate), (ErrorCode::Busy, "53300"));
    drop(stream);
    eventually("the session ends", || bench.engine.activity().running == 0).await;
    let mut answer = Err(error);
    let deadline = Instant::now() + PATIENCE;
    while answer.is_err() && Instant::now() < deadline {
        answer = run(&bench.engine, "SELECT 1").await;
    }
    assert_eq!(answer.unwrap(), ["1"]);
}

#[tokio::test]
async fn memory_and_spill_are_bounded() {
    let bench = bench_with(|config| {
        config.memory_limit_bytes = 64 << 20;
        config.temp_limit_bytes = 1 << 20;
    });
    let sql = "SELECT * FROM (SELECT i, repeat('x', 500) AS pad FROM range(2000000) r(i)) ORDER BY hash(i)";
    let error = refused(&bench.engine, sql, Role::ReadOnly).await;
    assert_eq!((error.code, error.sqlstate), (ErrorCode::OutOfMemory, "53200"), "{error:?}");
    // Its settings are not the client's to change.
    assert!(
        !error.message.contains("SET ") && error.hint.unwrap().contains("fewer rows"),
        "{}",
        error.message
    );
    assert!(!bench.engine.has_failed());
    assert_eq!(run(&bench.engine, "SELECT 1").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_script_is_all_or_nothing() {
    let bench = bench();
    script(&bench.engine, "CREATE TABLE t (i INT); INSERT INTO t VALUES (1);").await.unwrap();
    for sql in [
        "INSERT INTO t VALUES (2); SELECT 'x'::INT",
        "INSERT INTO t VALUES (2); COMMIT",
        "INSERT INTO t VALUES (2); LOAD icu",
    ] {
        script(&bench.engine, sql).await.expect_err(sql);
    }
    assert_eq!(run(&bench.engine, "FROM t").await.unwrap(), ["1"]);
    assert_eq!(bench.engine.activity().open_transactions, 0);
}

#[tokio::test]
async fn writes_can_be_refused() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    bench.engine.refuse_writes(Some("nothing was published for 2 minutes".into()));
    let error = refused(&bench.engine, "INSERT INTO t VALUES (1)", Role::ReadWrite).await;
    assert_eq!((error.code, error.sqlstate), (ErrorCode::WritesPaused, "53100"));
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
    bench.engine.refuse_writes(None);
    run(&bench.engine, "INSERT INTO t VALUES (1)").await.unwrap();
}

/// DuckDB sets some of these for everybody, unless it is told otherwise.
#[tokio::test]
async fn a_setting_is_of_its_session_alone() {
    let bench = bench();
    for (name, value) in [
        ("calendar", "'japanese'"),
        ("default_collation", "'NOCASE'"),
        ("default_null_order", "'nulls_first'"),
        ("default_order", "'DESC'"),
        ("ieee_floating_point_ops", "false"),
        ("integer_division", "true"),
        ("null_order", "'nulls_first'"),
        ("old_implicit_casting", "true"),
        ("order_by_non_integer_literal", "true"),
        ("scalar_subquery_error_on_multiple_rows", "false"),
        ("timezone", "'Asia/Tokyo'"),
    ] {
        let asked = format!("SELECT current_setting('{name}')::VARCHAR");
        let before = run(&bench.engine, &asked).await.unwrap();
        for set in [format!("SET {name} = {value}"), format!("SET SESSION {name} = {value}")] {
            for role in [Role::ReadOnly, Role::ReadWrite] {
                let within = run_as(&bench.engine, &format!("{set}; {asked}"), role).await.unwrap();
                assert_ne!(within, before, "{set} does nothing");
                assert_eq!(run(&bench.engine, &asked).await.unwrap(), before, "{set} reaches others");
            }
        }
        let reset = format!("SET {name} = {value}; RESET {name}; {asked}");
        assert_eq!(run(&bench.engine, &reset).await.unwrap(), before, "RESET {name}");
    }
}
