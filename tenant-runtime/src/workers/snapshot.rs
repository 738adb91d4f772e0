//! A snapshot worker: reads a position in a copy of its own, and writes it as Parquet. It touches no HEAD.

use crate::{
    files::LocalFiles,
    limits::Sizing,
    problems,
    serving::opening::{EngineSetup, Folders, cache_problem},
    storage,
    workers::private_copy,
};
use roost_engine::{Engine, ExportSummary, ExportedTable};
use roost_protocol::{
    grant::{ExportParquet, Grant},
    problem::{ErrorCode, Problem},
    report::{Report, ReportedTable, SnapshotReport},
    status::{Ending, RuntimeState},
};
use roost_store::{Claim, Environment, ObjectStore, Position, SnapshotFolder};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// Version of `metadata.json`.
const METADATA_VERSION: u32 = 1;
/// Tables named in the last words.
const NAMED_TABLES: usize = 20;
/// Most bytes that the last words spend on table names.
const MAX_NAMES_BYTES: usize = 1500;

/// `metadata.json`: what a finished snapshot holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    version: u32,
    namespace: String,
    tenant: String,
    branch: String,
    snapshot: String,
    position: Position,
    started_at: jiff::Timestamp,
    completed_at: jiff::Timestamp,
    table_count: u64,
    row_count: u64,
    bytes: u64,
    #[serde(flatten)]
    summary: ExportSummary,
}

/// Exports the position that the grant names.
/// Errors: those of [`private_copy::open`], `query-failed`, `data-owned-elsewhere`, `data-missing`,
/// `key-unavailable`, `bad-request`.
pub async fn run(
    grant: &Grant,
    task: &ExportParquet,
    sizing: Sizing,
    cache: &Path,
    (spill_limit, cache_limit): (u64, u64),
    environment: Environment,
) -> Result<Ending, Problem> {
    let bucket = storage::bucket(&grant.storage)?;
    let folder = match claim(grant, task, Arc::clone(&bucket), environment.clone()).await? {
        Claim::Ready(folder) => folder,
        Claim::Finished(metadata) => return finished(&metadata),
    };
    let started_at = environment.clock.now();
    let setup = EngineSetup {
        database: grant.tenant.name.clone(),
        sizing,
        settings: grant.engine.settings.clone(),
        spill_limit,
        cache_limit,
        max_sessions: 1,
    };
    let (engine, files, parts) =
        open(grant, task, &task.position, &setup, bucket, cache, environment.clone()).await?;
    let summary = engine
        .export_parquet(&parts, |progress| {
            tracing::info!(table = progress.table, done = progress.done, total = progress.total, "exporting");
        })
        .await
        .map_err(|error| {
            let failed = Problem::new(ErrorCode::QueryFailed, format!("the export failed: {error}"));
            files.damage().found().cloned().unwrap_or(failed)
        })?;
    engine.close().await;
    upload(&folder, &parts, &summary).await?;
    let metadata = Metadata {
        version: METADATA_VERSION,
        namespace: grant.tenant.namespace.clone(),
        tenant: grant.tenant.name.clone(),
        branch: grant.branch.clone(),
        snapshot: task.snapshot.clone(),
        position: task.position.clone(),
        started_at,
        completed_at: environment.clock.now(),
        table_count: summary.tables.len() as u64,
        row_count: summary.tables.iter().map(|table| table.rows).sum(),
        bytes: summary.tables.iter().map(|table| table.bytes).sum::<u64>() + summary.schema_bytes,
        summary,
    };
    let json = serde_json::to_vec_pretty(&metadata)
        .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
    folder.finish(json).await.map_err(|error| problems::of_store(&error))?;
    Ok(ending(&metadata))
}

async fn claim(
    grant: &Grant,
    task: &ExportParquet,
    bucket: Arc<dyn ObjectStore>,
    environment: Environment,
) -> Result<Claim, Problem> {
    let path = storage::path(&grant.storage, &grant.tenant)?;
    let owner = storage::owner(&grant.tenant);
    SnapshotFolder::claim(bucket, environment, &path, &task.snapshot, &owner, &task.snapshot_uid)
        .await
        .map_err(|error| problems::of_store(&error))
}

/// The engine over the position, and the folder that it may write to.
async fn open(
    grant: &Grant,
    task: &ExportParquet,
    position: &Position,
    setup: &EngineSetup,
    bucket: Arc<dyn ObjectStore>,
    cache: &Path,
    environment: Environment,
) -> Result<(Engine, LocalFiles, std::path::PathBuf), Problem> {
    let tenant = storage::tenant(bucket, grant, environment.clone())?;
    let readable = tenant
        .branch(&storage::branch(&grant.branch)?)
        .open_position(position, &task.pin)
        .await
        .map_err(|error| problems::of_store(&error))?;
    let folders = Folders::make(cache).map_err(|error| cache_problem(&error))?;
    let export = cache.join("export");
    let parts = export.join("parts");
    std::fs::create_dir_all(&parts).map_err(|error| cache_problem(&error))?;
    let (engine, files) = private_copy::open(&readable, setup, folders, Some(export), environment).await?;
    Ok((engine, files, parts))
}

/// Parts first; what was uploaded must be what was exported.
async fn upload(folder: &SnapshotFolder, parts: &Path, summary: &ExportSummary) -> Result<(), Problem> {
    let files = summary.tables.iter().map(|table| (&table.file, &table.blake3));
    for (file, expected) in files.chain([(&summary.schema_file, &summary.schema_blake3)]) {
        let part =
            folder.put_part(file, &parts.join(file)).await.map_err(|error| problems::of_store(&error))?;
        if part.blake3 != *expected {
            let detail = format!("{file} changed on the local disk between export and upload");
            return Err(Problem::new(ErrorCode::DataCorrupted, detail));
        }
        tracing::info!(file, bytes = part.bytes, "uploaded");
    }
    Ok(())
}

/// An earlier attempt had finished the snapshot.
fn finished(metadata: &[u8]) -> Result<Ending, Problem> {
    let metadata: Metadata = serde_json::from_slice(metadata).map_err(|error| {
        Problem::new(
            ErrorCode::DataCorrupted,
            format!("the snapshot's metadata.json cannot be read: {error}"),
        )
    })?;
    Ok(ending(&metadata))
}

fn ending(metadata: &Metadata) -> Ending {
    Ending {
        state: RuntimeState::Sealed,
        position: Some(metadata.position.clone()),
        database_size: None,
        last_active: None,
        problem: None,
        report: Some(Report::Snapshot(report(metadata))),
    }
}

fn report(metadata: &Metadata) -> SnapshotReport {
    let mut tables: Vec<&ExportedTable> = metadata.summary.tables.iter().collect();
    tables.sort_by_key(|table| std::cmp::Reverse(table.bytes));
    let mut names = 0;
    let largest_tables = tables
        .into_iter()
        .take(NAMED_TABLES)
        .take_while(|table| {
            names += table.schema.len() + table.name.len();
            names <= MAX_NAMES_BYTES
        })
        .map(|table| ReportedTable {
            schema: table.schema.clone(),
            name: table.name.clone(),
            rows: table.rows,
            size: table.bytes,
        })
        .collect();
    SnapshotReport {
        engine_version: metadata.summary.engine_version.clone(),
        completed_at: metadata.completed_at.to_string(),
        table_count: metadata.table_count,
        row_count: metadata.row_count,
        size: metadata.bytes,
        largest_tables,
    }
}
