//! A database that was copied from another tenant is found by its own name and by the names that it had before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, ErrorCode, Role};
use std::path::Path;
use support::{PATIENCE, config, run, run_as, vfs};

/// Everything that may hold a qualified name, written as dbt and others write it. `$` is the tenant's name.
const ORIGIN: [&str; 19] = [
    r#"CREATE TABLE "$"."main"."t" AS SELECT 1 AS i, {'x': 10} AS point"#,
    "CREATE SCHEMA sales; CREATE TABLE sales.orders AS SELECT 2 AS i",
    "CREATE SEQUENCE s",
    "CREATE MACRO plus(x) AS x + 1",
    r#"CREATE VIEW by_name AS SELECT * FROM "$"."main"."t""#,
    "CREATE VIEW by_short_name AS SELECT * FROM $.t",
    "CREATE VIEW by_column AS SELECT $.main.t.i, t.point.x FROM $.main.t ORDER BY $.main.t.i",
    "CREATE VIEW by_schema AS WITH o AS (SELECT $.sales.orders.i FROM $.sales.orders) FROM o WHERE i IN (SELECT i FROM $.sales.orders)",
    "CREATE VIEW by_text AS SELECT * FROM query('FROM $.main.t')",
    // An alias that is like the name: nothing of it is a database.
    "CREATE VIEW by_alias AS SELECT $.main.x FROM (SELECT {'x': 3} AS main) AS $",
    "CREATE VIEW of_view AS SELECT * FROM $.main.by_name",
    "CREATE MACRO calls(x) AS $.main.plus(x) + (SELECT max($.main.t.i) FROM $.main.t)",
    "CREATE MACRO rows_of() AS TABLE SELECT $.main.t.i FROM $.main.t",
    "CREATE TABLE defaults (i INT, j INT DEFAULT nextval('$.main.s'), k INT DEFAULT 2)",
    "CREATE TABLE checked (i INT, CHECK ($.main.plus(i) > 1))",
    "CREATE TABLE indexed (i INT); CREATE INDEX by_expression ON indexed (($.main.indexed.i + 1))",
    "INSERT INTO indexed VALUES (1)",
    // Replaying this binds the table's constraints. (Macros in defaults and generated columns are not available.)
    "ALTER TABLE checked ALTER i SET DEFAULT 3",
    "INSERT INTO checked DEFAULT VALUES",
];

/// Statements on the copy, and the last one's rows.
const USES: [(&str, &[&str]); 12] = [
    ("SELECT i FROM by_name", &["1"]),
    ("SELECT i FROM by_short_name", &["1"]),
    ("FROM by_column", &["1|10"]),
    ("FROM by_schema", &["2"]),
    ("SELECT i FROM by_text", &["1"]),
    ("FROM by_alias", &["3"]),
    ("SELECT i FROM of_view", &["1"]),
    ("SELECT calls(1)", &["3"]),
    ("FROM rows_of()", &["1"]),
    ("DELETE FROM defaults; INSERT INTO defaults (i) VALUES (1); SELECT k FROM defaults", &["2"]),
    ("INSERT INTO checked VALUES (9); DELETE FROM checked WHERE i = 9; SELECT i FROM checked", &["3"]),
    (
        "INSERT INTO indexed VALUES (2); DELETE FROM indexed WHERE i = 2; SELECT i FROM indexed WHERE i + 1 = 2",
        &["1"],
    ),
];

fn open(folder: &Path, name: &str, former: &[&str]) -> Engine {
    let mut config = config(folder);
    config.database_name = name.into();
    config.former_names = former.iter().map(|name| (*name).to_owned()).collect();
    Engine::open(config, vfs(folder)).unwrap()
}

/// A copy of the files as they are on the disk now.
fn copied(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("data")).unwrap();
    for file in folder.join("data").read_dir().unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join("data").join(file.file_name())).unwrap();
    }
    copy
}

async fn checkpoint(engine: &Engine) {
    let closed = engine.close_gate(PATIENCE).await.unwrap();
    engine.checkpoint(&closed).await.unwrap();
}

