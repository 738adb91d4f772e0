//! A database attached through a `Vfs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
mod support;

use roost_duckdb::interlock::{Access, Interlock, InterlockedVfs};
use roost_duckdb::{Connection, Database, ErrorKind, Trust, Vfs, VfsError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{FolderVfs, Log, Recorder, number, query};

const SETTINGS: &str = "SET checkpoint_threshold='1TB'; SET wal_autocheckpoint_entries=0;
    SET auto_checkpoint_skip_wal_threshold=18446744073709551615; PRAGMA disable_checkpoint_on_shutdown";

fn open(vfs: Arc<dyn Vfs>) -> (Database, Connection) {
    let database = Database::open_in_memory(&[], vfs, Recorder::allow()).unwrap();
    let mut own = database.connect(Trust::Own).unwrap();
    own.run(SETTINGS).unwrap();
    (database, own)
}

fn attach(vfs: FolderVfs) -> (Database, Connection) {
    let (database, mut own) = open(Arc::new(vfs));
    own.run("ATTACH 'roost://main' AS acme (TYPE duckdb); USE acme").unwrap();
    (database, own)
}

/// As a runtime attaches: behind the interlock.
fn attach_interlocked(folder: &Path) -> (Database, Connection, Arc<Interlock>) {
    let interlock = Interlock::new("roost://main", Access::ReadWrite);
    let vfs = InterlockedVfs::new(Arc::clone(&interlock), Arc::new(FolderVfs::new(folder)));
    let (database, mut own) = open(Arc::new(vfs));
    interlock.attaching().unwrap();
    own.run("ATTACH 'roost://main' AS acme (TYPE duckdb)").unwrap();
    interlock.attached().unwrap();
    own.run("USE acme").unwrap();
    (database, own, interlock)
}

fn calls(log: &Log) -> Vec<String> {
    std::mem::take(&mut *log.lock().unwrap())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn data_survives_reopening_and_lives_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let vfs = FolderVfs::new(folder.path());
    let log = Arc::clone(&vfs.log);
    let (database, mut own) = attach(vfs);
    calls(&log);
    own.run(
        "CREATE TABLE t(i BIGINT, s VARCHAR); INSERT INTO t SELECT range, 'v' || range FROM range(300000)",
    )
    .unwrap();
    let written = calls(&log);
    for call in ["append main.wal", "sync main.wal", "write main", "sync main"] {
        assert!(written.iter().any(|seen| seen == call), "{call} came by");
    }
    own.run("CHECKPOINT acme").unwrap();
    let checkpoint = calls(&log);
    assert_eq!(checkpoint.last().map(String::as_str), Some("remove main.wal"));
    own.run("INSERT INTO t VALUES (-1, 'last')").unwrap();
    assert_eq!(names(folder.path()), ["main", "main.wal"]);
    drop((own, database));

    let vfs = FolderVfs::new(folder.path());
    let log = Arc::clone(&vfs.log);
    let (_database, mut own) = attach(vfs);
    assert!(calls(&log).iter().any(|call| call == "read main.wal"), "the WAL was replayed");
    assert_eq!(number(&mut own, "SELECT count(*) FROM t"), 300_001);
    assert_eq!(number(&mut own, "SELECT count(*) FROM t WHERE s = 'last'"), 1);
    assert!(!Path::new("roost:").exists(), "no local file took its place");
    assert!(!names(Path::new(".")).iter().any(|name| name.starts_with("main")));
}

#[test]
fn the_interlock_lets_the_storage_manager_through() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let (_database, mut own, interlock) = attach_interlocked(folder.path());
        own.run("CREATE TABLE IF NOT EXISTS t(i BIGINT); INSERT INTO t SELECT range FROM range(200000)")
            .unwrap();
        own.run("BEGIN; INSERT INTO t VALUES (1); ROLLBACK").unwrap();
        let window = interlock.checkpoint().unwrap();
        own.run("CHECKPOINT acme").unwrap();
        drop(window);
        own.run("INSERT INTO t VALUES (7)").unwrap();
        assert_eq!(number(&mut own, "SELECT count(*) FROM t"), (round + 1) * 200_001);
    }
}

