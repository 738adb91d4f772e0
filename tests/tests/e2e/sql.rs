//! Statements that tenants may run, through the gateway; and how one that fails ends.

use anyhow::{Result, ensure};
use roost_protocol::problem::ErrorCode;
use roost_tests::{Answer, Roost};
use serde_json::json;

/// Everything here must pass. `;` joins statements of one request.
const ALLOWED: &[&str] = &[
    "CREATE SCHEMA s; CREATE TABLE s.t (i INT PRIMARY KEY, s VARCHAR DEFAULT 'x', CHECK (i > 0))",
    "CREATE INDEX by_s ON s.t (s)",
    "INSERT INTO s.t VALUES (1, 'one'), (2, 'two') RETURNING i",
    "INSERT INTO s.t VALUES (1, 'uno') ON CONFLICT (i) DO UPDATE SET s = excluded.s",
    "MERGE INTO s.t USING (VALUES (2, 'dos'), (3, 'tres')) v(i, s) ON t.i = v.i \
     WHEN MATCHED THEN UPDATE SET s = v.s WHEN NOT MATCHED THEN INSERT VALUES (v.i, v.s)",
    "UPDATE s.t SET s = upper(s) WHERE i = 2; DELETE FROM s.t WHERE i = 3",
    "CREATE TABLE s.a (i INT); ALTER TABLE s.a ADD COLUMN d DATE; ALTER TABLE s.a RENAME d TO day; \
     ALTER TABLE s.a DROP day; DROP TABLE s.a",
    "CREATE VIEW v AS SELECT * FROM s.t; SELECT * FROM v",
    "CREATE MACRO plus(a, b) AS a + b; SELECT plus(1, 2)",
    "CREATE MACRO first_rows(n) AS TABLE SELECT * FROM s.t LIMIT n; FROM first_rows(1)",
    "CREATE SEQUENCE ids; SELECT nextval('ids'), currval('ids')",
    "CREATE TYPE mood AS ENUM ('glad', 'sad'); SELECT 'glad'::mood",
    "CREATE TEMP TABLE scratch AS SELECT 1 AS i; FROM scratch",
    "COMMENT ON TABLE s.t IS 'a table'",
    "PIVOT (SELECT * FROM (VALUES ('a', 1), ('b', 2)) p(k, n)) ON k USING sum(n)",
    "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b INTO NAME k VALUE n",
    "SELECT * FROM (VALUES (1, 10), (2, 20)) a(t, x) ASOF JOIN (VALUES (0, 'p'), (2, 'q')) b(t, y) ON a.t >= b.t",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i) FROM n",
    "PREPARE p AS SELECT $1 + 1; EXECUTE p(41); DEALLOCATE p",
    "SUMMARIZE s.t",
    "DESCRIBE s.t",
    "SHOW TABLES",
    "EXPLAIN SELECT * FROM s.t",
    "EXPLAIN ANALYZE SELECT count(*) FROM s.t",
    "SELECT list_transform([1, 2], lambda x: x + 1), {'a': 1}.a, MAP {'k': 'v'}['k'], json_extract('{\"a\":1}', '$.a')",
    "SELECT sum(i) OVER (ORDER BY i) FROM range(3) r(i)",
    "SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' AT TIME ZONE 'Europe/Prague'",
    "BEGIN; INSERT INTO s.t VALUES (9, 'nine'); ROLLBACK; SELECT count(*) FROM s.t",
    "BEGIN; INSERT INTO s.t VALUES (9, 'nine'); COMMIT",
    "FROM information_schema.tables; FROM duckdb_tables(); FROM pragma_table_info('s.t')",
    "ANALYZE; DROP VIEW v; DROP MACRO plus; DROP SEQUENCE ids; DROP TABLE s.t; DROP SCHEMA s",
];

