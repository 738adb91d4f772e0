//! Extract, prepare, execute, stream, interrupt.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use roost_duckdb::{Column, Database, ErrorKind, FunctionGuard, Returns, StatementKind, Trust, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{NoFiles, Recorder, in_memory, number, query, refusal};

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn nothing_runs_before_it_is_judged() {
    let guard = Recorder::with(|_, plan| {
        let refused = plan.table_functions.iter().any(|function| function.name == "read_text");
        if refused { Err(refusal("no reading")) } else { Ok(()) }
    });
    let database = Database::open_in_memory(&[], Arc::new(NoFiles), guard.clone()).unwrap();
    let mut client = database.connect(Trust::Client).unwrap();
    let statements =
        client.extract("CREATE TABLE t(i INT); FROM read_text('Cargo.toml'); DROP TABLE t").unwrap();
    assert!(guard.take().is_empty(), "extracting binds nothing");
    let kinds: Vec<_> = statements.iter().map(roost_duckdb::Extracted::kind).collect();
    assert_eq!(kinds, [StatementKind::Create, StatementKind::Select, StatementKind::Drop]);
    assert_eq!(statements[1].source(), 1);
    let mut statements = statements.into_iter();
    let mut create = client.prepare(statements.next().unwrap()).unwrap();
    assert_eq!(number(&mut client, "SELECT count(*) FROM duckdb_tables()"), 0, "preparing runs nothing");
    while create.execute_stream().unwrap().next().unwrap().is_some() {}
    let error = client.prepare(statements.next().unwrap()).err().unwrap();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Permission, "no reading"));
    assert_eq!(error.extra.get("refusal").map(String::as_str), Some("test"));
    assert_eq!(number(&mut client, "SELECT count(*) FROM duckdb_tables()"), 1, "DROP did not run");
}

#[test]
fn a_panicking_guard_refuses() {
    let guard = Recorder::with(|caller, _| {
        assert!(caller.trust != Trust::Client, "injected");
        Ok(())
    });
    let database = Database::open_in_memory(&[], Arc::new(NoFiles), guard).unwrap();
    let error = query(&mut database.connect(Trust::Client).unwrap(), "SELECT 1").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permission);
    assert!(error.message.contains("injected"), "{error}");
    query(&mut database.connect(Trust::Own).unwrap(), "SELECT 1").unwrap();
}

#[test]
fn a_database_is_used_as_by_its_statement() {
    let (database, guard, mut stated) = in_memory();
    query(&mut stated, r#"ATTACH ':memory:' AS "o""dd"; USE "o""dd"; CREATE TABLE t AS SELECT 7"#).unwrap();
    let mut used = database.connect(Trust::Client).unwrap();
    guard.take();
    used.use_database("o\"dd").unwrap();
    assert!(guard.take().is_empty(), "no statement is judged");
    for path in [
        "current_setting('search_path')",
        "current_database() || '.' || current_schema()",
        "current_schemas(true)::VARCHAR",
    ] {
        let sql = format!("SELECT {path}");
        assert_eq!(query(&mut used, &sql).unwrap(), query(&mut stated, &sql).unwrap(), "{path}");
    }
    assert_eq!(number(&mut used, "SELECT * FROM t"), 7);
}

#[test]
fn properties_tell_what_a_statement_does() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE SEQUENCE s; CREATE TABLE t(i INT); PREPARE w AS INSERT INTO t VALUES ($1)")
        .unwrap();
    for (sql, kind, returns, modified) in [
        ("SELECT nextval('s')", StatementKind::Select, Returns::Rows, true),
        ("SELECT currval('s')", StatementKind::Select, Returns::Rows, false),
        ("INSERT INTO t VALUES (1)", StatementKind::Insert, Returns::ChangedRows, true),
        ("INSERT INTO t VALUES (1) RETURNING i", StatementKind::Insert, Returns::Rows, true),
        ("EXECUTE w(1)", StatementKind::Execute, Returns::ChangedRows, true),
        ("EXPLAIN ANALYZE DELETE FROM t", StatementKind::Explain, Returns::Rows, true),
        ("CREATE VIEW v AS FROM t", StatementKind::Create, Returns::Nothing, true),
        ("ROLLBACK", StatementKind::Transaction, Returns::Nothing, false),
    ] {
        let statement = client.extract(sql).unwrap().remove(0);
        let prepared = client.prepare(statement).unwrap();
        assert_eq!((prepared.kind(), prepared.returns()), (kind, returns), "{sql}");
        assert_eq!(prepared.modified_databases(), if modified { vec!["memory"] } else { vec![] }, "{sql}");
        assert_eq!(prepared.is_read_only(), !modified, "{sql}");
        assert_eq!(prepared.requires_valid_transaction(), sql != "ROLLBACK", "{sql}");
    }
}

