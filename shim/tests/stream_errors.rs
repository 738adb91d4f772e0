//! Errors that a worker raises while the result is read: whoever comes first, worker or reader, it is the same error.
//! Left to itself DuckDB calls some of them an interrupt, in one run of ten or so; hence the many runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use roost_duckdb::{Database, EngineError, ErrorKind, Trust, VfsError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{FolderVfs, Recorder, in_memory, number, query};

const RUNS: usize = 200;
/// A database that met a FATAL error is used up, and opening one takes longer than the query.
const FATAL_RUNS: usize = 60;

/// Number of runs by their outcome.
type Outcomes = BTreeMap<String, usize>;

fn note(outcomes: &mut Outcomes, error: &EngineError) {
    *outcomes.entry(format!("{error} at {:?}", error.position)).or_default() += 1;
}

fn all(outcome: &str, runs: usize) -> Outcomes {
    [(outcome.to_string(), runs)].into()
}

#[test]
fn an_error_of_a_worker_is_never_an_interrupt() {
    let (_database, _guard, mut client) = in_memory();
    query(&mut client, "SET threads=4; CREATE TABLE t AS SELECT range AS i FROM range(400000)").unwrap();
    // The second is a stream without order, the last one with it: they have buffers of different kinds.
    for (ordered, sql, outcome) in [
        (
            true,
            "SELECT (CASE WHEN i = 200000 THEN 'x' ELSE '1' END)::INT FROM range(400000) r(i)",
            "Conversion Error: Could not convert string 'x' to INT32 at Some(51)",
        ),
        (
            false,
            "SELECT CASE WHEN i < 200000 THEN i ELSE error('boom') END::BIGINT FROM t",
            "Invalid Input Error: boom at None",
        ),
        (
            true,
            "SELECT CASE WHEN i < 200000 THEN i ELSE error('boom') END::BIGINT FROM t",
            "Invalid Input Error: boom at None",
        ),
    ] {
        query(&mut client, &format!("SET preserve_insertion_order = {ordered}")).unwrap();
        let mut outcomes = Outcomes::new();
        for _ in 0..RUNS {
            note(&mut outcomes, &query(&mut client, sql).unwrap_err());
            assert_eq!(number(&mut client, "SELECT 1"), 1, "the connection goes on");
        }
        assert_eq!(outcomes, all(outcome, RUNS), "{sql}");
    }
}

#[test]
fn a_fatal_error_of_a_worker_invalidates_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let open = |reads: Arc<AtomicUsize>| {
        let trap = Arc::new(move |call: &str, _: &str| {
            let left = reads.load(Ordering::SeqCst);
            if call == "read" && left > 0 && reads.fetch_sub(1, Ordering::SeqCst) == 1 {
                return Err(VfsError::fatal("the disk is gone"));
            }
            Ok(())
        });
        let vfs = Arc::new(FolderVfs::with_trap(folder.path(), trap));
        let database = Database::open_in_memory(&[("threads", "4")], vfs, Recorder::allow()).unwrap();
        let mut own = database.connect(Trust::Own).unwrap();
        own.run(
            "SET preserve_insertion_order = false; ATTACH 'roost://main' AS acme (TYPE duckdb); USE acme",
        )
        .unwrap();
        (database, own)
    };
    let (database, mut own) = open(Arc::default());
    own.run("CREATE TABLE t AS SELECT hash(range) AS h FROM range(1000000); CHECKPOINT").unwrap();
    drop((own, database));

    let mut outcomes = Outcomes::new();
    for _ in 0..FATAL_RUNS {
        let reads = Arc::<AtomicUsize>::default();
        let (database, mut own) = open(Arc::clone(&reads));
        reads.store(20, Ordering::SeqCst);
        let error = query(&mut own, "FROM t").unwrap_err();
        note(&mut outcomes, &error);
        assert_eq!(database.invalidated().is_some(), error.kind == ErrorKind::Fatal, "{error}");
    }
    assert_eq!(outcomes, all("FATAL Error: the disk is gone at None", FATAL_RUNS));
}
