//! Every type of DuckDB in every format: minimum, maximum, NULL and nested values against golden files, and the
//! texts against DuckDB's own casts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use support::Process;
use tenant_runtime::encode::column::cell;

/// Minimum, maximum and NULL of every type, and what `test_all_types` lacks.
const ALL: &str = "
    select * exclude (bignum, geometry, medium_enum), bignum::varchar::bignum as bignum, geometry,
        [null, 9007199254740991, 9007199254740992]::bigint[] as bigint_limits,
        ['NaN', 'Infinity', '-0.0', null]::float[] as float_specials,
        '{\"a\": [1, null]}'::json as json,
        map {[1, 2]: {'h': -170141183460469231731687303715884105728, 't': true}} as map_of_nested,
        union_value(big := 170141183460469231731687303715884105727::hugeint) as union_of_hugeint,
        row(true, 'x') as unnamed,
        interval (-14) months - interval (3) days - interval (1) microsecond as negative_interval,
        [timetz '12:00:00+05:30', null] as timetz_list,
        ''::varchar as empty, 'say \"hi\",' || chr(10) || 'bye' as quoted
    from test_all_types()";

async fn bytes(process: &Process, sql: &str, format: &str) -> Vec<u8> {
    let response = process.post(&json!({"sql": sql, "format": format})).await.unwrap();
    assert_eq!(response.status(), 200, "{format}: {}", response.text().await.unwrap());
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);

    let json = String::from_utf8(bytes(&process, ALL, "json").await).unwrap();
    insta::assert_snapshot!("all_types.json", json);
    let json: Value = serde_json::from_str(&json).unwrap();
    insta::assert_snapshot!(
        "all_types.ndjson",
        String::from_utf8(bytes(&process, ALL, "ndjson").await).unwrap()
    );
    insta::assert_snapshot!("all_types.csv", String::from_utf8(bytes(&process, ALL, "csv").await).unwrap());

    let arrow = bytes(&process, ALL, "arrow").await;
    let batches: Vec<RecordBatch> =
        StreamReader::try_new(&arrow[..], None).unwrap().map(|batch| batch.unwrap()).collect();
    let schema = batches[0].schema();
    let fields: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{}: {} {:?}", field.name(), field.data_type(), sorted(field.metadata())))
        .collect();
    insta::assert_snapshot!("all_types.arrow", fields.join("\n"));
    // What Arrow carries, written as JSON, is what JSON carries.
    assert_eq!(rows_of(&batches), json["rows"]);
    process.stop();
}

fn sorted(metadata: &std::collections::HashMap<String, String>) -> std::collections::BTreeMap<&str, &str> {
    metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn rows_of(batches: &[RecordBatch]) -> Value {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        let cells: Vec<_> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| cell(field, column).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values = cells.iter().map(|cell| {
                let mut text = Vec::new();
                cell.write_json_or_null(row, &mut text);
                serde_json::from_slice::<Value>(&text).unwrap()
            });
            rows.push(Value::Array(values.collect()));
        }
    }
    Value::Array(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_type_of_duckdb_is_forgotten() {
    /// NULL arrives as INTEGER; the others are sent as their text (checked below).
    const WITHOUT_COLUMNS: [&str; 3] = ["NULL", "TYPE", "VARIANT"];
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let types = process.query("select distinct logical_type from duckdb_types()").await;
    let (_, all) = process.ask(json!({"sql": ALL})).await;
    let covered: BTreeSet<String> = all["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            let text = column["type"].as_str().unwrap();
            let head = text.split('(').next().unwrap();
            if text.ends_with("[]") {
                "LIST".into()
            } else if text.ends_with(']') {
                "ARRAY".into()
            } else {
                head.to_owned()
            }
        })
        .collect();
    for name in types.as_array().unwrap() {
        let name = name[0].as_str().unwrap();
        assert!(covered.contains(name) || WITHOUT_COLUMNS.contains(&name), "{name} is not covered");
    }
    let sql = "select 42::variant, {'a': [1, null]}::variant, get_type(1), null";
    assert_eq!(process.query(sql).await, json!([["42", "{'a': [1, NULL]}", "INTEGER", null]]));
    // What Arrow's interval cannot hold is an error, not another interval.
    let (status, problem) = process.ask(json!({"sql": "select to_microseconds(9223372036854775807)"})).await;
    assert_eq!((status, problem["error_type"].as_str()), (422, Some("Out of Range")), "{problem}");
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_duckdbs_own_and_can_be_cast_back() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    // timestamp_tz: DuckDB's own cast of the maximum is a millisecond off.
    for column in [
        "hugeint",
        "uhugeint",
        "date",
        "time",
        "timestamp",
        "timestamp_s",
        "timestamp_ms",
        "timestamp_ns",
        "time_tz",
        "time_ns",
        "dec_4_1",
        "dec_9_4",
        "dec_18_6",
        "dec38_10",
        "uuid",
        "interval",
        "bit",
        "small_enum",
    ] {
        let sql = format!("select \"{column}\", \"{column}\"::varchar from test_all_types()");
        for row in process.query(&sql).await.as_array().unwrap() {
            assert_eq!(row[0], row[1], "{column}");
        }
    }
    for value in [
        "date '0044-03-15 (BC)'",
        "timestamp '1969-12-31 23:59:59.999999'",
        "timestamp '0001-01-01 (BC) 00:00:00.1'",
        "timestamptz '2020-02-29 12:34:56.7+00'",
        "interval '1 month -1 day 00:00:00.5'",
        "(-1.5)::decimal(2,1)",
        "'-12345678901234567890123456789012345678901234567890'::bignum",
        "'0'::bignum",
    ] {
        let row = process.query(&format!("select {value}, ({value})::varchar")).await;
        assert_eq!(row[0][0], row[0][1], "{value}");
    }
    process.stop();
}
