//! What the tests of the engine share: a file system over a folder, engines, queries read to their end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod folder;
pub mod rows;

use folder::FolderVfs;
use roost_engine::{Engine, EngineConfig, QueryError, QueryRequest, QueryStream, Role, Walls};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

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

pub fn request(sql: &str, role: Role) -> QueryRequest {
    QueryRequest { id: Uuid::new_v4(), sql: sql.into(), parameters: Vec::new(), role, timeout: PATIENCE }
}

/// Runs as a read-write user and gives the last result as text rows.
pub async fn run(engine: &Engine, sql: &str) -> Result<Vec<String>, QueryError> {
    run_as(engine, sql, Role::ReadWrite).await
}

pub async fn run_as(engine: &Engine, sql: &str, role: Role) -> Result<Vec<String>, QueryError> {
    read(engine.start(request(sql, role)).await?).await
}

/// Reads a stream to its end.
pub async fn read(mut stream: QueryStream) -> Result<Vec<String>, QueryError> {
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        rows.extend(rows::text(&batch?));
    }
    Ok(rows)
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
