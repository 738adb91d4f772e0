//! Facts that the guard sees of each kind of statement.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use roost_duckdb::{
    Caller, ContextId, Database, ErrorKind, OperatorDetail, PlanFacts, Stage, StatementKind, Trust,
};
use std::sync::Arc;
use support::{NoFiles, Recorder, in_memory, number, query, refusal};

const SCHEMA: &str =
    "CREATE SEQUENCE s; CREATE TABLE t(i INT DEFAULT nextval('s'), j INT); CREATE TABLE u(i INT, j INT);
    CREATE VIEW v AS SELECT * FROM range(3) r(i); CREATE MACRO tm(a) AS TABLE FROM glob(a);
    CREATE MACRO sm(a) AS upper(a); PREPARE p AS SELECT * FROM glob('/nosuch');
    PREPARE w AS INSERT INTO t(i) VALUES ($1); PREPARE late AS SELECT $1";

/// The facts as searchable text, one item a line.
fn text(facts: &PlanFacts) -> String {
    let mut lines: Vec<String> = facts
        .operators
        .iter()
        .map(|operator| format!("op {}: {:?}", operator.kind, operator.detail))
        .collect();
    lines.extend(facts.table_functions.iter().map(|name| format!("table function {name}")));
    lines.extend(facts.scalar_functions.iter().map(|name| format!("scalar {name}")));
    lines.extend(facts.aggregate_functions.iter().map(|name| format!("aggregate {name}")));
    lines.extend(facts.window_functions.iter().map(|name| format!("window {name}")));
    lines.extend(facts.pragmas.iter().map(|name| format!("pragma {name}")));
    lines.extend(facts.settings.iter().map(|change| format!("{:?} {}", change.action, change.name)));
    lines.extend(facts.copy_functions.iter().map(|name| format!("copy {name}")));
    lines.extend(facts.paths.iter().map(|path| format!("path {path}")));
    lines.extend(facts.modified_databases.iter().map(|name| format!("modifies {name}")));
    lines.extend(facts.read_databases.iter().map(|name| format!("reads {name}")));
    lines.join("\n")
}

