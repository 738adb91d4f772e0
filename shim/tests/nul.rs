//! NUL bytes: DuckDB's parser reads a text up to the first one, so SQL has none; in values they are data.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use arrow_array::cast::AsArray;
use roost_duckdb::{Connection, Database, EngineError, ErrorKind, Value};
use std::sync::Arc;
use support::{NoFiles, Recorder, in_memory, number, query};

#[test]
fn sql_with_a_nul_byte_runs_nothing() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t AS FROM range(9) r(i)").unwrap();
    for (sql, position) in [
        ("DELETE FROM t\0 WHERE i = 3", 13),
        ("DELETE FROM t; \0", 15),
        ("DELETE FROM t WHERE i = 3 -- \0", 29),
        ("DELETE FROM t WHERE 'a\0' = 'a'", 22),
        ("DELETE FROM t; SELECT 1 AS \"a\0b\"", 29),
        ("\0DELETE FROM t", 0),
        ("\0", 0),
    ] {
        let error = query(&mut client, sql).expect_err(sql);
        assert_eq!((error.kind, error.position), (ErrorKind::Parser, Some(position)), "{sql:?}: {error}");
        assert!(error.message.contains("NUL"), "{error}");
    }
    assert_eq!(number(&mut client, "SELECT count(*) FROM t"), 9);
}

#[test]
fn sql_made_from_values_with_a_nul_byte_runs_nothing() {
    let (_database, _guard, mut client) = in_memory();
    query(
        &mut client,
        "CREATE TABLE t AS FROM range(9) r(i); SET VARIABLE cut = 'FROM t' || chr(0) || ' WHERE i = 3'",
    )
    .unwrap();
    for sql in [
        "FROM query('FROM t' || chr(0) || ' WHERE i = 3')",
        "FROM query(getvariable('cut'))",
        "FROM query_table('t' || chr(0) || 'u')",
        "FROM query_table(['t' || chr(0) || 'u', 't'])",
    ] {
        let error = query(&mut client, sql).expect_err(sql);
        assert!(error.message.contains("NUL"), "{sql}: {error}");
    }
    assert_eq!(number(&mut client, "SELECT count(*) FROM query('FROM t WHERE i = 3')"), 1);
    assert_eq!(number(&mut client, "SELECT count(*) FROM query_table('t')"), 9);
    assert_eq!(number(&mut client, "SELECT count(*) FROM query_table(['t', 't'])"), 18);
}

#[test]
fn names_and_settings_with_a_nul_byte_are_refused() {
    let guard = Recorder::with(|_, _| Ok(()));
    for setting in [("threads\0", "1"), ("threads", "1\0")] {
        let error = Database::open_in_memory(&[setting], Arc::new(NoFiles), guard.clone()).err().unwrap();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{error}");
    }
    let (_database, _guard, mut client) = in_memory();
    assert_eq!(client.use_database("memory\0").unwrap_err().kind, ErrorKind::InvalidInput);
    assert_eq!(number(&mut client, "SELECT 1"), 1);
}

/// Runs one statement with texts as its parameters; the first value of its result.
fn with_texts(client: &mut Connection, sql: &str, texts: &[&str]) -> Result<Option<String>, EngineError> {
    let statement = client.extract(sql)?.remove(0);
    let mut prepared = client.prepare(statement)?;
    for (index, text) in texts.iter().enumerate() {
        prepared.bind(index + 1, &Value::Text((*text).into()))?;
    }
    let mut stream = prepared.execute_stream()?;
    let mut first = None;
    while let Some(batch) = stream.next()? {
        first = first.or_else(|| Some(batch.column(0).as_string_opt::<i32>()?.value(0).to_owned()));
    }
    Ok(first)
}

#[test]
fn values_with_a_nul_byte_are_data() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t (v VARCHAR PRIMARY KEY)").unwrap();
    for text in ["a", "a\0", "a\0b", "a\0c", "\0"] {
        with_texts(&mut client, "INSERT INTO t VALUES (?)", &[text]).unwrap();
    }
    assert!(with_texts(&mut client, "INSERT INTO t VALUES (?)", &["a\0b"]).is_err(), "a duplicate");
    assert_eq!(number(&mut client, "SELECT count(*) FROM t"), 5);
    let mut ask = |sql: &str, texts: &[&str]| with_texts(&mut client, sql, texts);
    assert_eq!(ask("SELECT v FROM t WHERE v = ?", &["a\0b"]).unwrap().as_deref(), Some("a\0b"));
    assert_eq!(
        ask("SELECT count(*)::VARCHAR FROM t WHERE v LIKE ?", &["a\0%"]).unwrap().as_deref(),
        Some("3")
    );
    assert_eq!(ask("SELECT length(?)::VARCHAR", &["a\0b"]).unwrap().as_deref(), Some("3"));
    assert_eq!(ask("DELETE FROM t WHERE v = ? RETURNING v", &["a\0"]).unwrap().as_deref(), Some("a\0"));
    assert_eq!(
        ask("SELECT string_agg(hex(v), ',' ORDER BY v) FROM t", &[]).unwrap().as_deref(),
        Some("00,61,610062,610063")
    );
    // Whatever a cast makes of what follows a value (a DATE passes over it), a NUL byte is no end.
    for (sql, text) in [
        ("SELECT ?::INT::VARCHAR", "3\x004"),
        ("SELECT ?::INT::VARCHAR", "3\0"),
        ("SELECT ?::DOUBLE::VARCHAR", "3.5\x004"),
        ("SELECT ?::DECIMAL(9, 2)::VARCHAR", "3.5\0"),
        ("SELECT ?::HUGEINT::VARCHAR", "3\x004"),
        ("SELECT ?::BOOLEAN::VARCHAR", "true\0"),
        ("SELECT ?::DATE::VARCHAR", "2024-01-01\x004"),
        ("SELECT ?::TIMESTAMP::VARCHAR", "2024-01-01 00:00:00\0"),
        ("SELECT ?::TIMESTAMPTZ::VARCHAR", "2024-01-01 00:00:00+00\0"),
        ("SELECT ?::TIME::VARCHAR", "00:00:00\0"),
        ("SELECT ?::INTERVAL::VARCHAR", "1 day\x002 hours"),
        ("SELECT ?::UUID::VARCHAR", "02ba3590-5de6-4765-bfa4-a742fbc6321a\0"),
        ("SELECT ?::INT[]::VARCHAR", "[1]\0"),
        ("SELECT ?::JSON::VARCHAR", "[1]\x002"),
        ("SELECT ?::BLOB::VARCHAR", "a\0b"),
    ] {
        let other = text.replace('\0', "~");
        let (cast, expected) = (ask(sql, &[text]), ask(sql, &[&other]));
        let same = cast.as_ref().ok().map(|cast| cast.clone().map(|cast| cast.replace("\\x00", "~")));
        assert_eq!(same, expected.ok(), "{sql} {text:?}: {cast:?}");
    }
}

/// Arrow's names end at a NUL byte; ours do not.
#[test]
fn column_names_with_a_nul_byte_stay_whole() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "CREATE TABLE t AS SELECT 'a' || chr(0) || i AS k FROM range(2) r(i)").unwrap();
    query(&mut client, "CREATE TABLE p AS PIVOT t ON k USING count(*)").unwrap();
    let statement = client.extract("FROM p").unwrap().remove(0);
    let stream = client.prepare(statement).unwrap().execute_stream().unwrap();
    let names: Vec<_> = stream.columns().iter().map(|column| column.name.clone()).collect();
    let fields: Vec<_> = stream.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["a\x000", "a\x001"]);
    assert_eq!(fields, names);
}
