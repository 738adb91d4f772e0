//! NULL, minimum, maximum and nested values of every type come through Arrow without loss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, RecordBatch};
use roost_duckdb::ErrorKind;
use std::collections::BTreeSet;
use support::{in_memory, query};

#[test]
fn every_type_comes_through() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "SET TimeZone='Asia/Kolkata'").unwrap();
    let statement = client.extract("FROM test_all_types()").unwrap().remove(0);
    let mut stream = client.prepare(statement).unwrap().execute_stream().unwrap();
    let columns = stream.columns().to_vec();
    let batch = stream.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 3);
    for (at, column) in columns.iter().enumerate() {
        let array = batch.column(at);
        let nulls = array.logical_nulls().unwrap();
        assert!(nulls.is_null(2), "{} keeps NULL", column.name);
        assert!(nulls.is_valid(0) && nulls.is_valid(1), "{} keeps minimum and maximum", column.name);
    }
    let covered: BTreeSet<String> = columns
        .iter()
        .map(|column| column.logical_type.split(['(', '[']).next().unwrap().to_string())
        .collect();
    let sql = "SELECT DISTINCT logical_type FROM duckdb_types() WHERE database_name = 'system'
        AND logical_type NOT IN ('NULL', 'ANY') ORDER BY 1";
    let known = strings(&query(&mut client, sql).unwrap());
    let missing: Vec<_> = known.iter().filter(|name| !covered.contains(*name)).collect();
    for name in missing {
        single(&mut client, name);
    }
}

/// One value of a type that `test_all_types` has not.
fn single(client: &mut roost_duckdb::Connection, name: &str) {
    let sql = match name {
        "TIMESTAMP_NS" => "SELECT '2262-04-11 23:47:16.854775807'::TIMESTAMP_NS",
        "TIME_NS" => "SELECT '23:59:59.999999999'::TIME_NS",
        "VARIANT" => "SELECT 42::VARIANT",
        "GEOMETRY" => "SELECT 'POINT (1 2)'::GEOMETRY",
        "JSON" => "SELECT '{}'::JSON",
        "MAP" => "SELECT MAP {'a': 1}",
        "UNION" => "SELECT union_value(a := 1)",
        "ARRAY" => "SELECT [1, 2]::INTEGER[2]",
        "TYPE" => "SELECT get_type(1)",
        "LIST" => "SELECT [1]",
        "STRUCT" => "SELECT {'a': 1}",
        "ENUM" => "SELECT 'a'::ENUM('a')",
        other => panic!("no value for {other}"),
    };
    match query(client, sql) {
        Ok(batches) => assert_eq!(batches[0].column(0).null_count(), 0, "{name}"),
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn what_arrow_cannot_hold_comes_as_text() {
    let (_database, _guard, mut client) = in_memory();
    let statement =
        client.extract("SELECT 42::VARIANT AS v, [{'a': 'x'::VARIANT}] AS n, 7 AS i").unwrap().remove(0);
    let mut stream = client.prepare(statement).unwrap().execute_stream().unwrap();
    assert_eq!(stream.columns()[0].logical_type, "VARIANT");
    let batch = stream.next().unwrap().unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "42");
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "[{'a': x}]");
    assert_eq!(batch.column(2).as_primitive::<Int32Type>().value(0), 7);
}

#[test]
fn an_interval_that_arrow_would_wrap_is_an_error() {
    let (_database, _guard, mut client) = in_memory();
    let most = "to_microseconds(9223372036854775)";
    for sql in [format!("SELECT {most}"), format!("SELECT [{{'a': {most}}}]"), "SELECT NULL::INTERVAL".into()]
    {
        query(&mut client, &sql).unwrap();
    }
    let over = "to_microseconds(9223372036854776)";
    for sql in
        [format!("SELECT {over}"), format!("SELECT [{{'a': {over}}}]"), format!("SELECT -({over} + {over})")]
    {
        assert_eq!(query(&mut client, &sql).unwrap_err().kind, ErrorKind::OutOfRange, "{sql}");
    }
}

#[test]
fn a_session_cannot_change_what_the_bytes_mean() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "SET arrow_large_buffer_size=true; SET arrow_lossless_conversion=false").unwrap();
    query(&mut client, "SET produce_arrow_string_view=true; SET arrow_output_list_view=true").unwrap();
    let batches =
        query(&mut client, "SELECT 'a', [1], 340282366920938463463374607431768211455::UHUGEINT").unwrap();
    let types: Vec<String> =
        batches[0].columns().iter().map(|column| column.data_type().to_string()).collect();
    assert_eq!(types, ["Utf8", "List(Int32, field: 'l')", "FixedSizeBinary(16)"]);
    assert_eq!(batches[0].column(2).as_fixed_size_binary().value(0), [255; 16]);
}

fn strings(batches: &[RecordBatch]) -> Vec<String> {
    batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_string::<i32>()
                .iter()
                .map(|text| text.unwrap().to_string())
                .collect::<Vec<_>>()
        })
        .collect()
}
