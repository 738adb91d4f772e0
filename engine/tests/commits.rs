//! Errors tell which statements before them are committed, and a request is answered when DuckDB does not listen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
mod support;

use roost_engine::{Engine, ErrorCode, OpenFlags, QueryError, Role, SessionLimits, Vfs, VfsError, VfsFile};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use support::{PATIENCE, bench, config, eventually, read, request, run, run_as, script, start, vfs};

const HUGE: &str = "SELECT i, repeat('x', 200) AS pad FROM range(40000000) r(i)";

async fn fails(engine: &Engine, sql: &str) -> QueryError {
    run(engine, sql).await.expect_err(sql)
}

/// Begins to read and goes no further.
async fn begun(engine: &Engine, sql: &str) -> roost_engine::RowStream {
    let mut stream = start(engine, request(sql, Role::ReadWrite)).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream
}

#[tokio::test]
async fn an_error_tells_how_many_statements_are_committed() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT); CREATE TABLE k (i INT PRIMARY KEY); INSERT INTO k VALUES (1); CREATE SEQUENCE s")
        .await
        .unwrap();
    let fail = "INSERT INTO k VALUES (1)";
    for (before, committed) in [
        ("", None),
        ("SELECT 1;", None),
        ("CREATE TEMP TABLE x (i INT); INSERT INTO x VALUES (1);", None),
        ("INSERT INTO t VALUES (1);", Some(1)),
        ("SELECT 1; INSERT INTO t VALUES (1);", Some(2)),
        ("INSERT INTO t VALUES (1); SELECT 1; SELECT 2;", Some(3)),
        ("INSERT INTO t VALUES (1) RETURNING i;", Some(1)),
        ("SELECT nextval('s');", Some(1)),
        ("PREPARE p AS INSERT INTO t VALUES (1); EXECUTE p;", Some(2)),
        ("BEGIN; INSERT INTO t VALUES (1);", None),
        ("BEGIN; INSERT INTO t VALUES (1); COMMIT;", Some(3)),
        ("BEGIN; INSERT INTO t VALUES (1); COMMIT; BEGIN; INSERT INTO t VALUES (2);", Some(3)),
        ("BEGIN; INSERT INTO t VALUES (1); ROLLBACK;", None),
        ("BEGIN; SELECT 1; COMMIT;", None),
        ("INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2); ROLLBACK;", Some(4)),
        ("INSERT INTO t VALUES (1); BEGIN; SELECT 1;", Some(1)),
        // DuckDB makes several of it.
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS c INT DEFAULT nextval('s');", Some(1)),
        ("INSERT INTO t(i) VALUES (1); PIVOT (SELECT 'a' AS c) ON c USING count(*);", Some(2)),
    ] {
        let error = fails(&bench.engine, &format!("{before} {fail}")).await;
        assert_eq!((error.code, error.committed_statements), (ErrorCode::QueryFailed, committed), "{before}");
    }
    for (sql, kind, committed) in [
        ("INSERT INTO t(i) VALUES (1); FROM missing", ErrorCode::InvalidSql, Some(1)),
        ("INSERT INTO t(i) VALUES (1); LOAD icu", ErrorCode::StatementNotAllowed, Some(1)),
        ("INSERT INTO t(i) VALUES (1); BEGIN; SELECT 1", ErrorCode::TransactionLeftOpen, Some(1)),
        ("BEGIN; INSERT INTO t(i) VALUES (1)", ErrorCode::TransactionLeftOpen, None),
        ("INSERT INTO t(i) VALUES (1); SELEC 1", ErrorCode::InvalidSql, None),
    ] {
        let error = fails(&bench.engine, sql).await;
        assert_eq!((error.code, error.committed_statements), (kind, committed), "{sql}: {error:?}");
    }
    let error = run_as(&bench.engine, "SELECT 1; SELECT 'x'::INT", Role::ReadOnly).await.unwrap_err();
    assert_eq!(error.committed_statements, None);
}

#[tokio::test]
async fn a_conflict_after_a_commit_tells_of_it() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT); CREATE TABLE log (i INT); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    let _holder = begun(&bench.engine, &format!("BEGIN; UPDATE t SET i = 2; {HUGE}")).await;
    for (sql, committed) in [
        ("UPDATE t SET i = 3", None),
        ("INSERT INTO log VALUES (1); UPDATE t SET i = 3", Some(1)),
        ("BEGIN; INSERT INTO log VALUES (1); COMMIT; BEGIN; UPDATE t SET i = 3; COMMIT", Some(3)),
        ("BEGIN; INSERT INTO log VALUES (1); UPDATE t SET i = 3; COMMIT", None),
    ] {
        let error = fails(&bench.engine, sql).await;
        let told = (error.code, error.committed_statements);
        assert_eq!(told, (ErrorCode::TransactionConflict, committed), "{sql}: {error:?}");
    }
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM log").await.unwrap(), ["2"]);
}