async fn origin() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), "acme", &[]);
    for sql in ORIGIN {
        let sql = sql.replace('$', "acme");
        run(&engine, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    folder
}

async fn use_it(engine: &Engine, when: &str) {
    for (sql, expected) in USES {
        let rows = run(engine, sql).await.unwrap_or_else(|error| panic!("{when}: {sql}: {error:?}"));
        assert_eq!(rows, expected, "{when}: {sql}");
    }
}

#[tokio::test]
async fn what_was_written_under_a_former_name_works_in_a_copy() {
    let folder = origin().await;
    use_it(&open(copied(folder.path()).path(), "acme", &[]), "under the same name").await;

    // Without its former name the copy does not even open.
    let copy = copied(folder.path());
    let mut ignorant = config(copy.path());
    ignorant.database_name = "beta".into();
    assert!(Engine::open(ignorant, vfs(copy.path())).is_err());

    let copy = copied(folder.path());
    let beta = open(copy.path(), "Beta", &["acme"]);
    use_it(&beta, "after a replay").await;
    let sql = "CREATE VIEW of_beta AS SELECT beta.main.t.i FROM beta.main.t; \
               CREATE TABLE of_beta_t (i INT CHECK (beta.main.plus(i) > acme.main.plus(0))); \
               ALTER TABLE of_beta_t ALTER i SET DEFAULT 5; INSERT INTO of_beta_t DEFAULT VALUES";
    run(&beta, sql).await.unwrap();

    let copy = copied(copy.path());
    let gamma = open(copy.path(), "gamma", &["acme", "Beta"]);
    use_it(&gamma, "after a replay of a copy").await;
    checkpoint(&gamma).await;

    let copy = copied(copy.path());
    let gamma = open(copy.path(), "gamma", &["acme", "beta"]);
    use_it(&gamma, "after a checkpoint").await;
    assert_eq!(run(&gamma, "FROM of_beta").await.unwrap(), ["1"]);
    assert_eq!(run(&gamma, "FROM of_beta_t").await.unwrap(), ["5"]);
    checkpoint(&gamma).await;

    let copy = copied(copy.path());
    let back = open(copy.path(), "acme", &["acme", "beta", "gamma"]);
    use_it(&back, "back under its first name").await;
    assert_eq!(run(&back, "FROM of_beta").await.unwrap(), ["1"]);
}

#[tokio::test]
async fn either_name_serves_for_everything_and_only_its_own_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), "beta", &["acme"]);
    for (sql, expected) in [
        (
            "CREATE SCHEMA acme.s; CREATE TABLE beta.s.t (i INT); INSERT INTO acme.s.t VALUES (1); FROM beta.s.t",
            "1",
        ),
        (
            "BEGIN; CREATE SCHEMA acme.r; CREATE TABLE acme.r.t (i INT); INSERT INTO beta.r.t VALUES (2); \
             CREATE SEQUENCE beta.r.n; CREATE TYPE acme.r.mood AS ENUM ('a'); CREATE MACRO acme.r.m(x) AS x + 1; \
             CREATE VIEW acme.r.v AS FROM acme.r.t; COMMIT; \
             SELECT acme.r.m(i) + nextval('acme.r.n') FROM beta.r.v WHERE 'a'::acme.r.mood = 'a'",
            "4",
        ),
        ("UPDATE acme.r.t SET i = 7; FROM beta.r.t", "7"),
        (
            "MERGE INTO acme.r.t USING (SELECT 7 AS i) n ON n.i = t.i WHEN MATCHED THEN UPDATE SET i = 8; FROM r.t",
            "8",
        ),
        (
            "ALTER TABLE acme.r.t ADD COLUMN j INT DEFAULT 1; COMMENT ON TABLE acme.r.t IS 'x'; SELECT j FROM r.t",
            "1",
        ),
        (
            "CREATE INDEX ix ON acme.r.t (i); DROP INDEX acme.r.ix; TRUNCATE acme.r.t; SELECT count(*) FROM r.t",
            "0",
        ),
        (
            "ALTER TABLE acme.r.t RENAME TO u; DROP VIEW acme.r.v; DROP TABLE acme.r.u; DROP SCHEMA acme.r CASCADE; SELECT 1",
            "1",
        ),
        ("PREPARE p AS SELECT count(*) FROM acme.s.t; EXECUTE p", "1"),
        ("SELECT current_database()", "beta"),
        ("USE acme; CREATE TABLE u (i INT); SELECT current_database()", "acme"),
        ("SET search_path = 'acme.s,acme.main'; SELECT count(*) FROM t", "1"),
        (
            "SELECT string_agg(database_name, ',' ORDER BY database_name) FROM duckdb_databases()",
            "beta,memory,system,temp",
        ),
        (
            "SELECT string_agg(database_name || '.' || table_name, ',' ORDER BY table_name) FROM duckdb_tables()",
            "beta.t,beta.u",
        ),
        ("SELECT string_agg(DISTINCT table_catalog) FROM information_schema.tables", "beta"),
        ("SELECT count(*) FROM duckdb_schemas() WHERE schema_name = 's'", "1"),
        ("SELECT count(*) FROM pragma_table_info('acme.s.t')", "1"),
    ] {
        let rows = run(&engine, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(rows, [expected], "{sql}");
    }
}

