//! Commits that cannot be made for what was altered or dropped meanwhile: they are rolled back, and nobody else notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, ErrorCode, Role};
use support::{ask, bench, open, run};

const SCHEMA: &str = "CREATE TABLE u (k INT PRIMARY KEY, v INT); INSERT INTO u VALUES (1, 1); \
                      CREATE TABLE t (v INT); INSERT INTO t VALUES (1), (2); CREATE SCHEMA s; CREATE SEQUENCE q";
/// DuckDB cannot take this back once it is half committed, and ends the process.
const REPLACE_A_KEY: &str = "DELETE FROM u; INSERT INTO u VALUES (1, 9)";

/// Nothing of the transaction is left, and the tables can be written.
async fn stands(engine: &Engine, tables: &str, told: &str) {
    assert_eq!(run(engine, "SELECT v FROM u").await.unwrap(), ["1"], "{told}");
    run(engine, tables).await.unwrap_or_else(|error| panic!("{told}: {error:?}"));
    assert!(!engine.has_failed(), "{told}");
}

#[tokio::test]
async fn what_another_altered_or_dropped_is_not_committed() {
    let mine_and_theirs = [
        ("DELETE FROM t", "ALTER TABLE t ADD COLUMN c INT"),
        ("DELETE FROM t WHERE v = 1", "ALTER TABLE t ADD COLUMN d INT DEFAULT 7"),
        ("UPDATE t SET v = 3", "ALTER TABLE t ADD COLUMN c INT"),
        ("UPDATE t SET v = 3", "DROP TABLE t; CREATE TABLE t (v INT)"),
        ("INSERT INTO t VALUES (3)", "ALTER TABLE t ADD COLUMN c INT"),
        ("DELETE FROM t", "CREATE OR REPLACE TABLE t (v INT)"),
        ("CREATE TABLE s.x (i INT)", "DROP SCHEMA s"),
        ("CREATE TABLE s.x (i INT)", "DROP SCHEMA s; CREATE SCHEMA s"),
        ("CREATE TABLE x (i INT DEFAULT nextval('q'))", "DROP SEQUENCE q"),
        ("DROP SCHEMA s", "CREATE TABLE s.x (i INT)"),
        ("DROP SEQUENCE q", "CREATE TABLE x (i INT DEFAULT nextval('q'))"),
    ];
    for (mine, theirs) in mine_and_theirs {
        for transaction in
            [format!("BEGIN; {REPLACE_A_KEY}; {mine}"), format!("BEGIN; {mine}; {REPLACE_A_KEY}")]
        {
            let bench = bench();
            run(&bench.engine, SCHEMA).await.unwrap();
            let mut session = open(&bench.engine, Role::ReadWrite);
            ask(&mut session, &transaction).await.unwrap();
            run(&bench.engine, theirs).await.unwrap_or_else(|error| panic!("{theirs}: {error:?}"));
            let told = format!("{transaction} beside {theirs}");
            let error = ask(&mut session, "COMMIT").await.expect_err(&told);
            assert_eq!((error.code, error.sqlstate), (ErrorCode::TransactionConflict, "40001"), "{told}");
            stands(&bench.engine, "INSERT INTO t(v) VALUES (7)", &told).await;
        }
    }
}

#[tokio::test]
async fn what_an_open_transaction_has_altered_is_not_committed() {
    let bench = bench();
    run(&bench.engine, SCHEMA).await.unwrap();
    for end in ["ROLLBACK", "COMMIT"] {
        let (mut session, mut other) =
            (open(&bench.engine, Role::ReadWrite), open(&bench.engine, Role::ReadWrite));
        ask(&mut session, &format!("BEGIN; {REPLACE_A_KEY}; DELETE FROM t")).await.unwrap();
        ask(&mut other, "BEGIN; ALTER TABLE t ADD COLUMN c INT").await.unwrap();
        assert_eq!(ask(&mut session, "COMMIT").await.unwrap_err().code, ErrorCode::TransactionConflict);
        ask(&mut other, end).await.unwrap();
        stands(&bench.engine, "UPDATE t SET v = v + 1", end).await;
    }
}

