//! Memory of a large result; alone in its process, so that what it measures is its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use support::{in_memory, number};

#[test]
fn a_large_result_is_made_while_it_is_read() {
    let (_database, _guard, mut client) = in_memory();
    let sql = "SELECT range, repeat('x', 1000) FROM range(4000000)";
    let statement = client.extract(sql).unwrap().remove(0);
    let mut prepared = client.prepare(statement).unwrap();
    assert!(prepared.streams());
    let before = resident();
    let mut stream = prepared.execute_stream().unwrap();
    let mut grown_at = |batches: usize| {
        for _ in 0..batches {
            assert!(stream.next().unwrap().unwrap().num_rows() <= 2048);
        }
        resident().saturating_sub(before) >> 20
    };
    let at_start = grown_at(5);
    assert!(at_start < 64, "a reader that stops early holds {at_start} MiB");
    let at_end = grown_at(1900);
    assert!(at_end < 192, "4 GB pass, {at_end} MiB stay");
    drop(stream);
    assert_eq!(number(&mut client, "SELECT 2"), 2, "a dropped stream frees the connection");
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