/// Statement, and what must be among its facts.
const TABLE: &[(&str, &[&str])] = &[
    ("SELECT upper('x') || 1", &["op PROJECTION", "scalar system.main.upper"]),
    ("SELECT * FROM t", &["table: Some(QualifiedName { catalog: \"memory\"", "reads memory"]),
    ("FROM v", &["table function system.main.range"]),
    ("FROM tm('/nosuch')", &["table function system.main.glob"]),
    ("SELECT sm('a')", &["scalar system.main.upper"]),
    ("SELECT (SELECT max(j) FROM u WHERE u.i = t.i) FROM t", &["op DEPENDENT_JOIN", "aggregate max"]),
    ("SELECT i FROM t WHERE EXISTS (FROM glob('/nosuch'))", &["table function system.main.glob"]),
    ("SELECT i IN (SELECT count(*) FROM glob('/nosuch')) FROM t", &["table function system.main.glob"]),
    (
        "SELECT list_transform([1], lambda x: x + nextval('s'))",
        &["scalar system.main.nextval", "modifies memory"],
    ),
    (
        "SELECT list_filter([[1]], lambda x: len(list_transform(x, lambda y: y + nextval('s'))) > 0)",
        &["scalar system.main.nextval"],
    ),
    (
        "SELECT row_number() OVER (), sum(j) OVER (PARTITION BY abs(i)) FROM t",
        &["window ROW_NUMBER", "aggregate system.main.sum", "scalar system.main.abs"],
    ),
    (
        "SELECT sum(j ORDER BY abs(i)) FILTER (WHERE sin(i) > 0) FROM t",
        &["scalar system.main.abs", "scalar system.main.sin"],
    ),
    ("WITH c AS MATERIALIZED (FROM glob('/nosuch')) FROM c", &["op CTE", "table function system.main.glob"]),
    ("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3) FROM c", &["op REC_CTE"]),
    ("FROM query('FROM glob(''/nosuch'')')", &["table function system.main.glob"]),
    ("FROM query_table('t')", &["op GET"]),
    ("FROM t, LATERAL (SELECT t.i + 1)", &["op DEPENDENT_JOIN"]),
    ("FROM t ASOF JOIN u ON t.i >= u.i", &["op ASOF_JOIN"]),
    ("SELECT nextval('s')", &["scalar system.main.nextval", "modifies memory"]),
    ("VALUES (1), (abs(-2))", &["op EXPRESSION_GET"]),
    ("INSERT INTO t(j) SELECT 1", &["op INSERT: Modify", "scalar system.main.nextval", "modifies memory"]),
    ("INSERT INTO t(i) VALUES (1) RETURNING sin(i)", &["op INSERT", "scalar system.main.sin"]),
    (
        "INSERT INTO t SELECT count(*), 1 FROM glob('/nosuch')",
        &["op INSERT", "table function system.main.glob"],
    ),
    ("UPDATE t SET i = abs(j)", &["op UPDATE: Modify", "scalar system.main.abs"]),
    ("DELETE FROM t WHERE i IN (SELECT 1)", &["op DELETE: Modify"]),
    (
        "MERGE INTO t USING u ON t.i = u.i WHEN MATCHED THEN UPDATE SET j = abs(u.j) WHEN NOT MATCHED THEN INSERT VALUES (1, sin(2)::INT)",
        &["op MERGE_INTO: Modify", "scalar system.main.abs"],
    ),
    (
        "CREATE TABLE a AS FROM glob('/nosuch')",
        &["Create { kind: \"Table\"", "table function system.main.glob"],
    ),
    (
        "CREATE TABLE b(i INT DEFAULT nextval('s'), k INT GENERATED ALWAYS AS (sin(i)))",
        &["Create { kind: \"Table\"", "scalar nextval", "scalar sin"],
    ),
    ("CREATE TEMP TABLE c(i INT)", &["temporary: true", "catalog: \"temp\""]),
    ("CREATE VIEW v2 AS FROM t", &["Create { kind: \"View\""]),
    ("CREATE MACRO m2(a) AS a", &["Create { kind: \"Macro Function\""]),
    ("CREATE MACRO m3(a) AS TABLE SELECT a", &["Create { kind: \"Table Macro Function\""]),
    ("CREATE SEQUENCE s2", &["Create { kind: \"Sequence\""]),
    ("CREATE TYPE mood AS ENUM ('a')", &["Create { kind: \"Type\""]),
    ("CREATE SCHEMA x", &["Create { kind: \"Schema\""]),
    ("CREATE INDEX ix ON t(abs(i))", &["Create { kind: \"Index\"", "scalar system.main.abs"]),
    ("ALTER TABLE u ALTER j TYPE VARCHAR USING sm(j::VARCHAR)", &["Alter { kind: \"Table\"", "scalar sm"]),
    ("ALTER TABLE u ALTER j SET DEFAULT abs(1)", &["scalar abs"]),
    ("COMMENT ON TABLE u IS 'x'", &["Alter { kind: \"Table\""]),
    ("DROP VIEW v2", &["Drop { kind: \"View\""]),
    ("DEALLOCATE p", &["Drop { kind: \"Prepared Statement\""]),
    ("PREPARE p AS FROM glob('/nosuch')", &["op PREPARE", "table function system.main.glob"]),
    ("EXECUTE w(1)", &["Execute { statement: Insert, modified_databases: [\"memory\"] }"]),
    ("EXECUTE late('x')", &["op PROJECTION", "op EXECUTE"]),
    ("EXPLAIN DELETE FROM t", &["Explain { analyze: false }", "op DELETE"]),
    (
        "EXPLAIN ANALYZE FROM glob('/nosuch')",
        &["Explain { analyze: true }", "table function system.main.glob"],
    ),
    ("SET threads=2", &["Set threads"]),
    ("RESET threads", &["Reset threads"]),
    (
        "SET VARIABLE x = (SELECT count(*) FROM glob('/nosuch'))",
        &["Set x", "table function system.main.glob"],
    ),
    ("USE memory", &["Set schema"]),
    ("PRAGMA table_info('t')", &["pragma table_info", "table function system.main.pragma_table_info"]),
    ("PRAGMA disable_checkpoint_on_shutdown", &["pragma disable_checkpoint_on_shutdown", "op PRAGMA"]),
    ("CALL pragma_version()", &["table function system.main.pragma_version"]),
    ("VACUUM", &["Vacuum { vacuum: true"]),
    ("ANALYZE", &["analyze: true }"]),
    ("CHECKPOINT", &["table function system.main.checkpoint"]),
    ("BEGIN READ ONLY", &["Transaction(BeginReadOnly)"]),
    ("COMMIT", &["Transaction(Commit)"]),
    ("BEGIN", &["Transaction(Begin)"]),
    ("ROLLBACK", &["Transaction(Rollback)"]),
    (
        "COPY t TO '/dev/null' (FORMAT csv)",
        &["CopyToFile { function: \"csv\", path: \"/dev/null\" }", "path /dev/null"],
    ),
    (
        "COPY (FROM glob('/nosuch')) TO '/dev/null' (FORMAT parquet)",
        &["copy parquet", "table function system.main.glob"],
    ),
    ("LOAD icu", &["Load { action: \"LOAD\", name: \"icu\" }"]),
    ("ATTACH ':memory:' AS zz", &["Attach { name: \"zz\", path: \":memory:\" }"]),
    ("DETACH zz", &["Detach { name: \"zz\" }"]),
    ("PIVOT t ON i USING sum(j)", &["Create { kind: \"Type\"", "op AGGREGATE"]),
    ("SUMMARIZE t", &["aggregate system.main.approx_quantile"]),
    ("DESCRIBE t", &["reads memory"]),
    ("SHOW TABLES", &["table function system.main.duckdb_tables"]),
];