/// Each must be refused for what it is, whatever else it says.
const REFUSED: &[&str] = &[
    "ATTACH '/tmp/other.duckdb'",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CHECKPOINT",
    "EXPORT DATABASE '/tmp/out'",
    "SET memory_limit = '100GB'",
    "SELECT getenv('HOME')",
    "CREATE TABLE memory.t (i INT)",
];

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn tenants_have_the_whole_language_and_nothing_beside_it() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("sql", "5m", |_| ()).await?;
    let shop = roost.namespace("sql").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    for sql in ALLOWED {
        shop.run("acme", sql).await?;
    }
    for sql in REFUSED {
        let problem = shop.query("acme", sql).await?.problem()?;
        let refused = matches!(problem.code, ErrorCode::StatementNotAllowed | ErrorCode::InvalidSql);
        ensure!(refused, "{sql}: {problem}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn failing_statements_end_as_their_format_says() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("fail", "5m", |_| ()).await?;
    let shop = roost.namespace("fail").await?;
    shop.tenant("acme", json!({"className": class})).await?;

    let problem = shop.query("acme", "SELEC 1").await?.problem()?;
    ensure!(problem.code == ErrorCode::InvalidSql && problem.sqlstate() == "42601", "{problem:?}");
    let problem = shop.query("acme", "SELECT * FROM nowhere").await?.problem()?;
    ensure!(problem.code == ErrorCode::InvalidSql, "{problem:?}");

    // Fails long after the first batch was sent.
    let late = "SELECT CASE WHEN i < 3000000 THEN i ELSE error('too far') END AS i FROM range(4000000) r(i)";
    let post =
        async |format: &str| shop.post("acme", &shop.token, &json!({"sql": late, "format": format})).await;
    let answer = Answer::read(post("json").await?).await?;
    ensure!(answer.status.is_success(), "{}", answer.status);
    ensure!(
        answer.body["complete"] != true && answer.body["error"]["code"] == "query-failed",
        "no error member"
    );
    let text = post("ndjson").await?.text().await?;
    let last: serde_json::Value = serde_json::from_str(text.lines().next_back().unwrap_or_default())?;
    ensure!(last["error"]["code"] == "query-failed", "{last}");
    for format in ["csv", "arrow"] {
        let cut = post(format).await?.bytes().await;
        ensure!(cut.is_err(), "{format}: a failed answer looked complete");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn what_is_committed_before_an_error_is_told_and_nobody_repeats_it() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("parts", "5m", |_| ()).await?;
    let shop = roost.namespace("parts").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", "CREATE TABLE t AS FROM range(9) r(i)").await?;
    for (sql, code, committed) in [
        ("INSERT INTO t VALUES (9); SELECT 'x'::INT", ErrorCode::QueryFailed, Some(1)),
        ("BEGIN; INSERT INTO t VALUES (9); COMMIT; BEGIN; FROM nowhere", ErrorCode::InvalidSql, Some(3)),
        ("BEGIN; INSERT INTO t VALUES (9); FROM nowhere; COMMIT", ErrorCode::InvalidSql, None),
        ("DELETE FROM t\0 WHERE i = 3", ErrorCode::InvalidSql, None),
    ] {
        let problem = shop.query("acme", sql).await?.problem()?;
        ensure!((problem.code, problem.committed_statements()) == (code, committed), "{sql}: {problem:?}");
    }
    shop.answers("acme", "SELECT count(*) FROM t", 11).await
}

#[tokio::test]
#[ignore = "needs the test cluster"]
async fn tpch_passes_through_the_gateway() -> Result<()> {
    let roost = Roost::connect().await?;
    let class = roost.class("tpch", "5m", |_| ()).await?;
    let shop = roost.namespace("tpch").await?;
    shop.tenant("acme", json!({"className": class})).await?;
    shop.run("acme", include_str!("../../../engine/tests/tpch/schema.sql")).await?;
    shop.run("acme", include_str!("../../../engine/tests/tpch/data.sql")).await?;
    let queries = include_str!("../../../engine/tests/tpch/queries.sql");
    let queries: Vec<_> = queries.split(";\n").map(str::trim).filter(|query| !query.is_empty()).collect();
    ensure!(queries.len() == 22, "{} queries", queries.len());
    for query in queries {
        shop.run("acme", query).await?;
    }
    Ok(())
}
