//! Support that the tests of the engine share: a file system over a folder, engines, queries read to their end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod folder;
pub mod rows;

use folder::FolderVfs;
use roost_engine::{
    Engine, EngineConfig, QueryError, Request, Role, RowStream, Session, SessionLimits, Value, Walls,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Long enough for anything in these tests, short enough to fail before the test runner does.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// An engine over a folder of its own.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub engine: Engine,
}

pub fn config(folder: &Path) -> EngineConfig {
    let spill = folder.join("spill");
    std::fs::create_dir_all(&spill).unwrap();
    EngineConfig::new("acme", spill)
}

pub fn vfs(folder: &Path) -> Arc<FolderVfs> {
    Arc::new(FolderVfs::new(folder.join("data")))
}

/// An engine with every wall.
pub fn bench() -> Bench {
    bench_with(|_| {})
}

pub fn bench_with(change: impl FnOnce(&mut EngineConfig)) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    change(&mut config);
    let engine = Engine::open(config, vfs(folder.path())).unwrap();
    Bench { folder, engine }
}

/// An engine with only these walls.
pub fn bench_behind(walls: &Walls) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open_with_walls(config(folder.path()), vfs(folder.path()), walls).unwrap();
    Bench { folder, engine }
}

/// A request and who sends it.
pub struct Asked {
    pub request: Request,
    pub role: Role,
}

impl Asked {
    pub fn within(mut self, timeout: Duration) -> Self {
        self.request.timeout = timeout;
        self
    }

    pub fn with(mut self, parameters: Vec<Value>) -> Self {
        self.request.parameters = parameters;
        self
    }
}

pub fn request(sql: &str, role: Role) -> Asked {
    Asked { request: Request { sql: sql.into(), parameters: Vec::new(), timeout: PATIENCE }, role }
}

/// Runs a request in a session of its own.
pub async fn start(engine: &Engine, asked: Asked) -> Result<RowStream, QueryError> {
    engine.open_session(asked.role, SessionLimits::default())?.request(asked.request).await
}

/// Runs a script as a read-write user.
pub async fn script(engine: &Engine, sql: &str) -> Result<(), QueryError> {
    let asked = request(sql, Role::ReadWrite);
    engine.open_session(asked.role, SessionLimits::default())?.script(asked.request).await
}

/// Runs as a read-write user and gives the last result as text rows.
pub async fn run(engine: &Engine, sql: &str) -> Result<Vec<String>, QueryError> {
    run_as(engine, sql, Role::ReadWrite).await
}

pub async fn run_as(engine: &Engine, sql: &str, role: Role) -> Result<Vec<String>, QueryError> {
    read(start(engine, request(sql, role)).await?).await
}

/// Reads a stream to its end.
pub async fn read(mut stream: RowStream) -> Result<Vec<String>, QueryError> {
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        rows.extend(rows::text(&batch?));
    }
    Ok(rows)
}

/// Opens a session.
pub fn open(engine: &Engine, role: Role) -> Session {
    engine.open_session(role, SessionLimits::default()).unwrap()
}

/// Runs statements in a session, one after the other; gives the rows of the last one.
pub async fn ask(session: &mut Session, sql: &str) -> Result<Vec<String>, QueryError> {
    let mut last = Vec::new();
    for extracted in session.extract(sql, PATIENCE).await? {
        let statement = session.prepare(extracted, PATIENCE).await?;
        last = read(session.execute(&statement, Vec::new(), PATIENCE).await?).await?;
    }
    Ok(last)
}

/// Polls until `condition` holds; panics when it does not in time.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not come true");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