#[test]
fn parameters_are_bound_and_judged_again_when_they_bring_the_types() {
    let (_database, guard, mut client) = in_memory();
    for (value, expected_type) in [
        (Value::Null, "INTEGER"),
        (Value::Bool(true), "BOOLEAN"),
        (Value::I64(i64::MIN), "BIGINT"),
        (Value::I128(i128::MIN), "HUGEINT"),
        (Value::U128(u128::MAX), "UHUGEINT"),
        (Value::F64(0.5), "DOUBLE"),
        (Value::Text("é".into()), "VARCHAR"),
        (Value::Blob(vec![0, 255]), "BLOB"),
    ] {
        let statement = client.extract("SELECT ? AS v").unwrap().remove(0);
        let mut prepared = client.prepare(statement).unwrap();
        assert!(!prepared.is_complete());
        assert_eq!(names(&prepared), ["1"]);
        prepared.bind(1, &value).unwrap();
        guard.take();
        let mut stream = prepared.execute_stream().unwrap();
        assert_eq!(guard.take().len(), 1, "the new binding is judged");
        assert_eq!(stream.columns(), [Column { name: "v".into(), logical_type: expected_type.into() }]);
        assert_eq!(stream.next().unwrap().unwrap().num_rows(), 1);
    }
    let statement = client.extract("SELECT $b::INT - $a::INT").unwrap().remove(0);
    let mut prepared = client.prepare(statement).unwrap();
    assert!(prepared.is_complete());
    let types = prepared.parameters().iter().map(|parameter| parameter.logical_type.as_deref());
    assert!(types.eq([Some("INTEGER"), Some("INTEGER")]));
    assert_eq!(prepared.bind(3, &Value::Null).unwrap_err().kind, ErrorKind::InvalidInput);
    assert_eq!(prepared.execute_stream().err().unwrap().kind, ErrorKind::InvalidInput, "values are missing");
    let at = |name: &str| names(&prepared).iter().position(|known| *known == name).unwrap() + 1;
    let (a, b) = (at("a"), at("b"));
    prepared.bind(a, &Value::I64(2)).unwrap();
    prepared.bind(b, &Value::Text("44".into())).unwrap();
    let batch = prepared.execute_stream().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.column(0).as_primitive::<arrow_array::types::Int32Type>().value(0), 42);
}

#[test]
fn changed_rows_are_counted() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t(i INT)").unwrap();
    let statement = client.extract("INSERT INTO t FROM range(12345)").unwrap().remove(0);
    let mut stream = client.prepare(statement).unwrap().execute_stream().unwrap();
    while stream.next().unwrap().is_some() {}
    assert_eq!(stream.rows_changed(), Some(12345));
}

#[test]
fn errors_are_data() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t(i INT PRIMARY KEY)").unwrap();
    for (sql, kind, position) in [
        ("SELEC 1", ErrorKind::Parser, Some(0)),
        ("SELECT 1; SELECT nosuch", ErrorKind::Binder, Some(17)),
        ("FROM missing", ErrorKind::Catalog, Some(5)),
        ("SELECT 'x'::INT", ErrorKind::Conversion, Some(10)),
        ("INSERT INTO t VALUES (1), (1)", ErrorKind::Constraint, None),
        ("COMMIT", ErrorKind::Transaction, None),
        ("SELECT error('mine')", ErrorKind::InvalidInput, None),
    ] {
        let error = query(&mut client, sql).unwrap_err();
        assert_eq!((error.kind, error.position), (kind, position), "{sql}: {error} {:?}", error.extra);
        assert!(!error.message.is_empty() && !error.message.contains("Stack Trace"), "{sql}");
    }
    let error = query(&mut client, "FROM missing").unwrap_err();
    assert_eq!(error.extra.get("name").map(String::as_str), Some("missing"));
    assert_eq!(error.to_string().split(':').next(), Some("Catalog Error"));
}

