//! A Parquet export restores to the same database.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, ExportError};
use std::fs;
use support::{bench_with, config, run, vfs};

const DATABASE: &str = r#"
CREATE SCHEMA "my s";
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SEQUENCE s START 3;
CREATE TABLE parent (id INT PRIMARY KEY, m mood, d DECIMAL(38, 9), ts TIMESTAMPTZ, h HUGEINT, l INT[], n STRUCT(a INT, b VARCHAR[]));
INSERT INTO parent SELECT i, CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'sad' END, i / 7, '2024-01-01 00:00:00+00', i, [i, NULL], {a: i, b: ['x']}
    FROM range(300000) r(i);
CREATE TABLE "Child""x" (id INT REFERENCES parent (id), g INT GENERATED ALWAYS AS (id * 2), v BIGINT DEFAULT nextval('s'), UNIQUE (v));
INSERT INTO "Child""x" (id) VALUES (1), (2);
CREATE TABLE "my s".t AS FROM range(5);
CREATE TABLE my_s_t (i INT);
CREATE TABLE "my s"."../x" (i INT);
CREATE MACRO plus_one(a) AS a + 1;
CREATE MACRO to_json(a) AS 'shadowed';
CREATE MACRO several(a) AS TABLE SELECT id FROM parent WHERE id < a;
CREATE VIEW v AS SELECT plus_one(id) AS z FROM parent;
CREATE VIEW "my s".w AS FROM v WHERE z < 10;
CREATE INDEX by_mood ON parent (m);
COMMENT ON TABLE parent IS 'it''s a table';
COMMENT ON COLUMN parent.id IS 'key';
COMMENT ON VIEW v IS 'view';
"#;

/// Queries that must give the same before the export and after its restore.
const CHECKS: [&str; 6] = [
    "SELECT count(*), sum(hash(p)::HUGEINT)::VARCHAR FROM parent p",
    "SELECT id, g, v FROM \"Child\"\"x\" ORDER BY id",
    "SELECT sum(z)::VARCHAR, (SELECT count(*) FROM \"my s\".w), (SELECT count(*) FROM several(7)), (SELECT count(*) FROM \"my s\".t) FROM v",
    "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE NOT internal ORDER BY ALL",
    "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
    "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
];

async fn facts(engine: &Engine) -> Vec<Vec<String>> {
    let mut facts = Vec::new();
    for check in CHECKS {
        facts.push(run(engine, check).await.unwrap());
    }
    facts
}

#[tokio::test]
async fn an_export_restores() {
    let spool = tempfile::tempdir().unwrap();
    let bench = bench_with(|config| config.export_directory = Some(spool.path().to_owned()));
    run(&bench.engine, DATABASE).await.unwrap();
    let expected = facts(&bench.engine).await;
    let out = spool.path().join("out");
    let summary = bench.engine.export_parquet(&out, |_| {}).await.unwrap();

    let names: Vec<_> =
        summary.tables.iter().map(|table| (table.schema.as_str(), table.name.as_str(), table.rows)).collect();
    for expected in [
        ("main", "parent", 300_000),
        ("main", "Child\"x", 2),
        ("my s", "t", 5),
        ("my s", "../x", 0),
        ("main", "my_s_t", 0),
    ] {
        assert!(names.contains(&expected), "{expected:?} is not in {names:?}");
    }
    let parent = summary.tables.iter().find(|table| table.name == "parent").unwrap();
    assert_eq!(
        (parent.keys[0].kind.as_str(), &parent.keys[0].columns),
        ("PRIMARY KEY", &vec!["id".to_owned()])
    );
    assert_eq!((parent.columns[0].logical_type.as_str(), parent.columns[0].nullable), ("INTEGER", false));
    for table in &summary.tables {
        let content = fs::read(out.join(&table.file)).unwrap();
        assert_eq!(table.bytes, content.len() as u64);
        assert_eq!(table.blake3, blake3::hash(&content).to_hex().to_string());
    }
    let mut files: Vec<_> =
        fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut known: Vec<_> =
        summary.tables.iter().map(|t| t.file.clone()).chain([summary.schema_file.clone()]).collect();
    known.sort();
    assert_eq!(files, known);

    // Restore with the engine's walls down: tenants cannot read files.
    let folder = tempfile::tempdir().unwrap();
    let walls = roost_engine::Walls::only(&[]);
    let restored = Engine::open_with_walls(config(folder.path()), vfs(folder.path()), &walls).unwrap();
    run(&restored, &fs::read_to_string(out.join("schema.sql")).unwrap()).await.unwrap();
    for table in &summary.tables {
        let name = format!("\"{}\".\"{}\"", table.schema, table.name.replace('"', "\"\""));
        let file = out.join(&table.file);
        run(&restored, &format!("COPY {name} FROM '{}' (FORMAT parquet)", file.display())).await.unwrap();
    }
    assert_eq!(facts(&restored).await, expected);
}

#[tokio::test]
async fn an_export_stays_in_its_directory() {
    let spool = tempfile::tempdir().unwrap();
    let bench = bench_with(|config| config.export_directory = Some(spool.path().join("allowed")));
    let outside = bench.engine.export_parquet(&spool.path().join("other"), |_| {}).await;
    assert!(matches!(outside, Err(ExportError::OutsideExportDirectory(_))));
    let serving = support::bench();
    let refused = serving.engine.export_parquet(spool.path(), |_| {}).await;
    assert!(matches!(refused, Err(ExportError::OutsideExportDirectory(_))));
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let summary = bench.engine.export_parquet(&spool.path().join("allowed/x"), |_| {}).await.unwrap();
    assert_eq!(summary.tables.len(), 1);
}

#[tokio::test]
async fn an_empty_database_exports() {
    let spool = tempfile::tempdir().unwrap();
    let bench = bench_with(|config| config.export_directory = Some(spool.path().to_owned()));
    let summary = bench.engine.export_parquet(&spool.path().join("out"), |_| {}).await.unwrap();
    assert!(summary.tables.is_empty());
}