#[tokio::test]
async fn a_former_name_gives_no_rights() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), "beta", &["acme", "memory", "system", "temp", "BETA"]);
    run(&engine, "CREATE TABLE acme.main.t (i INT)").await.unwrap();
    for sql in [
        "INSERT INTO acme.main.t VALUES (1)",
        "CREATE SCHEMA acme.s",
        "CREATE VIEW acme.main.v AS SELECT 1",
        "ALTER TABLE acme.main.t ADD COLUMN j INT",
        "DROP SCHEMA acme.main",
        "DROP TABLE acme.main.t",
    ] {
        let error = run_as(&engine, sql, Role::ReadOnly).await.expect_err(sql);
        assert_eq!(error.code, ErrorCode::ReadOnly, "{sql}: {error:?}");
    }
    for (sql, kind) in [
        ("CREATE TABLE memory.main.t (i INT)", ErrorCode::StatementNotAllowed),
        ("CREATE SCHEMA memory.s", ErrorCode::StatementNotAllowed),
        ("USE memory", ErrorCode::StatementNotAllowed),
        ("FROM other.main.t", ErrorCode::InvalidSql),
        ("ATTACH ':memory:' AS acme", ErrorCode::StatementNotAllowed),
        ("ATTACH ':memory:' AS other (TYPE roost)", ErrorCode::StatementNotAllowed),
        ("DETACH acme", ErrorCode::StatementNotAllowed),
        ("ALTER DATABASE acme SET ALIAS TO other", ErrorCode::StatementNotAllowed),
        ("CHECKPOINT acme", ErrorCode::StatementNotAllowed),
        ("EXPORT DATABASE acme TO '/tmp/x'", ErrorCode::StatementNotAllowed),
        ("COPY FROM DATABASE acme TO memory", ErrorCode::StatementNotAllowed),
    ] {
        let error = run(&engine, sql).await.expect_err(sql);
        assert_eq!(error.code, kind, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn a_schema_named_like_its_tenant_needs_the_full_name() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path(), "beta", &["acme"]);
    for name in ["beta", "acme"] {
        let sql = format!(
            "CREATE SCHEMA IF NOT EXISTS {name}; CREATE TABLE beta.{name}.t AS SELECT 4 AS i; \
             CREATE VIEW v_{name} AS FROM {name}.{name}.t; FROM v_{name}"
        );
        assert_eq!(run(&engine, &sql).await.unwrap(), ["4"], "{name}");
        for sql in [format!("FROM {name}.t"), format!("CREATE TABLE {name}.u (i INT)")] {
            let error = run(&engine, &sql).await.expect_err(&sql);
            assert_eq!((error.code, error.sqlstate), (ErrorCode::InvalidSql, "42P10"), "{sql}");
            let advice = format!("use a fully qualified path like \"beta.{name}\"");
            assert!(error.message.contains(&advice), "{sql}: {error:?}");
        }
    }
    checkpoint(&engine).await;
    let copy = copied(folder.path());
    let engine = open(copy.path(), "beta", &["acme"]);
    assert_eq!(run(&engine, "FROM v_beta UNION ALL FROM v_acme").await.unwrap(), ["4", "4"]);
}

#[tokio::test]
async fn an_export_names_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.database_name = "beta".into();
    config.former_names = vec!["acme".into()];
    config.export_directory = Some(folder.path().join("spool"));
    let engine = Engine::open(config, vfs(folder.path())).unwrap();
    // What a function gets as text stays as it is, but for sequences.
    for sql in ORIGIN.iter().filter(|sql| !sql.contains("query(")) {
        let sql = sql
            .replace("$.main.t.i", "t.i")
            .replace("$.main.indexed.i", "i")
            .replace("$.sales.orders.i", "i");
        run(&engine, &sql.replace('$', "acme")).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    let more = "CREATE TYPE mood AS ENUM ('a', 'b'); \
                CREATE VIEW of_both AS SELECT beta.main.t.i, 'a'::acme.main.mood AS m, ['b']::beta.main.mood[] AS l \
                FROM acme.main.t WHERE acme.main.plus(beta.main.t.i) = 2; \
                CREATE VIEW texts AS SELECT 'acme.main.t; ' || i AS x FROM acme.t; \
                COMMENT ON VIEW texts IS 'acme.main'";
    run(&engine, more).await.unwrap();
    let out = folder.path().join("spool/out");
    engine.export_parquet(&out, |_| {}).await.unwrap();
    let script = std::fs::read_to_string(out.join("schema.sql")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let other = open(folder.path(), "other", &[]);
    run(&other, &script).await.unwrap_or_else(|error| panic!("{error:?}\n{script}"));
    let sql = "INSERT INTO t VALUES (1, {'x': 10}); INSERT INTO sales.orders VALUES (2); SELECT x FROM texts";
    assert_eq!(run(&other, sql).await.unwrap(), ["acme.main.t; 1"]);
    assert_eq!(run(&other, "SELECT i, m::VARCHAR, l::VARCHAR FROM of_both").await.unwrap(), ["1|a|[b]"]);
    assert_eq!(run(&other, "FROM by_schema").await.unwrap(), ["2"]);
    assert_eq!(run(&other, "FROM by_alias").await.unwrap(), ["3"]);
    let sql = "INSERT INTO defaults (i) VALUES (1); SELECT j::INT + k FROM defaults";
    assert_eq!(run(&other, sql).await.unwrap(), ["3"]);
    let sql = "SELECT comment FROM duckdb_views() WHERE view_name = 'texts'";
    assert_eq!(run(&other, sql).await.unwrap(), ["acme.main"]);
}