#[test]
fn a_failure_half_way_ends_the_stream_with_its_error() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "SET threads=1").unwrap();
    let sql =
        "SELECT CASE WHEN range < 300000 THEN range ELSE error('half way') END::BIGINT FROM range(1000000)";
    let statement = client.extract(sql).unwrap().remove(0);
    let mut stream = client.prepare(statement).unwrap().execute_stream().unwrap();
    let mut rows = 0;
    let error = loop {
        match stream.next() {
            Ok(Some(batch)) => rows += batch.num_rows(),
            Ok(None) => panic!("the error was lost after {rows} rows"),
            Err(error) => break error,
        }
    };
    assert!(rows > 0, "rows came before the error");
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("half way"), "{error}");
    assert!(stream.next().unwrap().is_none(), "it has ended");
    drop(stream);
    assert_eq!(number(&mut client, "SELECT 1"), 1, "the connection goes on");
}

#[test]
fn another_thread_interrupts_and_sees_progress() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t AS SELECT range AS i FROM range(3000000)").unwrap();
    let handle = client.interrupt_handle();
    assert_eq!(handle.progress(), None, "nothing runs");
    let started = Instant::now();
    let watcher = std::thread::spawn(move || {
        let mut known = None;
        while known.is_none() && started.elapsed() < DEADLINE {
            known = handle.progress();
            std::thread::yield_now();
        }
        handle.interrupt();
        known
    });
    // In many tasks for several threads: DuckDB tells the progress between two of those that ours does.
    let error = query(&mut client, "SELECT max(md5(repeat(i::VARCHAR, 10000))) FROM t").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Interrupt, "{error}");
    assert!(started.elapsed() < DEADLINE, "it stopped");
    let progress = watcher.join().unwrap().expect("progress was seen");
    assert!((0.0..=100.0).contains(&progress.percentage), "{progress:?}");
    assert_eq!(number(&mut client, "SELECT 3"), 3, "the connection goes on");
}