#[test]
fn the_interlock_stops_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let (database, mut own, _interlock) = attach_interlocked(folder.path());
    own.run("CREATE TABLE t AS SELECT 1 AS i").unwrap();
    let before = std::fs::read(folder.path().join("main")).unwrap();
    let mut client = database.connect(Trust::Client).unwrap();
    for sql in [
        "COPY acme.t TO 'roost://main' (USE_TMP_FILE false)",
        "COPY acme.t TO 'roost://main.wal' (USE_TMP_FILE false)",
        "COPY acme.t TO 'roost://other.parquet'",
        "COPY acme.t FROM 'roost://main.wal'",
        "FROM read_text('roost://main')",
        "FROM read_blob('roost://*')",
        "FROM read_csv('roost://main.wal')",
        "FROM read_parquet('roost://main')",
        "FROM 'roost://main.csv'",
        "FROM glob('roost://**')",
        "EXPORT DATABASE acme TO 'roost://folder'",
        "IMPORT DATABASE 'roost://main'",
    ] {
        let error = query(&mut client, sql).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permission, "{sql}: {error}");
        assert!(error.message.contains("roost://"), "{sql}: {error}");
    }
    // A second ATTACH is stopped by DuckDB itself, or by the interlock when the first is not known to it.
    assert!(query(&mut client, "ATTACH 'roost://main' AS twin").is_err());
    assert!(query(&mut client, "ATTACH 'roost://other' AS twin (TYPE duckdb)").is_err());
    assert_eq!(std::fs::read(folder.path().join("main")).unwrap(), before);
    assert_eq!(names(folder.path()), ["main", "main.wal"]);
    assert!(database.invalidated().is_none());
    assert_eq!(number(&mut own, "SELECT i FROM acme.t"), 1);
}

#[test]
fn a_checkpoint_without_a_window_invalidates_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let (database, mut own, _interlock) = attach_interlocked(folder.path());
    own.run("CREATE TABLE t AS SELECT 1 AS i").unwrap();
    let error = own.run("CHECKPOINT acme").unwrap_err();
    // DuckDB reports any failed checkpoint as an IO error: only `invalidated` tells.
    assert_eq!(error.kind, ErrorKind::Io, "{error}");
    assert!(database.invalidated().is_some_and(|reason| reason.contains("outside of our checkpoint")));
    drop((own, database));
    // The header and the WAL are as they were: nothing is lost.
    let (_database, mut own, _interlock) = attach_interlocked(folder.path());
    assert_eq!(number(&mut own, "SELECT i FROM t"), 1);
}

#[test]
fn an_attach_that_went_elsewhere_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let interlock = Interlock::new("roost://main", Access::ReadWrite);
    let vfs = InterlockedVfs::new(Arc::clone(&interlock), Arc::new(FolderVfs::new(folder.path())));
    let (_database, mut own) = open(Arc::new(vfs));
    interlock.attaching().unwrap();
    own.run(&format!("ATTACH '{}/local' AS acme", folder.path().display())).unwrap();
    assert!(interlock.attached().is_err());
}

#[test]
fn errors_of_files_surface_as_what_they_are() {
    for (failure, expected) in [
        (VfsError::io("disk is full"), ErrorKind::Io),
        (VfsError::refused("not now"), ErrorKind::Permission),
        (VfsError::fatal("the bucket moved on"), ErrorKind::Fatal),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (armed, given) = (Arc::new(AtomicBool::new(false)), failure.clone());
        let trap = Arc::clone(&armed);
        let vfs = FolderVfs::with_trap(
            folder.path(),
            Arc::new(move |call, name| {
                let hit = trap.load(Ordering::SeqCst) && call == "read" && name == "main";
                if hit { Err(given.clone()) } else { Ok(()) }
            }),
        );
        let (_database, mut own) = attach(vfs);
        own.run("CREATE TABLE t AS SELECT hash(range) AS i FROM range(500000); CHECKPOINT acme").unwrap();
        own.run("USE memory; DETACH acme; ATTACH 'roost://main' AS acme (TYPE duckdb)").unwrap();
        armed.store(true, Ordering::SeqCst);
        let error = own.run("SELECT sum(i % 7) FROM acme.t").unwrap_err();
        assert_eq!(error.kind, expected, "{error}");
        assert!(error.message.contains(&failure.message), "{error}");
    }
}

#[test]
fn a_panic_in_a_file_call_is_a_fatal_error_and_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    let trap = Arc::clone(&armed);
    let vfs = FolderVfs::with_trap(
        folder.path(),
        Arc::new(move |call, name| {
            assert!(!(trap.load(Ordering::SeqCst) && call == "append" && name == "main.wal"), "injected");
            Ok(())
        }),
    );
    let (database, mut own) = attach(vfs);
    own.run("CREATE TABLE t(i BIGINT)").unwrap();
    armed.store(true, Ordering::SeqCst);
    let error = own.run("INSERT INTO t VALUES (1)").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Fatal, "{error}");
    assert!(error.message.contains("injected"), "{error}");
    assert!(database.invalidated().is_some_and(|reason| reason.contains("injected")));
}

#[test]
fn any_doubt_about_existence_stops_the_attach() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.wal"), b"precious").unwrap();
    let vfs = FolderVfs::with_trap(
        folder.path(),
        Arc::new(|call, _| if call == "exists" { Err(VfsError::io("cannot tell")) } else { Ok(()) }),
    );
    let (_database, mut own) = open(Arc::new(vfs));
    let error = own.run("ATTACH 'roost://main' AS acme (TYPE duckdb)").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Io, "{error}");
    assert_eq!(std::fs::read(folder.path().join("main.wal")).unwrap(), b"precious");
}