#[tokio::test]
async fn a_table_whose_rows_a_transaction_changed_is_not_altered_by_it() {
    for (change, alter) in [
        ("DELETE FROM t", "ALTER TABLE t ADD COLUMN c INT"),
        ("UPDATE t SET v = 3", "ALTER TABLE t ALTER v TYPE BIGINT"),
        ("UPDATE t SET v = 3", "ALTER TABLE t ALTER v SET NOT NULL"),
        ("DELETE FROM t WHERE v = 1", "ALTER TABLE t ADD PRIMARY KEY (v)"),
        ("ALTER TABLE t ADD COLUMN c INT; UPDATE t SET c = 3", "ALTER TABLE t DROP COLUMN v"),
        (
            "ROLLBACK; CREATE TEMP TABLE a AS SELECT 1 AS i; BEGIN; DELETE FROM a",
            "ALTER TABLE a ADD COLUMN j INT",
        ),
    ] {
        let bench = bench();
        run(&bench.engine, SCHEMA).await.unwrap();
        let told = format!("BEGIN; {REPLACE_A_KEY}; {change}; {alter}; COMMIT");
        let error = run(&bench.engine, &told).await.expect_err(&told);
        // Trying again would not help.
        assert_eq!((error.code, error.sqlstate), (ErrorCode::QueryFailed, "0A000"), "{told}: {error:?}");
        assert!(error.message.contains("before it is altered"), "{error:?}");
        stands(&bench.engine, "UPDATE t SET v = v + 1", &told).await;
    }
}

#[tokio::test]
async fn what_nobody_else_touched_is_committed() {
    for transaction in [
        "ALTER TABLE t ADD COLUMN c INT; UPDATE t SET c = 1; DELETE FROM t WHERE v = 1",
        "INSERT INTO t VALUES (3); ALTER TABLE t ADD COLUMN c INT",
        "UPDATE t SET v = 3; ALTER TABLE t RENAME COLUMN v TO w; ALTER TABLE t RENAME w TO v",
        "DELETE FROM t; DROP TABLE t; CREATE TABLE t (v INT); INSERT INTO t VALUES (1)",
        "DELETE FROM t; CREATE OR REPLACE TABLE t AS SELECT 5 AS v; DELETE FROM t",
        "CREATE SCHEMA n; CREATE TABLE n.x (i INT PRIMARY KEY); INSERT INTO n.x VALUES (1); DROP TABLE n.x; DROP SCHEMA n",
        "CREATE TABLE s.x (i INT); DROP SCHEMA s CASCADE; CREATE SCHEMA s; CREATE TABLE s.x (i INT)",
        "CREATE SEQUENCE q2; CREATE TABLE y (i INT DEFAULT nextval('q2')); INSERT INTO y DEFAULT VALUES; DROP TABLE y; \
         DROP SEQUENCE q2",
        "CREATE TABLE x (i INT DEFAULT nextval('q')); DROP SEQUENCE q CASCADE; CREATE SEQUENCE q",
        "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE z (m mood); INSERT INTO z VALUES ('a')",
        "CREATE TEMP TABLE a (i INT); INSERT INTO a VALUES (1); DELETE FROM a; ALTER TABLE a ADD COLUMN j INT",
    ] {
        let bench = bench();
        run(&bench.engine, SCHEMA).await.unwrap();
        let told = format!("BEGIN; {REPLACE_A_KEY}; {transaction}; COMMIT");
        run(&bench.engine, &told).await.unwrap_or_else(|error| panic!("{told}: {error:?}"));
        assert_eq!(run(&bench.engine, "SELECT v FROM u").await.unwrap(), ["9"], "{told}");
        run(&bench.engine, "UPDATE t SET v = v + 1").await.unwrap();
    }
}

/// DuckDB marks the table as altered before it finds out that another transaction has done something to it.
#[tokio::test]
async fn a_table_can_be_written_after_an_alter_that_failed() {
    for theirs in
        ["COMMENT ON TABLE t IS 'x'", "ALTER TABLE t RENAME TO t2", "ALTER TABLE t ALTER v SET DEFAULT 3"]
    {
        for end in ["COMMIT", "ROLLBACK"] {
            let bench = bench();
            run(&bench.engine, SCHEMA).await.unwrap();
            let mut other = open(&bench.engine, Role::ReadWrite);
            ask(&mut other, &format!("BEGIN; {theirs}")).await.unwrap();
            let error = run(&bench.engine, "ALTER TABLE t ADD COLUMN c INT").await.expect_err(theirs);
            assert_eq!(error.code, ErrorCode::TransactionConflict, "{error:?}");
            ask(&mut other, end).await.unwrap();
            let told = format!("{theirs}; {end}");
            let name = if theirs.contains("t2") && end == "COMMIT" { "t2" } else { "t" };
            stands(
                &bench.engine,
                &format!("UPDATE {name} SET v = 4; ALTER TABLE {name} ADD COLUMN c INT"),
                &told,
            )
            .await;
        }
    }
}
