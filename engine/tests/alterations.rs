//! ALTER beside other transactions, and COMMITs of what a transaction altered and dropped itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{ErrorCode, Role};
use std::time::Duration;
use support::{Bench, ask, bench, bench_with, open, run};

const TABLES: &str = "CREATE TABLE t (v INT, c INT); INSERT INTO t VALUES (1, 1); CREATE TABLE other (i INT); \
                      CREATE TABLE n (s STRUCT(f INT, g INT)); INSERT INTO n VALUES ({f: 1, g: 1})";
/// ALTERs for which DuckDB reads the rows again, as the oldest transaction sees them.
const REWRITES: [(&str, &str, &str, &str); 4] = [
    ("UPDATE t SET v = 3", "ALTER TABLE t ALTER v TYPE BIGINT", "SELECT v FROM t", "3"),
    ("UPDATE n SET s = {f: 3, g: 3}", "ALTER TABLE n ADD COLUMN s.h INT", "SELECT s.f FROM n", "3"),
    ("UPDATE n SET s = {f: 3, g: 3}", "ALTER TABLE n DROP COLUMN s.g", "SELECT s.f FROM n", "3"),
    ("UPDATE n SET s = {f: 3, g: 3}", "ALTER TABLE n RENAME COLUMN s.g TO h", "SELECT s.f FROM n", "3"),
];

fn impatient() -> Bench {
    bench_with(|config| config.alone_patience = Duration::from_millis(50))
}

/// DuckDB gave the table the rows that the reader saw: what was committed since was lost.
#[tokio::test]
async fn what_was_committed_is_kept_when_rows_are_rewritten_beside_an_older_reader() {
    for (update, alter, query, value) in REWRITES {
        let bench = impatient();
        run(&bench.engine, TABLES).await.unwrap();
        let mut reader = open(&bench.engine, Role::ReadWrite);
        ask(&mut reader, "BEGIN; FROM other").await.unwrap();
        run(&bench.engine, update).await.unwrap();
        run(&bench.engine, alter).await.unwrap();
        assert_eq!(run(&bench.engine, query).await.unwrap(), [value], "{alter}");
        let stopped = ask(&mut reader, "FROM other").await.unwrap_err();
        assert_eq!((stopped.code, stopped.sqlstate), (ErrorCode::TransactionConflict, "72000"));
    }
}

#[tokio::test]
async fn a_transaction_that_is_older_than_a_commit_rewrites_no_rows() {
    for (update, alter, query, value) in REWRITES {
        let bench = impatient();
        run(&bench.engine, TABLES).await.unwrap();
        let mut older = open(&bench.engine, Role::ReadWrite);
        ask(&mut older, "BEGIN; FROM other").await.unwrap();
        run(&bench.engine, update).await.unwrap();
        let error = ask(&mut older, alter).await.expect_err(alter);
        assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "40001"), "{error:?}");
        ask(&mut older, "ROLLBACK").await.unwrap();
        assert_eq!(run(&bench.engine, query).await.unwrap(), [value], "{alter}");
    }
}

/// DuckDB took what was not committed into the table: it stayed there after the rollback.
#[tokio::test]
async fn what_is_not_committed_is_not_taken_over_when_rows_are_rewritten() {
    for (update, alter, query, _) in REWRITES {
        let bench = impatient();
        run(&bench.engine, TABLES).await.unwrap();
        let mut writer = open(&bench.engine, Role::ReadWrite);
        ask(&mut writer, &format!("BEGIN; {update}")).await.unwrap();
        run(&bench.engine, alter).await.unwrap();
        assert_eq!(ask(&mut writer, "COMMIT").await.unwrap_err().sqlstate, "25P03", "{alter}");
        assert_eq!(run(&bench.engine, query).await.unwrap(), ["1"], "{alter}");
    }
}

#[tokio::test]
async fn rows_are_rewritten_in_a_transaction_of_ones_own() {
    let bench = impatient();
    run(&bench.engine, TABLES).await.unwrap();
    run(&bench.engine, "BEGIN; INSERT INTO t VALUES (2, 2); ALTER TABLE t ALTER v TYPE BIGINT; UPDATE t SET v = v + 1; COMMIT")
        .await
        .unwrap();
    assert_eq!(run(&bench.engine, "SELECT v FROM t ORDER BY v").await.unwrap(), ["2", "3"]);
    let made = "BEGIN; CREATE TABLE m AS SELECT 1 AS i; ALTER TABLE m ALTER i TYPE VARCHAR; FROM m; COMMIT";
    run(&bench.engine, made).await.unwrap();
}