#[tokio::test]
async fn what_stops_a_request_tells_what_was_committed_before() {
    use ErrorCode as Kind;
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let insert = "INSERT INTO t VALUES (1)";
    // A publish ends an idle transaction.
    let idle = begun(&bench.engine, &format!("{insert}; BEGIN; {insert}; {HUGE}")).await;
    drop(bench.engine.close_gate(Duration::from_millis(100)).await.unwrap());
    let error = read(idle).await.unwrap_err();
    assert_eq!((error.sqlstate, error.committed_statements), ("25P03", Some(1)));
    // It ends readers of an old state.
    run(&bench.engine, "CREATE TABLE big AS SELECT i, repeat('x', 100) AS pad FROM range(400000) r(i)")
        .await
        .unwrap();
    let reader = begun(&bench.engine, &format!("{insert}; SELECT i, pad FROM big")).await;
    run(&bench.engine, "UPDATE big SET pad = 'new' WHERE i < 10").await.unwrap();
    let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
    bench.engine.checkpoint_interrupting(&closed).await.unwrap();
    drop(closed);
    let error = read(reader).await.unwrap_err();
    assert_eq!((error.sqlstate, error.committed_statements), ("72000", Some(1)));
    // Drained, cancelled, out of time.
    for (kind, stop) in [(Kind::Draining, true), (Kind::Cancelled, false)] {
        let wanted = request(&format!("{insert}; {HUGE}"), Role::ReadWrite);
        let session = bench.engine.open_session(wanted.role, SessionLimits::default()).unwrap();
        let handle = session.handle();
        let mut stream = session.request(wanted.request).await.unwrap();
        stream.next().await.unwrap().unwrap();
        if stop {
            handle.drain();
        } else {
            handle.cancel();
        }
        let error = read(stream).await.unwrap_err();
        assert_eq!((error.code, error.committed_statements), (kind, Some(1)), "{error:?}");
    }
    let timeout = Duration::from_millis(300);
    let short = request(&format!("{insert}; {HUGE}"), Role::ReadWrite).within(timeout);
    let error = read(start(&bench.engine, short).await.unwrap()).await.unwrap_err();
    assert_eq!((error.code, error.committed_statements), (Kind::StatementTimeout, Some(1)));
    // A request that is stopped by us says the same.
    let mut stopped = begun(&bench.engine, &format!("{insert}; {HUGE}")).await;
    assert_eq!(stopped.stop().await, Some(1));
    // Writes that are refused, for a while and for ever.
    let waiting = |sql: String| {
        let engine = bench.engine.clone();
        tokio::spawn(async move { run(&engine, &sql).await })
    };
    let paused = begun(&bench.engine, HUGE).await;
    bench.engine.refuse_writes(Some("a test".into()));
    let error = fails(&bench.engine, insert).await;
    assert_eq!((error.code, error.committed_statements), (Kind::WritesPaused, None));
    bench.engine.refuse_writes(None);
    drop(paused);
    let closed = bench.engine.close_gate(PATIENCE).await.unwrap();
    let sealed = waiting(format!("SELECT 1; {insert}"));
    eventually("the writer waits", || bench.engine.activity().running == 1).await;
    closed.seal();
    let error = sealed.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.committed_statements), (Kind::Draining, None));
}

#[tokio::test]
async fn what_was_committed_when_its_rows_were_lost_is_told() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT)").await.unwrap();
    let timeout = Duration::from_secs(1);
    let sql = "INSERT INTO t FROM range(1000000) RETURNING i";
    let short = request(sql, Role::ReadWrite).within(timeout);
    let mut stream = start(&bench.engine, short).await.unwrap();
    stream.next().await.unwrap().unwrap();
    eventually("the session ends", || bench.engine.activity().running == 0).await;
    let error = read(stream).await.unwrap_err();
    assert_eq!((error.code, error.committed_statements), (ErrorCode::StatementTimeout, Some(1)), "{error:?}");
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["1000000"]);
}

#[tokio::test]
async fn sql_with_a_nul_byte_is_refused_as_a_whole() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t AS FROM range(9) r(i)").await.unwrap();
    let error = fails(&bench.engine, "DELETE FROM t\0 WHERE i = 3").await;
    let told = (error.code, error.sqlstate, error.position);
    assert_eq!(told, (ErrorCode::InvalidSql, "42601", Some(13)), "{error:?}");
    let error = script(&bench.engine, "DELETE FROM t;\n\0").await.unwrap_err();
    assert_eq!((error.code, error.position), (ErrorCode::InvalidSql, Some(15)), "{error:?}");
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["9"]);
}

