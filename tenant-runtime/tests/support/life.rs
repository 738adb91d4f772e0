//! One process's worth of serving a tenant, without HTTP and in this process: taken over, written to, gone.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(dead_code, reason = "each program that uses it uses a part of it")]

use arrow_array::{RecordBatch, cast::AsArray as _};
use roost_engine::{Engine, QueryError, Request, Role, RowStream, SessionLimits};
use roost_protocol::{
    durability::{Durability, PutBudget, Terms},
    problem::Problem,
};
use roost_store::{BranchName, Environment, Holder, Takeover, TenantStore};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use tenant_runtime::{
    durability::{publisher::Patience, shipper::Pace},
    lifecycle::Lifecycle,
    limits::Sizing,
    metrics::Metrics,
    serving::opening::{self, EngineSetup, Opening, Served},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Longest time of a request.
const TIMEOUT: Duration = Duration::from_mins(10);

/// A tenant that this process serves. Nothing is published unless somebody asks, or a commit that is held needs it.
pub struct Life {
    /// All of it.
    pub served: Arc<Served>,
    /// Its metrics.
    pub metrics: Metrics,
    durability: Durability,
    shipping: JoinHandle<()>,
    /// Publishes for commits that wait for it.
    publishing: JoinHandle<()>,
    /// Nothing is shipped any more.
    ended: CancellationToken,
}

impl Life {
    /// Takes the tenant's main branch over, whatever became of the process before. `cache` must be a folder that is
    /// not there yet.
    pub async fn open(tenant: &TenantStore, cache: &Path, durability: Durability) -> Result<Self, String> {
        Self::open_in(tenant, cache, durability, Environment::system()).await
    }

    /// The same, with a clock of its own.
    pub async fn open_in(
        tenant: &TenantStore,
        cache: &Path,
        durability: Durability,
        environment: Environment,
    ) -> Result<Self, String> {
        let main = BranchName::main();
        let opened = Self::open_branch(tenant, &main, cache, durability, environment).await;
        opened.map_err(|problem| problem.to_string())
    }

    /// The same of any branch, with the problem if it cannot be opened.
    pub async fn open_branch(
        tenant: &TenantStore,
        branch: &BranchName,
        cache: &Path,
        durability: Durability,
        environment: Environment,
    ) -> Result<Self, Problem> {
        let metrics = Metrics::default();
        let never = Duration::from_hours(24);
        let opening = Opening {
            store: tenant.branch(branch),
            holder: Holder { name: "test".into(), id: Uuid::new_v4().to_string() },
            takeover: Takeover::PreviousGone,
            init_script: None,
            engine: EngineSetup {
                database: "acme".into(),
                sizing: Sizing { memory_bytes: 1 << 30, threads: 2 },
                settings: BTreeMap::new(),
                spill_limit: 4 << 30,
                cache_limit: 4 << 30,
                max_sessions: 64,
            },
            cache: cache.to_owned(),
            patience: Patience { interval: never, writes_refused_after: never },
            // Commits go as fast as the bucket takes them.
            pace: Pace::new(
                Terms { floor: durability, default: durability, ..Terms::default() },
                PutBudget { burst: 1_000_000, per_second: 1_000 },
            ),
            metrics: metrics.clone(),
            environment,
        };
        let served = opening::open(opening, &Lifecycle::default()).await;
        let served = Arc::new(served?);
        let ended = CancellationToken::new();
        let shipping = tokio::spawn({
            let (served, ended) = (Arc::clone(&served), ended.clone());
            async move {
                served.shipper.run(&*served.database).await;
                ended.cancel();
            }
        });
        let publishing = tokio::spawn({
            let served = Arc::clone(&served);
            async move {
                loop {
                    served.database.commit_is_held().await;
                    while served.database.unpublished().held_since.is_some() {
                        // It fails while readers of an older state are there, and where the branch is not ours any more.
                        if served.publisher.publish("a commit is held").await.is_err() {
                            served.environment.clock.sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            }
        });
        Ok(Self { served, metrics, durability, shipping, publishing, ended })
    }

    /// Runs statements; Ok: they are acknowledged.
    pub async fn run(&self, sql: &str) -> Result<Vec<RecordBatch>, String> {
        let mut stream = start(&self.served.engine, sql, TIMEOUT).await.map_err(|error| error.to_string())?;
        let mut batches = Vec::new();
        while let Some(batch) = stream.next().await {
            batches.push(batch.map_err(|error| error.to_string())?);
        }
        if self.durability == Durability::Asynchronous {
            return Ok(batches);
        }
        let committed = self.served.shipper.committed();
        tokio::select! {
            () = self.served.shipper.until_durable(committed) => Ok(batches),
            // It will never be.
            () = self.ended.cancelled() => Err("the branch is not ours any more".into()),
        }
    }

    /// The only value of a query, a text.
    pub async fn text(&self, sql: &str) -> Result<String, String> {
        let batches = self.run(sql).await?;
        let column = batches.first().and_then(|batch| batch.column(0).as_string_opt::<i32>());
        column.map(|texts| texts.value(0).to_owned()).ok_or_else(|| format!("no text: {sql}"))
    }

    /// Puts everything committed into a manifest.
    pub async fn publish(&self) -> Result<(), String> {
        self.served.publisher.publish("asked to").await.map(drop).map_err(|error| error.to_string())
    }

    /// From now on a commit that is held waits until somebody asks for a publish.
    pub fn leave_publishing_to_others(&self) {
        self.publishing.abort();
    }

    /// From now on the product's own loop publishes for commits that are held; its end is told by what this returns.
    pub fn publish_as_served(&self) -> JoinHandle<roost_store::PublishError> {
        self.leave_publishing_to_others();
        let publisher = Arc::clone(&self.served.publisher);
        tokio::spawn(async move { publisher.run().await })
    }

    /// The last publish.
    pub async fn seal(&self) -> Result<(), String> {
        let deadline = self.served.environment.clock.monotonic() + TIMEOUT;
        self.served.publisher.seal(deadline).await.map(drop).map_err(|error| error.to_string())
    }

    /// Stops shipping: what is committed from now on stays here, as after the end of the process.
    pub fn stop_shipping(&self) {
        self.shipping.abort();
    }

    /// The process is gone, with all that is not in the bucket.
    pub fn crash(&self) {
        self.shipping.abort();
        self.publishing.abort();
    }
}

/// Runs statements in a session of their own, as a user who may write.
pub async fn start(engine: &Engine, sql: &str, timeout: Duration) -> Result<RowStream, QueryError> {
    let session = engine.open_session(Role::ReadWrite, SessionLimits::default())?;
    session.request(Request { sql: sql.into(), parameters: Vec::new(), timeout }).await
}