#[test]
fn an_interrupt_ends_a_stream_that_is_being_read() {
    let (_database, _guard, mut client) = in_memory();
    let handle = client.interrupt_handle();
    let statement = client.extract("FROM range(1000000000)").unwrap().remove(0);
    let mut stream = client.prepare(statement).unwrap().execute_stream().unwrap();
    stream.next().unwrap().unwrap();
    handle.interrupt();
    let deadline = Instant::now() + DEADLINE;
    let error = loop {
        assert!(Instant::now() < deadline, "it goes on");
        match stream.next() {
            Ok(batch) => assert!(batch.is_some(), "an interrupted stream does not end well"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, ErrorKind::Interrupt, "{error}");
    drop((stream, client));
    handle.interrupt();
    assert_eq!(handle.progress(), None);
}

#[test]
fn a_connection_is_in_a_transaction_from_begin_to_commit_and_no_longer() {
    let (_database, _guard, mut client) = in_memory();
    assert!(!client.in_transaction());
    query(&mut client, "BEGIN").unwrap();
    assert!(client.in_transaction());
    query(&mut client, "CREATE SEQUENCE s; CREATE TABLE t(i INT)").unwrap();
    // DuckDB makes five statements of this, and must not begin a transaction within one.
    query(&mut client, "ALTER TABLE t ADD COLUMN c INT DEFAULT nextval('s')").unwrap();
    query(&mut client, "COMMIT").unwrap();
    assert!(!client.in_transaction());
    query(&mut client, "BEGIN; ALTER TABLE t ADD COLUMN d INT DEFAULT nextval('s'); COMMIT").unwrap();
    query(&mut client, "ALTER TABLE t ADD COLUMN e INT DEFAULT nextval('s')").unwrap();
    assert!(!client.in_transaction());
    assert_eq!(number(&mut client, "SELECT count(*) FROM duckdb_columns() WHERE table_name = 't'"), 4);
}

const GUARDS: [FunctionGuard<'static>; 2] = [
    FunctionGuard::TableBind { schema: "main", name: "checkpoint", refusal: "no checkpoints" },
    FunctionGuard::TableBind { schema: "main", name: "force_checkpoint", refusal: "no checkpoints" },
];

#[test]
fn checkpoints_are_ours_alone() {
    let (database, _guard, mut client) = in_memory();
    database.guard_functions(&GUARDS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut own = database.connect(Trust::Own).unwrap();
    own.run(&format!("ATTACH '{}/g' AS g; CREATE TABLE g.t AS SELECT 1 AS i", folder.path().display()))
        .unwrap();
    for sql in [
        "CHECKPOINT g",
        "FORCE CHECKPOINT g",
        "CALL checkpoint('g')",
        "FROM system.main.force_checkpoint('g')",
        "PREPARE p AS FROM checkpoint('g')",
        "EXPLAIN CALL force_checkpoint('g')",
    ] {
        let error = query(&mut client, sql).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permission, "{sql}: {error}");
        assert!(error.message.contains("no checkpoints"), "{sql}: {error}");
    }
    own.run("CHECKPOINT g; FORCE CHECKPOINT g").unwrap();
    let unknown = FunctionGuard::TableBind { schema: "main", name: "nosuch", refusal: "" };
    assert_eq!(database.guard_functions(&[unknown]).unwrap_err().kind, ErrorKind::Catalog);
}

#[test]
fn sequences_do_not_move_while_planning() {
    let (database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE SEQUENCE s; CREATE TABLE t(i INT DEFAULT nextval('s'), j INT)").unwrap();
    query(&mut client, "PREPARE p AS SELECT $1::BIGINT").unwrap();
    for sql in
        ["FROM range(nextval('s'))", "PREPARE q AS FROM range(nextval('s'))", "EXECUTE p(nextval('s'))"]
    {
        let error = query(&mut client, sql).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permission, "{sql}: {error}");
        assert!(error.message.contains("not while planning"), "{sql}: {error}");
    }
    assert_eq!(number(&mut client, "SELECT nextval('s')"), 1, "it did not move");
    query(&mut client, "INSERT INTO t(j) FROM range(100000)").unwrap();
    query(&mut client, "PREPARE r AS SELECT nextval('s'); EXECUTE r; CREATE TABLE other(i INT); EXECUTE r")
        .unwrap();
    assert_eq!(number(&mut client, "SELECT nextval('s')"), 100_004);
    // The optimiser takes this for a constant; it is computed when it runs, and moves the sequence then.
    let folded = client.extract("SELECT list_transform([1], lambda x: x + nextval('s'))").unwrap().remove(0);
    let mut folded = client.prepare(folded).unwrap();
    assert_eq!(number(&mut client, "SELECT currval('s')"), 100_004);
    folded.execute_stream().unwrap().next().unwrap();
    assert_eq!(number(&mut client, "SELECT currval('s')"), 100_005);
    assert!(database.invalidated().is_none());
    let batches = query(&mut client, "SELECT i FROM t WHERE i = 2").unwrap();
    assert_eq!(batches.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), 1);
    let statement = client.extract("SELECT nextval('s')").unwrap().remove(0);
    let mut prepared = client.prepare(statement).unwrap();
    for expected in [100_006, 100_007] {
        let batch = prepared.execute_stream().unwrap().next().unwrap().unwrap();
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), expected);
    }
}

#[test]
fn a_sequence_moves_in_a_statement_that_is_bound_again() {
    let (database, guard, mut client) = in_memory();
    query(&mut client, "CREATE SEQUENCE s").unwrap();
    let statement = client.extract("SELECT nextval('s')").unwrap().remove(0);
    let mut prepared = client.prepare(statement).unwrap();
    for expected in 1..4 {
        let mut other = database.connect(Trust::Client).unwrap();
        query(&mut other, &format!("CREATE TABLE t{expected}(i INT)")).unwrap();
        guard.take();
        let batch = prepared.execute_stream().unwrap().next().unwrap().unwrap();
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), expected);
        assert_eq!(guard.take().len(), 1, "the new plan is judged");
    }
}

#[test]
fn the_library_is_the_pinned_one() {
    assert_eq!(Database::library_version(), "v1.5.6");
}

fn names(prepared: &roost_duckdb::Prepared) -> Vec<&str> {
    prepared.parameters().iter().map(|parameter| parameter.name.as_str()).collect()
}