#[tokio::test]
async fn statements_are_counted_as_they_were_written() {
    let bench = bench();
    run(&bench.engine, "CREATE TABLE t (i INT); CREATE SEQUENCE s").await.unwrap();
    // Each PIVOT is two statements for DuckDB.
    let pivot = "PIVOT (SELECT 'a' AS c) ON c USING count(*);";
    run(&bench.engine, &pivot.repeat(1000)).await.unwrap();
    let error = fails(&bench.engine, &"INSERT INTO t VALUES (1);".repeat(1001)).await;
    assert_eq!((error.code, error.sqlstate), (ErrorCode::TooManyStatements, "54000"), "{error:?}");
    assert!(error.message.contains("1001") && error.message.contains("1000"), "{error}");
    assert_eq!(run(&bench.engine, "SELECT count(*) FROM t").await.unwrap(), ["0"]);
}

/// Holds reads of the database file back while it is shut, as a bucket does that gives no answer.
#[derive(Default)]
struct Door {
    shut: Mutex<bool>,
    opened: Condvar,
    waits: AtomicBool,
}

impl Door {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let shut = self.shut.lock().unwrap();
        self.waits.store(*shut, Ordering::SeqCst);
        drop(self.opened.wait_while(shut, |shut| *shut).unwrap());
    }
}

struct SlowVfs {
    inner: Arc<dyn Vfs>,
    door: Arc<Door>,
}

struct SlowFile {
    inner: Box<dyn VfsFile>,
    door: Arc<Door>,
}

impl Vfs for SlowVfs {
    fn open(&self, path: &str, flags: OpenFlags) -> Result<Option<Box<dyn VfsFile>>, VfsError> {
        let file = self.inner.open(path, flags)?;
        let door = || Arc::clone(&self.door);
        Ok(file.map(|inner| Box::new(SlowFile { inner, door: door() }) as Box<dyn VfsFile>))
    }
    fn exists(&self, path: &str) -> Result<bool, VfsError> {
        self.inner.exists(path)
    }
    fn remove(&self, path: &str) -> Result<bool, VfsError> {
        self.inner.remove(path)
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), VfsError> {
        self.inner.rename(from, to)
    }
}

impl VfsFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, VfsError> {
        self.door.pass();
        self.inner.read_at(buffer, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> Result<(), VfsError> {
        self.inner.write_at(data, offset)
    }
    fn append(&self, data: &[u8]) -> Result<(), VfsError> {
        self.inner.append(data)
    }
    fn sync(&self) -> Result<(), VfsError> {
        self.inner.sync()
    }
    fn truncate(&self, size: u64) -> Result<(), VfsError> {
        self.inner.truncate(size)
    }
    fn trim(&self, offset: u64, length: u64) -> Result<bool, VfsError> {
        self.inner.trim(offset, length)
    }
    fn size(&self) -> Result<u64, VfsError> {
        self.inner.size()
    }
}

/// A read that waits for its file ends at its timeout; a write that may still be committed is waited for.
#[tokio::test]
async fn a_read_that_hears_no_interrupt_ends_at_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let fill = "CREATE TABLE t AS SELECT i, hash(i) AS h FROM range(300000) r(i); CREATE TABLE u (i INT)";
    let engine = Engine::open(config(folder.path()), vfs(folder.path())).unwrap();
    run(&engine, fill).await.unwrap();
    let closed = engine.close_gate(PATIENCE).await.unwrap();
    engine.checkpoint(&closed).await.unwrap();
    drop(closed);
    engine.close().await;
    let door = Arc::<Door>::default();
    let files = SlowVfs { inner: vfs(folder.path()), door: Arc::clone(&door) };
    let engine = Engine::open(config(folder.path()), Arc::new(files)).unwrap();
    for (sql, committed) in
        [("SELECT sum(h % 7) FROM t", None), ("INSERT INTO u VALUES (1); SELECT sum(h % 7) FROM t", Some(1))]
    {
        door.set(true);
        let timeout = Duration::from_millis(200);
        let short = request(sql, Role::ReadWrite).within(timeout);
        let answer = tokio::time::timeout(PATIENCE, start(&engine, short)).await.expect("an answer");
        let error = answer.err().expect(sql);
        assert_eq!(
            (error.code, error.committed_statements),
            (ErrorCode::StatementTimeout, committed),
            "{sql}"
        );
        assert!(door.waits.load(Ordering::SeqCst), "the query did not wait for its file");
        door.set(false);
        eventually("the session ends", || engine.activity().running == 0).await;
    }
    door.set(true);
    let timeout = Duration::from_millis(200);
    let write = request("INSERT INTO u SELECT h % 7 FROM t", Role::ReadWrite).within(timeout);
    let engine_too = engine.clone();
    let writing = tokio::spawn(async move {
        match start(&engine_too, write).await {
            Ok(stream) => read(stream).await,
            Err(error) => Err(error),
        }
    });
    eventually("the writer waits", || engine.activity().running == 1).await;
    // Longer than what a read is given.
    let waited = tokio::time::timeout(Duration::from_secs(7), async {
        while !writing.is_finished() {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(waited.is_err(), "a write was answered before it was certain");
    door.set(false);
    let error = writing.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.committed_statements), (ErrorCode::StatementTimeout, None));
    assert_eq!(run(&engine, "SELECT count(*) FROM u").await.unwrap(), ["1"]);
}