#[test]
fn every_statement_comes_by_with_its_facts() {
    let (_database, guard, mut client) = in_memory();
    query(&mut client, SCHEMA).unwrap();
    for (sql, expected) in TABLE {
        guard.take();
        query(&mut client, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let seen = guard.take();
        let all = seen.iter().map(text).collect::<Vec<_>>().join("\n");
        for fact in *expected {
            assert!(all.contains(fact), "{sql}: {fact} is missing in\n{all}");
        }
        assert!(seen.iter().all(|facts| facts.unknown.is_empty()), "{sql}: {seen:?}");
        assert!(seen.iter().any(|facts| facts.statement != StatementKind::Invalid), "{sql}");
    }
}

/// Statements with an effect that can be looked for, and how.
const EFFECTS: &[(&str, &str)] = &[
    ("CREATE TABLE x(i INT)", "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'x'"),
    ("INSERT INTO u VALUES (9, 9)", "SELECT count(*) FROM u"),
    ("SELECT nextval('s')", "SELECT count(*) FROM duckdb_sequences() WHERE last_value IS NOT NULL"),
    ("ATTACH ':memory:' AS zz", "SELECT count(*) FROM duckdb_databases() WHERE database_name = 'zz'"),
    ("SET VARIABLE x = 1", "SELECT coalesce(getvariable('x'), 0)"),
    ("DROP TABLE u", "SELECT 1 - count(*) FROM duckdb_tables() WHERE table_name = 'u'"),
    ("PRAGMA disable_object_cache", "SELECT 0"),
    ("EXECUTE w(3)", "SELECT count(*) FROM t"),
    ("EXPLAIN ANALYZE INSERT INTO t VALUES (1, 1)", "SELECT count(*) FROM t"),
    ("SET threads=1", "SELECT (current_setting('threads')::INT = 1)::INT"),
    ("BEGIN", "SELECT 0"),
];

#[test]
fn a_refusal_comes_before_any_effect() {
    let guard = Recorder::with(|caller: Caller, _| match caller.trust {
        Trust::Own => Ok(()),
        _ => Err(refusal("nothing at all")),
    });
    let database = Database::open_in_memory(&[("threads", "2")], Arc::new(NoFiles), guard.clone()).unwrap();
    let mut own = database.connect(Trust::Own).unwrap();
    query(&mut own, SCHEMA).unwrap();
    let mut client = database.connect(Trust::Client).unwrap();
    for (sql, effect) in EFFECTS.iter().filter(|(sql, _)| !sql.starts_with("EXECUTE")) {
        let error = query(&mut client, sql).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permission, "{sql}: {error}");
        assert_eq!(error.message, "nothing at all", "{sql}");
        assert_eq!(number(&mut own, effect), 0, "{sql}");
        assert!(!client.in_transaction(), "{sql}");
    }
    for (sql, _) in TABLE.iter().filter(|(sql, _)| !sql.starts_with("EXECUTE") && !sql.starts_with("DETACH"))
    {
        if ["COMMIT", "ROLLBACK", "DEALLOCATE p", "DROP VIEW v2"].contains(sql) {
            continue;
        }
        let error = query(&mut client, sql).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Permission, "nothing at all"), "{sql}");
    }
}

