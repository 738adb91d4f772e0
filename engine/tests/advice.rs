//! Advice of errors: nothing is advised that is refused, or that does not help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{ErrorCode, QueryError, Role};
use support::{bench, run_as};

async fn fails(sql: &str, role: Role) -> QueryError {
    let bench = bench();
    run_as(&bench.engine, "CREATE TABLE t (i INT)", Role::ReadWrite).await.unwrap();
    run_as(&bench.engine, sql, role).await.expect_err(sql)
}

/// DuckDB takes these for conflicts: whoever tries again would do so for ever.
#[tokio::test]
async fn what_does_not_go_with_the_transaction_is_not_to_be_tried_again() {
    for (sql, sqlstate) in [
        ("COMMIT", "25P01"),
        ("ROLLBACK", "25P01"),
        ("ABORT", "25P01"),
        ("END", "25P01"),
        ("SELECT 1; COMMIT", "25P01"),
        ("BEGIN; COMMIT; COMMIT", "25P01"),
        ("BEGIN; BEGIN", "25001"),
        ("START TRANSACTION; BEGIN TRANSACTION READ ONLY", "25001"),
        ("BEGIN TRANSACTION READ ONLY; INSERT INTO t VALUES (1)", "25006"),
        ("BEGIN TRANSACTION READ ONLY; CREATE TABLE u (i INT)", "25006"),
    ] {
        let error = fails(sql, Role::ReadWrite).await;
        assert_eq!((error.code, error.sqlstate), (ErrorCode::QueryFailed, sqlstate), "{sql}: {error:?}");
        assert!(error.hint.is_some(), "{sql}");
    }
    for (sql, sqlstate) in [("COMMIT", "25P01"), ("BEGIN; BEGIN", "25001")] {
        assert_eq!(fails(sql, Role::ReadOnly).await.sqlstate, sqlstate, "{sql}");
    }
    let bench = bench();
    let sql = "BEGIN TRANSACTION READ ONLY; SELECT 1; COMMIT; CREATE TABLE u (i INT); BEGIN; INSERT INTO u VALUES (1); \
               ROLLBACK; FROM u";
    assert_eq!(run_as(&bench.engine, sql, Role::ReadWrite).await.unwrap(), ["0"; 0]);
}

#[tokio::test]
async fn nobody_is_told_to_load_an_extension() {
    for sql in ["CREATE SECRET s (TYPE s3)", "CALL dbgen(sf = 0.01)", "SELECT st_point(1, 2)"] {
        let error = fails(sql, Role::ReadWrite).await;
        let told = format!("{} {}", error.message, error.hint.as_deref().unwrap_or_default());
        assert!(
            !told.contains("INSTALL") && !told.contains("LOAD") && !told.contains("autoinstall"),
            "{sql}: {told}"
        );
    }
}
