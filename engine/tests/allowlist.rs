//! Statements that must work behind every wall: the allowlists are wide enough.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;
mod tpch;

use roost_engine::{Engine, Role};
use support::{bench, run, run_as};

/// Runs every case on one engine, one after the other, and reports all that failed.
async fn all_work(engine: &Engine, cases: &[&str]) {
    let mut failed = Vec::new();
    for sql in cases {
        if let Err(error) = run(engine, sql).await {
            failed.push(format!("{sql}\n      {error:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[tokio::test]
async fn tpch_1_to_22() {
    let bench = bench();
    run(&bench.engine, tpch::SCHEMA).await.unwrap();
    run(&bench.engine, tpch::DATA).await.unwrap();
    let queries = tpch::queries();
    assert_eq!(queries.len(), 22);
    let mut failed = Vec::new();
    for (index, sql) in queries.iter().enumerate() {
        for role in [Role::ReadWrite, Role::ReadOnly] {
            if let Err(error) = run_as(&bench.engine, sql, role).await {
                failed.push(format!("query {} as {role:?}: {error:?}", index + 1));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn objects_are_created_altered_and_dropped() {
    let cases = [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, n INT DEFAULT 3 CHECK (n > 0), u INT UNIQUE)",
        "CREATE TABLE child (id INT REFERENCES t (id), twice INT GENERATED ALWAYS AS (id * 2))",
        "CREATE OR REPLACE TABLE other AS SELECT i, i::VARCHAR AS s FROM range(10) r(i)",
        "CREATE TABLE IF NOT EXISTS other (x INT)",
        "CREATE TEMP TABLE scratch AS SELECT 1 AS i; INSERT INTO scratch VALUES (2); FROM scratch",
        "CREATE TEMPORARY VIEW seen AS SELECT 1; FROM seen",
        "ALTER TABLE other ADD COLUMN d DOUBLE DEFAULT 1.5",
        "ALTER TABLE other RENAME COLUMN d TO e",
        "ALTER TABLE other ALTER COLUMN e TYPE VARCHAR USING e::VARCHAR",
        "ALTER TABLE other ALTER COLUMN e SET DEFAULT 'x'",
        "ALTER TABLE other ALTER COLUMN e DROP DEFAULT",
        "ALTER TABLE other ALTER COLUMN i SET NOT NULL",
        "ALTER TABLE other ALTER COLUMN i DROP NOT NULL",
        "ALTER TABLE other DROP COLUMN e",
        "ALTER TABLE other RENAME TO renamed",
        "ALTER TABLE renamed ADD PRIMARY KEY (i)",
        "CREATE INDEX by_name ON t (name)",
        "CREATE UNIQUE INDEX by_two ON t (name, n)",
        "CREATE INDEX by_expression ON t ((lower(name)))",
        "DROP INDEX by_name",
        "CREATE SCHEMA extra",
        "CREATE TABLE extra.t (i INT)",
        "CREATE VIEW extra.v AS SELECT * FROM extra.t",
        "CREATE OR REPLACE VIEW extra.v (j) AS SELECT i + 1 FROM extra.t",
        "ALTER VIEW extra.v RENAME TO w",
        "USE extra; SELECT current_schema()",
        "SET schema = 'extra'; FROM t",
        "SET search_path = 'extra,main'; FROM t",
        "CREATE SEQUENCE s START 5 INCREMENT BY 2",
        "CREATE TABLE numbered (id BIGINT DEFAULT nextval('s'), v INT)",
        "INSERT INTO numbered (v) VALUES (1), (2)",
        "SELECT nextval('s'), currval('s')",
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE TYPE point AS STRUCT(x INT, y INT)",
        "CREATE TABLE people (m mood, p point, l INT[], k MAP(VARCHAR, INT), u UNION(a INT, b VARCHAR))",
        "INSERT INTO people VALUES ('ok', {x: 1, y: 2}, [1, 2], MAP {'a': 1}, 'x'::VARCHAR)",
        "SELECT m, p.x, l[1], k['a'], u FROM people",
        "CREATE MACRO twice(a) AS a * 2",
        "SELECT twice(4)",
        "CREATE OR REPLACE MACRO several(a, b := 3) AS TABLE SELECT a + b AS s FROM range(2)",
        "FROM several(1)",
        "CREATE FUNCTION thrice(a) AS a * 3",
        "CREATE TEMP MACRO here(a) AS a; SELECT here(1)",
        "COMMENT ON TABLE t IS 'things'",
        "COMMENT ON COLUMN t.name IS 'name'",
        "COMMENT ON VIEW extra.w IS 'a view'",
        "DROP MACRO twice",
        "DROP MACRO TABLE several",
        "DROP TABLE numbered",
        "DROP SEQUENCE s",
        "DROP TABLE people",
        "DROP TYPE mood",
        "DROP VIEW extra.w",
        "DROP SCHEMA extra CASCADE",
        "DROP TABLE child",
        "DROP TABLE IF EXISTS nothing",
        "TRUNCATE renamed",
        "CREATE TABLE deep AS FROM renamed WITH NO DATA",
    ];
    all_work(&bench().engine, &cases).await;
}

#[tokio::test]
async fn rows_are_inserted_updated_and_deleted() {
    let cases = [
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR, created TIMESTAMPTZ DEFAULT now())",
        "INSERT INTO t (id, v) VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO t (id, v) SELECT i, 'r' || i FROM range(3, 100) r(i)",
        "INSERT INTO t (id, v) VALUES (1, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v",
        "INSERT OR REPLACE INTO t (id, v) VALUES (2, 'y')",
        "INSERT OR IGNORE INTO t (id, v) VALUES (2, 'x')",
        "INSERT INTO t BY NAME SELECT 200 AS id, 'n' AS v",
        "INSERT INTO t (id, v) VALUES (300, 'q') RETURNING id, v",
        "UPDATE t SET v = upper(v) WHERE id < 10",
        "UPDATE t SET v = s.v FROM (VALUES (4, 'from')) s(id, v) WHERE t.id = s.id RETURNING *",
        "DELETE FROM t WHERE id = 5 RETURNING id",
        "DELETE FROM t USING (VALUES (6)) g(id) WHERE t.id = g.id",
        "MERGE INTO t USING (VALUES (7, 'm'), (700, 'new')) s(id, v) ON t.id = s.id \
         WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v)",
        "MERGE INTO t USING (VALUES (7)) s(id) USING (id) WHEN MATCHED THEN DELETE RETURNING merge_action, id",
        "BEGIN; INSERT INTO t (id) VALUES (1000); COMMIT",
        "BEGIN TRANSACTION; INSERT INTO t (id) VALUES (1001); ROLLBACK",
        "BEGIN TRANSACTION READ ONLY; SELECT count(*) FROM t; COMMIT",
        "START TRANSACTION; DELETE FROM t; ABORT",
        "PREPARE p AS SELECT * FROM t WHERE id = $1; EXECUTE p(1); DEALLOCATE p",
        "PREPARE w AS INSERT INTO t (id) VALUES (?); EXECUTE w(2000); EXECUTE w(2001)",
        "PREPARE named AS SELECT $a::INT + $b::INT; EXECUTE named(a := 1, b := 2)",
        "VACUUM",
        "VACUUM ANALYZE",
        "VACUUM t",
        "ANALYZE",
        "SET VARIABLE x = (SELECT max(id) FROM t); SELECT getvariable('x'); RESET VARIABLE x",
    ];
    all_work(&bench().engine, &cases).await;
}

const SETUP: &str = "CREATE TABLE t AS SELECT i, i % 3 AS g, 'n' || i AS s, TIMESTAMP '2024-01-01' + to_days(i::INT) AS ts \
    FROM range(50) r(i); CREATE TABLE prices AS SELECT i * 10 AS i, i AS p FROM range(5) r(i)";

const QUERIES: [&str; 77] = [
    "SELECT 1",
    "VALUES (1, 'a'), (2, 'b')",
    "FROM t",
    "FROM t SELECT i WHERE g = 1",
    "SELECT * EXCLUDE (g) REPLACE (i + 1 AS i) RENAME (s AS text) FROM t",
    "SELECT COLUMNS('i|g') FROM t",
    "SELECT DISTINCT ON (g) g, i FROM t ORDER BY g, i DESC",
    "SELECT g, sum(i) FROM t GROUP BY ALL HAVING sum(i) > 0 ORDER BY ALL",
    "SELECT g, s, count(*), grouping(g, s) FROM t GROUP BY GROUPING SETS ((g), (s), ())",
    "SELECT g, count(*) FROM t GROUP BY CUBE (g, s)",
    "SELECT g, count(*) FILTER (i > 3) FROM t GROUP BY ROLLUP (g)",
    "SELECT i, lag(i) OVER w, sum(i) OVER (PARTITION BY g ORDER BY i ROWS BETWEEN 2 PRECEDING AND CURRENT ROW EXCLUDE TIES) \
     FROM t WINDOW w AS (ORDER BY i) QUALIFY row_number() OVER w < 10",
    "SELECT rank() OVER (ORDER BY g), dense_rank() OVER (ORDER BY g), ntile(3) OVER (ORDER BY i), first_value(i) OVER (ORDER BY i) FROM t",
    "SELECT * FROM t JOIN prices USING (i)",
    "SELECT * FROM t NATURAL JOIN prices",
    "SELECT * FROM t LEFT JOIN prices ON t.i = prices.i AND t.g > 1",
    "SELECT * FROM t FULL OUTER JOIN prices ON t.i = prices.i",
    "SELECT * FROM t SEMI JOIN prices USING (i)",
    "SELECT * FROM t ANTI JOIN prices USING (i)",
    "SELECT * FROM t CROSS JOIN prices",
    "SELECT * FROM t POSITIONAL JOIN prices",
    "SELECT * FROM t JOIN prices ON t.i < prices.i AND t.g > prices.p",
    "SELECT t.i, p FROM t ASOF JOIN prices ON t.i >= prices.i",
    "SELECT t.i, p FROM t ASOF LEFT JOIN prices USING (i)",
    "SELECT * FROM t, LATERAL (SELECT t.i + 1 AS j)",
    "SELECT i, (SELECT max(p) FROM prices WHERE prices.i <= t.i) FROM t",
    "SELECT * FROM t WHERE EXISTS (FROM prices WHERE prices.i = t.i) AND i IN (SELECT i FROM prices) AND i >= ALL (SELECT 0)",
    "WITH RECURSIVE f(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM f WHERE n < 10) SELECT sum(n) FROM f",
    "WITH RECURSIVE f(k, n) USING KEY (k) AS (SELECT 1, 0 UNION SELECT k, n + 1 FROM f WHERE n < 10) FROM f",
    "WITH a AS MATERIALIZED (FROM t), b AS NOT MATERIALIZED (FROM a) SELECT count(*) FROM a, b",
    "PIVOT t ON g USING sum(i)",
    "PIVOT t ON g IN (0, 1) USING sum(i), count(*) GROUP BY s",
    "FROM t PIVOT (sum(i) FOR g IN (0, 1, 2))",
    "UNPIVOT (SELECT i, g FROM t) ON i, g INTO NAME n VALUE v",
    "FROM (SELECT i, g FROM t) UNPIVOT (v FOR n IN (i, g))",
    "SELECT i FROM t UNION SELECT p FROM prices",
    "SELECT i FROM t UNION ALL BY NAME SELECT i, p FROM prices",
    "SELECT i FROM t EXCEPT ALL SELECT i FROM prices",
    "SELECT i FROM t INTERSECT SELECT i FROM prices",
    "SELECT * FROM t USING SAMPLE 10 ROWS",
    "SELECT * FROM t TABLESAMPLE reservoir(20%)",
    "SELECT * FROM t ORDER BY i DESC NULLS LAST LIMIT 3 OFFSET 2",
    "SELECT * FROM t LIMIT 10%",
    "SELECT unnest([1, 2, 3]), unnest({a: 1, b: 2}, recursive := true)",
    "SELECT * FROM unnest([1, 2]) WITH ORDINALITY",
    "SELECT * FROM range(3), generate_series(1, 3), repeat('x', 2)",
    "SELECT [x + 1 FOR x IN [1, 2, 3] IF x > 1], list_transform([1, 2], lambda x: x * 2), list_filter([1, 2], lambda x: x > 1), \
     list_reduce([1, 2], lambda a, b: a + b)",
    "SELECT array_agg(i ORDER BY i DESC), list(s), string_agg(s, ','), histogram(g), mode(g), median(i), quantile_cont(i, 0.5), \
     approx_count_distinct(i), arg_max(s, i), bool_and(i > 0), stddev(i), corr(i, g) FROM t",
    "SELECT '{\"a\": [1, {\"b\": 2}]}'::JSON -> 'a' ->> 0, json_extract('{\"a\": 1}', '$.a'), json_object('a', 1), \
     to_json({a: 1}), json_group_array(i), from_json('{\"a\": 1}', '{\"a\": \"INT\"}') FROM t",
    "SELECT * FROM json_each('[1, 2]')",
    "SELECT strftime(ts, '%Y'), date_trunc('month', ts), ts + INTERVAL 1 DAY, extract(epoch FROM ts), age(ts), ts::DATE FROM t",
    "SET TimeZone = 'Europe/Berlin'; SELECT now(), TIMESTAMPTZ '2024-07-01 00:00:00+00'::VARCHAR, ts AT TIME ZONE 'UTC' FROM t",
    "SELECT * FROM pg_timezone_names()",
    "SELECT 'b' COLLATE NOCASE = 'B', 'ä' COLLATE de < 'b'",
    "SELECT regexp_replace('abc', 'b', 'x'), regexp_extract('a1', '\\d'), 'abc' LIKE 'a%', 'abc' SIMILAR TO 'a.*', s ILIKE 'N%' FROM t",
    "SELECT CASE WHEN i > 1 THEN 'x' ELSE 'y' END, coalesce(NULL, i), nullif(i, 1), if(i > 1, 1, 2), i BETWEEN 1 AND 2 FROM t",
    "SELECT CAST('1' AS INT), TRY_CAST('x' AS INT), 170141183460469231731687303715884105727::HUGEINT, 1.5::DECIMAL(18, 3), uuid(), \
     '\\xAA'::BLOB, '101'::BIT, INTERVAL '1' YEAR, NULL",
    "SELECT s.* FROM (SELECT {a: 1, b: [1]} AS s)",
    "SELECT hash(i), md5(s), sha256(s), base64(s::BLOB), random() >= 0, gen_random_uuid() FROM t",
    "SUMMARIZE t",
    "SUMMARIZE SELECT i FROM t",
    "DESCRIBE t",
    "DESCRIBE SELECT i FROM t",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "SHOW DATABASES",
    "SHOW t",
    "SELECT * FROM information_schema.tables, information_schema.columns, information_schema.schemata",
    "FROM duckdb_tables(); FROM duckdb_columns(); FROM duckdb_views(); FROM duckdb_constraints(); FROM duckdb_indexes(); \
     FROM duckdb_functions(); FROM duckdb_types(); FROM duckdb_schemas(); FROM duckdb_sequences(); FROM duckdb_databases()",
    "SELECT * FROM pg_catalog.pg_class; SELECT * FROM pg_catalog.pg_attribute; SELECT * FROM pg_catalog.pg_namespace; \
     SELECT * FROM pg_catalog.pg_type; FROM sqlite_master",
    "PRAGMA table_info('t'); PRAGMA version; PRAGMA database_list; PRAGMA show_tables; PRAGMA storage_info('t'); PRAGMA database_size",
    "EXPLAIN SELECT * FROM t",
    "EXPLAIN ANALYZE SELECT count(*) FROM t",
    "EXPLAIN (FORMAT json) SELECT * FROM t",
    "SELECT current_database(), current_schema(), current_user, version(), current_setting('TimeZone'), pg_typeof(1), txid_current() > 0",
    "FROM query('SELECT 42'); FROM query_table('t')",
    "SET default_null_order = 'nulls_first'; SET integer_division = true; SELECT 3 / 2; RESET integer_division",
];

#[tokio::test]
async fn queries_of_every_kind_are_answered() {
    let bench = bench();
    run(&bench.engine, SETUP).await.unwrap();
    all_work(&bench.engine, &QUERIES).await;
}

/// Queries that only read work for those who may only read.
#[tokio::test]
async fn queries_of_readers() {
    let bench = bench();
    run(&bench.engine, SETUP).await.unwrap();
    let mut failed = Vec::new();
    for sql in QUERIES {
        if let Err(error) = run_as(&bench.engine, sql, Role::ReadOnly).await {
            failed.push(format!("{sql}\n      {error:?}"));
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}