#[test]
fn a_pragma_is_judged_before_it_is_replaced() {
    let guard = Recorder::with(|_, plan| match plan.stage {
        Stage::Parsed => Err(refusal("no pragmas")),
        Stage::Bound => Ok(()),
    });
    let database = Database::open_in_memory(&[], Arc::new(NoFiles), guard.clone()).unwrap();
    let mut client = database.connect(Trust::Client).unwrap();
    for sql in ["IMPORT DATABASE '/nosuch'", "PRAGMA import_database('/nosuch')", "PRAGMA table_info('t')"] {
        let error = client.extract(sql).err().unwrap();
        assert_eq!(error.message, "no pragmas", "{sql}");
    }
    let names: Vec<_> = guard.take().into_iter().flat_map(|facts| facts.pragmas).collect();
    assert_eq!(names, ["import_database", "import_database", "table_info"]);
}

#[test]
fn callers_are_told_apart() {
    let guard = Recorder::allow();
    let database = Database::open_in_memory(&[], Arc::new(NoFiles), guard.clone()).unwrap();
    let (mut own, mut client) =
        (database.connect(Trust::Own).unwrap(), database.connect(Trust::Client).unwrap());
    assert_ne!(own.id(), client.id());
    query(&mut own, "SELECT 1").unwrap();
    query(&mut client, "SELECT 2").unwrap();
    // json_execute_serialized_sql opens a connection of its own.
    query(&mut client, "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 3'))").unwrap();
    let callers: Vec<Caller> = guard.seen.lock().unwrap().iter().map(|(caller, _)| *caller).collect();
    assert_eq!(callers[0], Caller { context: own.id(), trust: Trust::Own });
    assert_eq!(callers[1], Caller { context: client.id(), trust: Trust::Client });
    assert!(callers.contains(&Caller { context: ContextId::UNKNOWN, trust: Trust::Unknown }), "{callers:?}");
}

#[test]
fn a_plan_that_changes_under_a_prepared_statement_is_judged_again() {
    let (database, guard, mut client) = in_memory();
    query(&mut client, "CREATE SEQUENCE s; CREATE MACRO m() AS 1").unwrap();
    let statement = client.extract("SELECT m()").unwrap().remove(0);
    let mut prepared = client.prepare(statement).unwrap();
    assert!(prepared.is_read_only());
    let mut other = database.connect(Trust::Client).unwrap();
    query(&mut other, "CREATE OR REPLACE MACRO m() AS nextval('s')").unwrap();
    guard.take();
    prepared.execute_stream().unwrap().next().unwrap();
    let writes = guard.take().iter().any(|facts| facts.modified_databases == ["memory"]);
    assert_eq!(
        writes,
        number(&mut client, "SELECT count(*) FROM duckdb_sequences() WHERE last_value = 1") == 1
    );
}

#[test]
fn execute_of_a_judged_plan_shows_what_it_modifies() {
    let (_database, guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t(i INT); PREPARE w AS INSERT INTO t VALUES (1)").unwrap();
    guard.take();
    query(&mut client, "EXECUTE w").unwrap();
    let seen = guard.take();
    let executed =
        seen.iter().flat_map(|facts| &facts.operators).find_map(|operator| match &operator.detail {
            OperatorDetail::Execute { modified_databases, .. } => Some(modified_databases.clone()),
            _ => None,
        });
    assert_eq!(executed, Some(vec!["memory".to_string()]));
    assert!(seen.iter().any(|facts| facts.modified_databases == ["memory"]), "{seen:?}");
}
