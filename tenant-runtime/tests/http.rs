//! The query API as a client meets it, over a real process.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use arrow_array::{cast::AsArray as _, types::Int64Type};
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;
use support::{Process, client, eventually};
use uuid::Uuid;

/// Fails after many rows have been sent: the last value does not cast.
const FAILS_HALF_WAY: &str =
    "select case when range = 299999 then 'x' else '1' end::int as n from range(300000)";
/// Runs until it is interrupted.
const ENDLESS: &str = "select count(*) from range(100000000) a, range(1000000) b where a.range * b.range = 7";

async fn get(process: &Process, id: Uuid) -> reqwest::Response {
    client().get(format!("{}/queries/{id}", process.url())).send().await.unwrap()
}

/// Posts in the background; the id names the query from the start.
fn post_in_background(
    process: &Process,
    body: &Value,
) -> (Uuid, tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>) {
    let id = Uuid::new_v4();
    let request =
        client().post(format!("{}/query", process.url())).header("roost-query-id", id.to_string()).json(body);
    (id, tokio::spawn(async move { request.send().await }))
}

async fn until_running(process: &Process, id: Uuid) {
    eventually("the query runs", async || (get(process, id).await.status() == 200).then_some(())).await;
}

async fn until_gone(process: &Process, id: Uuid) {
    eventually("the query is gone", async || (get(process, id).await.status() == 404).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_with_their_own_status() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["--max-sessions", "8"]);
    process.query("create table t(i int primary key)").await;
    for (body, status, code) in [
        (json!({"sql": "selec 1"}), 400, "invalid-sql"),
        (json!({"sql": "select * from missing"}), 400, "invalid-sql"),
        (json!({"sql": "select 1/0 + 'x'::int"}), 422, "query-failed"),
        (json!({"sql": "select * from read_text('/etc/passwd')"}), 403, "statement-not-allowed"),
        (json!({"sql": "begin; insert into t values (1)"}), 400, "transaction-left-open"),
        (json!({"sql": "insert into t values (1), (1)"}), 422, "query-failed"),
        (json!({"sql": "select ?; select 2", "parameters": [1]}), 400, "bad-request"),
        (json!({"sql": ENDLESS, "timeout": "300ms"}), 408, "statement-timeout"),
        (json!({"sql": "select 1", "timeout": "soon"}), 400, "bad-request"),
        (json!({"sql": "select 1", "unknown": 1}), 400, "bad-request"),
        (json!({"statement": "select 1"}), 400, "bad-request"),
    ] {
        let response = process.post(&body).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{body}");
        assert_eq!(response.status(), status, "{body}");
        let id = response.headers()["roost-query-id"].to_str().unwrap().to_owned();
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["code"], code, "{body}: {problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["query_id"], id);
        assert!(problem["sqlstate"].as_str().unwrap().len() == 5, "{problem}");
    }
    assert_eq!(process.query("select count(*) from t").await, json!([[0]]), "nothing of it was kept");
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let query = format!("{}/query", process.url());
    let post = |url: &str| client().post(url).json(&json!({"sql": "select 1"}));
    let elsewhere = process.url().replace("/demo", "/other");
    for (what, request, status) in [
        ("accept", post(&query).header("accept", "image/png"), 406),
        ("query id", post(&query).header("roost-query-id", "7"), 400),
        ("host", post(&query).header("host", "evil.example"), 403),
        ("origin", post(&query).header("origin", "https://evil.example"), 403),
        ("method", client().put(&query), 405),
        ("path", client().get(process.url()), 404),
        ("tenant", post(&format!("{elsewhere}/query")), 404),
        ("branch", post(&format!("{}/branches/dev/query", process.url())), 404),
        ("size", client().post(&query).body(vec![b' '; 17 << 20]), 413),
        ("body", client().post(&query).body("select 1"), 400),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{what}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{what}");
    }
    let main = format!("{}/branches/main/query", process.url());
    assert_eq!(post(&main).send().await.unwrap().status(), 200);
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_run_in_order_and_parameters_are_bound() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let rows = process
        .query("begin; create table t(i int); insert into t values (1), (2); commit; select sum(i) from t")
        .await;
    assert_eq!(rows, json!([["3"]]));
    let body = json!({"sql": "select ? + 1, ?::varchar", "parameters": [41, "x"]});
    assert_eq!(process.ask(body).await.1["rows"], json!([[42, "x"]]));
    let (_, changed) = process.ask(json!({"sql": "update t set i = i + 1"})).await;
    assert_eq!(changed["rowsChanged"], 2);
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_fails_half_way_is_never_taken_for_whole() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let ask = async |format: &str| {
        let response = process.post(&json!({"sql": FAILS_HALF_WAY, "format": format})).await.unwrap();
        assert_eq!(response.status(), 200, "{format}");
        response.bytes().await
    };

    let json: Value = serde_json::from_slice(&ask("json").await.unwrap()).unwrap();
    assert!(json["rows"].as_array().unwrap().len() > 1000);
    assert_eq!(json["error"]["code"], "query-failed");
    assert_eq!(json.get("complete"), None);

    let lines = String::from_utf8(ask("ndjson").await.unwrap().to_vec()).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "query-failed");
    assert!(lines.lines().count() > 1000);

    assert!(ask("csv").await.is_err(), "the transfer is cut");
    assert!(ask("arrow").await.is_err(), "the transfer is cut");
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_cancels_by_the_id_that_it_chose() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let (id, answer) = post_in_background(&process, &json!({"sql": ENDLESS}));
    until_running(&process, id).await;
    let twice = client()
        .post(format!("{}/query", process.url()))
        .header("roost-query-id", id.to_string())
        .json(&json!({"sql": "select 1"}))
        .send()
        .await
        .unwrap();
    assert_eq!(twice.status(), 409);
    let status: Value = get(&process, id).await.json().await.unwrap();
    assert_eq!(status["id"], id.to_string());
    let cancelled = client().delete(format!("{}/queries/{id}", process.url())).send().await.unwrap();
    assert_eq!(cancelled.status(), 204);
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.status(), 499);
    assert_eq!(answer.headers()["roost-query-id"], id.to_string());
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "cancelled");
    until_gone(&process, id).await;
    let again = client().delete(format!("{}/queries/{id}", process.url())).send().await.unwrap();
    assert_eq!(again.status(), 404);
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_its_query() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);

    let (id, answer) = post_in_background(&process, &json!({"sql": ENDLESS}));
    until_running(&process, id).await;
    answer.abort();
    until_gone(&process, id).await;

    // One that leaves in the middle of its rows, which would go on for ever.
    let sql = "select range from range(1000000000000)";
    let (id, answer) = post_in_background(&process, &json!({"sql": sql, "format": "ndjson"}));
    let mut rows = answer.await.unwrap().unwrap().bytes_stream();
    rows.next().await.unwrap().unwrap();
    until_running(&process, id).await;
    drop(rows);
    until_gone(&process, id).await;
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_to_repeat_what_is_committed_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    process.query("create table t(i int); create table log(i int); insert into t values (1)").await;
    let holder = format!("begin; update t set i = 2; {ENDLESS}");
    let (held, holding) = post_in_background(&process, &json!({"sql": holder}));
    until_running(&process, held).await;
    let insert = "insert into log values (1)";
    // The holder may not have come to its update yet.
    eventually("a conflict", async || {
        let (_, answer) = process.ask(json!({"sql": "update t set i = 3"})).await;
        (answer["code"] == "transaction-conflict").then_some(())
    })
    .await;
    for (sql, committed) in [
        (format!("begin; {insert}; update t set i = 3; commit"), None),
        (format!("{insert}; update t set i = 3"), Some(1)),
        (format!("begin; {insert}; commit; begin; update t set i = 3; commit"), Some(3)),
    ] {
        let (status, problem) = process.ask(json!({"sql": sql})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("transaction-conflict")), "{sql}: {problem}");
        assert_eq!(problem.get("committedStatements"), committed.map(|n| json!(n)).as_ref(), "{problem}");
        assert_eq!(problem["advice"], if committed.is_some() { "give-up" } else { "retry" }, "{problem}");
    }
    for (sql, status, code) in [
        (format!("{insert}; selec 1"), 400, "invalid-sql"),
        (format!("{insert}; from missing"), 400, "invalid-sql"),
        (format!("{insert}; select 'x'::int"), 422, "query-failed"),
        (format!("{insert}; begin; {insert}"), 400, "transaction-left-open"),
        (format!("{insert}; {ENDLESS}"), 408, "statement-timeout"),
        (format!("{insert}; from read_text('/etc/passwd')"), 403, "statement-not-allowed"),
    ] {
        let (told, problem) = process.ask(json!({"sql": sql, "timeout": "1s"})).await;
        assert_eq!((told, &problem["code"]), (status, &json!(code)), "{sql}: {problem}");
        // What cannot be parsed is refused before anything runs.
        let committed = (!sql.contains("selec 1")).then(|| json!(1));
        assert_eq!(problem.get("committedStatements"), committed.as_ref(), "{problem}");
        assert_eq!(problem["advice"], if committed.is_some() { "give-up" } else { "fix-input" }, "{problem}");
    }
    // In the middle of a body, too.
    let body = json!({"sql": format!("{insert}; {FAILS_HALF_WAY}")});
    let (status, answer) = process.ask(body).await;
    assert_eq!((status, &answer["error"]["committedStatements"]), (200, &json!(1)));
    assert_eq!(answer["error"]["advice"], "give-up");
    client().delete(format!("{}/queries/{held}", process.url())).send().await.unwrap();
    holding.await.unwrap().unwrap();
    assert_eq!(process.query("select count(*) from log").await, json!([[8]]));
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_query_that_a_drain_ends_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &[]);
    process.query("create table t(i int)").await;
    let read = post_in_background(&process, &json!({"sql": ENDLESS}));
    let write = post_in_background(&process, &json!({"sql": format!("insert into t values (1); {ENDLESS}")}));
    until_running(&process, read.0).await;
    until_running(&process, write.0).await;
    eventually("the insert is there", async || {
        (process.query("select count(*) from t").await == json!([[1]])).then_some(())
    })
    .await;
    process.signal("TERM");
    let answer = read.1.await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["advice"]), (&json!("draining"), &json!("retry")), "{problem}");
    let answer = write.1.await.unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (500, None));
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["advice"]), (&json!("draining"), &json!("give-up")), "{problem}");
    assert_eq!(problem["committedStatements"], 1, "{problem}");
    assert_eq!(process.wait(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_duckdb_would_not_read_to_its_end_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    process.query("create table t as select range i, range::varchar v from range(9)").await;
    let (status, problem) = process.ask(json!({"sql": "delete from t\u{0} where i = 3"})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid-sql")), "{problem}");
    assert_eq!((&problem["position"], &problem["advice"]), (&json!(13), &json!("fix-input")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("NUL"), "{problem}");
    // A value is data.
    let body = json!({"sql": "update t set v = ? where i = 3", "parameters": ["a\u{0}b"]});
    assert_eq!(process.ask(body).await.1["rowsChanged"], 1);
    let body = json!({"sql": "select v, length(v) from t where v = ?", "parameters": ["a\u{0}b"]});
    assert_eq!(process.ask(body).await.1["rows"], json!([["a\u{0}b", 3]]));
    assert_eq!(process.query("select count(*) from t").await, json!([[9]]));
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_statements_than_allowed_are_told_by_their_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    assert_eq!(process.query(&"select 1;".repeat(1000)).await, json!([[1]]));
    let (status, problem) = process.ask(json!({"sql": "create table t(i int);".repeat(1001)})).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too-many-statements")), "{problem}");
    assert_eq!(process.query("select count(*) from duckdb_tables()").await, json!([[0]]));
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_sessions_than_allowed_are_busy() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["--max-sessions", "2"]);
    let (first, one) = post_in_background(&process, &json!({"sql": ENDLESS}));
    let (second, two) = post_in_background(&process, &json!({"sql": ENDLESS}));
    until_running(&process, first).await;
    until_running(&process, second).await;
    let refused = eventually("busy", async || {
        let response = process.post(&json!({"sql": "select 1"})).await.unwrap();
        (response.status() == 503).then_some(response)
    })
    .await;
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "busy");
    for (id, answer) in [(first, one), (second, two)] {
        client().delete(format!("{}/queries/{id}", process.url())).send().await.unwrap();
        answer.await.unwrap().unwrap();
    }
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_has_the_memory_and_threads_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    let rows = process.query("select current_setting('memory_limit'), current_setting('threads')::int").await;
    assert_eq!(rows[0][0], "256.0 MiB");
    assert_eq!(rows[0][1], std::thread::available_parallelism().unwrap().get());
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "moves 4 GB; make test runs it"]
async fn a_reader_that_stops_costs_no_memory_and_gets_the_rest_intact() {
    const ROWS: u64 = 4_000_000;
    const ROOM: u64 = 64 << 20;
    /// While rows flow, the engine works within its own limit (256 MiB here); what it takes does not depend on how
    /// many rows there are.
    const FLOWING_ROOM: u64 = 160 << 20;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["--statement-timeout", "2h"]);
    process.query("select 42").await;
    let before = process.resident();
    // About a kilobyte a row.
    let sql = format!("select range as n, repeat('x', 1000) as filler from range({ROWS})");
    let response = reqwest::Client::builder()
        .timeout(Duration::from_mins(30))
        .build()
        .unwrap()
        .post(format!("{}/query", process.url()))
        .json(&json!({"sql": sql, "format": "arrow"}))
        .send()
        .await
        .unwrap();
    let mut body = response.bytes_stream();
    let first = body.next().await.unwrap().unwrap();
    // Nothing is read until the process has stopped making progress.
    let mut peak = 0;
    for _ in 0..100 {
        peak = peak.max(process.resident());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(peak < before + ROOM, "grew by {} MiB while the reader stood", (peak - before) >> 20);
    // Two pieces at a time go to the reader, which checks every row.
    let (pieces, arriving) = std::sync::mpsc::sync_channel::<Bytes>(2);
    let reader = std::thread::spawn(move || rows_in_order(Arriving { arriving, piece: Bytes::new() }));
    let (mut bytes, mut next) = (0_u64, Some(Ok(first)));
    while let Some(piece) = next {
        let piece = piece.unwrap();
        bytes += piece.len() as u64;
        tokio::task::block_in_place(|| pieces.send(piece)).unwrap();
        peak = peak.max(process.resident());
        next = body.next().await;
    }
    drop(pieces);
    assert_eq!(reader.join().unwrap(), ROWS);
    assert!(bytes > 4_000_000_000, "{bytes}");
    assert!(peak < before + FLOWING_ROOM, "grew by {} MiB", (peak - before) >> 20);
    process.stop();
}

/// Counts rows whose first column is the row's number.
fn rows_in_order(stream: impl std::io::Read) -> u64 {
    let mut count = 0;
    for batch in arrow_ipc::reader::StreamReader::try_new(stream, None).unwrap() {
        for n in batch.unwrap().column(0).as_primitive::<Int64Type>().values() {
            assert_eq!(u64::try_from(*n).unwrap(), count);
            count += 1;
        }
    }
    count
}

/// Pieces of a body as something to read from.
struct Arriving {
    arriving: std::sync::mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl std::io::Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.arriving.recv().unwrap_or_default();
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