/// DuckDB looked for the column as it was written, found none half way through the commit, and failed for everybody.
#[tokio::test]
async fn a_field_is_altered_however_its_column_is_written() {
    for alter in ["ADD COLUMN S.h INT", "RENAME COLUMN S.g TO h", "DROP COLUMN S.g", "DROP COLUMN \"S\".f"] {
        let bench = bench();
        run(&bench.engine, TABLES).await.unwrap();
        let sql = format!("ALTER TABLE n {alter}; INSERT INTO n SELECT s FROM n; FROM n");
        run(&bench.engine, &sql).await.unwrap_or_else(|error| panic!("{alter}: {error:?}"));
    }
    let bench = bench();
    run(&bench.engine, TABLES).await.unwrap();
    for alter in [
        "ADD COLUMN x.h INT",
        "ADD COLUMN IF NOT EXISTS x.h INT",
        "DROP COLUMN v.f",
        "DROP COLUMN IF EXISTS v.f",
        "RENAME COLUMN v.f TO g",
        "RENAME COLUMN s.nope TO h",
        "DROP COLUMN s.nope",
        "ADD COLUMN s.f.x INT",
        "DROP COLUMN s.f.x",
        "ALTER v TYPE INT",
        "ALTER s.f TYPE BIGINT",
        "DROP COLUMN v",
        "RENAME COLUMN v TO w",
        "ALTER v SET NOT NULL",
        "ALTER v DROP NOT NULL",
        "ALTER v SET DEFAULT 1",
        "ADD PRIMARY KEY (v)",
        "ADD COLUMN s INT",
    ] {
        let error = run(&bench.engine, &format!("ALTER TABLE n {alter}")).await.expect_err(alter);
        assert!(matches!(error.code, ErrorCode::InvalidSql | ErrorCode::QueryFailed), "{alter}: {error:?}");
    }
    assert!(!bench.engine.has_failed());
}

/// DuckDB drops what depends on something without its rows that are not committed yet, and then could not commit them.
#[tokio::test]
async fn rows_of_a_table_that_is_dropped_with_what_it_depends_on_go_with_it() {
    let replace_a_key = "DELETE FROM u; INSERT INTO u VALUES (1, 9)";
    for dropped in [
        "CREATE TABLE s.y AS SELECT 1 AS i; DROP SCHEMA s CASCADE",
        "INSERT INTO s.x VALUES (2); DROP SCHEMA s CASCADE",
        "CREATE TABLE x (i INT DEFAULT nextval('q')); INSERT INTO x DEFAULT VALUES; DROP SEQUENCE q CASCADE",
        "CREATE TEMP SEQUENCE r; CREATE TEMP TABLE x (i INT DEFAULT nextval('r')); INSERT INTO x DEFAULT VALUES; \
         DROP SEQUENCE r CASCADE",
        "INSERT INTO s.x VALUES (2); ALTER TABLE s.x ADD COLUMN j INT; DROP SCHEMA s CASCADE; CREATE SCHEMA s",
    ] {
        let bench = bench();
        let tables = "CREATE TABLE u (k INT PRIMARY KEY, v INT); INSERT INTO u VALUES (1, 1); CREATE SCHEMA s; \
                      CREATE TABLE s.x (i INT); CREATE SEQUENCE q";
        run(&bench.engine, tables).await.unwrap();
        let sql = format!("BEGIN; {replace_a_key}; {dropped}; COMMIT; SELECT v FROM u");
        let kept = run(&bench.engine, &sql).await.unwrap_or_else(|error| panic!("{dropped}: {error:?}"));
        assert_eq!(kept, ["9"], "{dropped}");
    }
}

#[tokio::test]
async fn an_alter_that_changes_nothing_may_follow_a_change_of_rows() {
    for alter in [
        "ALTER TABLE u ADD COLUMN IF NOT EXISTS v INT",
        "ALTER TABLE u DROP COLUMN IF EXISTS nope",
        "ALTER TABLE u ALTER k SET NOT NULL",
        "ALTER TABLE u ALTER v DROP NOT NULL",
        "ALTER TABLE u DROP COLUMN g",
        "ALTER TABLE IF EXISTS nope ADD COLUMN i INT",
    ] {
        let bench = bench();
        let table =
            "CREATE TABLE u (k INT PRIMARY KEY, v INT, g INT AS (v + 1)); INSERT INTO u VALUES (1, 1)";
        run(&bench.engine, table).await.unwrap();
        let sql =
            format!("BEGIN; UPDATE u SET v = 2; DELETE FROM u WHERE k = 3; {alter}; COMMIT; SELECT v FROM u");
        let kept = run(&bench.engine, &sql).await.unwrap_or_else(|error| panic!("{alter}: {error:?}"));
        assert_eq!(kept, ["2"], "{alter}");
    }
}
