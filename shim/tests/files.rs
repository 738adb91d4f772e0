//! A database attached through a `Vfs`.
mod support;

use roost_duckdb::{Connection, Database, ErrorKind, Trust, VfsError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{FolderVfs, Log, Recorder, Trap, number};

const SETTINGS: &str = "SET checkpoint_threshold='1TB'; SET wal_autocheckpoint_entries=0;
    SET auto_checkpoint_skip_wal_threshold=18446744073709551615; PRAGMA disable_checkpoint_on_shutdown";

fn attach(vfs: FolderVfs) -> (Database, Connection) {
    let database = Database::open_in_memory(&[], Arc::new(vfs), Recorder::allow()).unwrap();
    let mut own = database.connect(Trust::Own).unwrap();
    own.run(SETTINGS).unwrap();
    own.run("ATTACH 'roost://main' AS acme (TYPE duckdb)").unwrap();
    own.run("USE acme").unwrap();
    (database, own)
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
    println!("attach {:#?}", calls(&log));
    own.run("CREATE TABLE t(i BIGINT, s VARCHAR); INSERT INTO t SELECT range, 'v' || range FROM range(300000)").unwrap();
    let written = calls(&log);
    println!("insert {written:#?}");
    assert!(written.iter().any(|call| call == "append main.wal"), "the WAL came by");
    assert!(written.iter().any(|call| call == "write main"), "the bulk insert's blocks came by");
    own.run("CHECKPOINT acme").unwrap();
    let checkpoint = calls(&log);
    println!("checkpoint {checkpoint:#?}");
    assert!(checkpoint.iter().any(|call| call == "remove main.wal"));
    own.run("INSERT INTO t VALUES (-1, 'last')").unwrap();
    assert_eq!(names(folder.path()), ["main", "main.wal"]);
    drop((own, database));

    let (_database, mut own) = attach(FolderVfs::new(folder.path()));
    assert_eq!(number(&mut own, "SELECT count(*) FROM t"), 300_001);
    assert_eq!(number(&mut own, "SELECT count(*) FROM t WHERE s = 'last'"), 1);
    assert!(!Path::new("roost:").exists(), "no local file took its place");
    assert!(!names(Path::new(".")).iter().any(|name| name.starts_with("main")));
}
