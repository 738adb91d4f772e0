//! One tenant on a laptop: the same runtime over a folder instead of a bucket, without any cluster.

use crate::{
    config::Config,
    durability::shipper::Pace,
    http::{listener::Connections, query},
    lifecycle::Lifecycle,
    limits::{read_allowance, size},
    metrics::Metrics,
    problems,
    query::{access::Access, service::Service},
    serving::{
        Eviction,
        opening::{self, EngineSetup, Opening},
        serve,
    },
};
use roost_protocol::{
    BranchKey,
    durability::{Durability, PutBudget, Terms},
    grant::EngineLimits,
    names::MAIN_BRANCH,
    problem::{ErrorCode, Problem},
    routes::query_path,
    status::{Ending, RuntimeState},
};
use roost_store::{
    Adoption, BranchName, Creation, DirectoryStore, Environment, Holder, Owner, Takeover, TenantPath,
    TenantStore,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Namespace of the only tenant.
const NAMESPACE: &str = "default";
/// Longest time of draining after Ctrl-C.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(1);
/// Budget of PUTs that is never used up: a folder costs nothing.
const LOCAL_PUTS: PutBudget = PutBudget { burst: 1_000_000, per_second: 1_000_000 };
/// Time that connections may take to end after the seal.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Serves the folder until it is told to stop.
/// Errors: `internal`, `bad-request`, those of [`opening::open`].
#[allow(clippy::disallowed_methods, reason = "a process without a cluster makes its own id")]
pub async fn run(config: &Config, folder: &Path, stop: &CancellationToken) -> Result<Ending, Problem> {
    let environment = Environment::system();
    let lifecycle = Lifecycle::new(config.termination_log().map(Into::into));
    let metrics = Metrics::default();
    let place = Place::enter(folder, config.take_over).map_err(|error| folder_problem(folder, &error))?;
    let store =
        DirectoryStore::open(folder.join("bucket")).map_err(|error| folder_problem(folder, &error))?;
    let id = store.id().to_owned();
    let owner = Owner { cluster_id: "standalone".into(), namespace_uid: id.clone(), tenant_uid: id };
    let path = TenantPath::new("", NAMESPACE, &config.tenant)
        .map_err(|error| Problem::new(ErrorCode::BadRequest, error.to_string()))?;
    let tenants = TenantStore::new(Arc::new(store), path, owner, environment.clone());
    tenants
        .initialize(Creation::NewTenant, &Adoption::default())
        .await
        .map_err(|error| problems::of_store(&error))?;
    advance(&lifecycle, RuntimeState::Claimed, "standalone");
    let served = opening::open(
        Opening {
            store: tenants.branch(&BranchName::main()),
            holder: Holder { name: "standalone".into(), id: uuid::Uuid::new_v4().to_string() },
            takeover: Takeover::PreviousGone,
            init_script: None,
            engine: engine_setup(config)?,
            cache: place.cache.clone(),
            patience: config.patience(),
            pace: Pace::new(Terms::default(), LOCAL_PUTS),
            metrics: metrics.clone(),
            environment,
        },
        &lifecycle,
    )
    .await?;
    let served = Arc::new(served);
    let listener = TcpListener::bind(("127.0.0.1", config.port))
        .await
        .map_err(|error| listen_problem(config.port, &error))?;
    let port = listener.local_addr().map_err(|error| listen_problem(config.port, &error))?.port();
    let branch =
        BranchKey { namespace: NAMESPACE.into(), tenant: config.tenant.clone(), branch: MAIN_BRANCH.into() };
    let url = format!("http://127.0.0.1:{port}{}", query_path(&branch));
    let service = Arc::new(Service {
        branch,
        access: Access::Loopback { port },
        served: Arc::clone(&served),
        durability: Terms { floor: Durability::Asynchronous, ..Terms::default() },
        statement_timeout: config.statement_timeout,
        metrics,
    });
    let connections = Connections::serve(listener, None, query::routes(OneService(service)), CLOSE_PATIENCE);
    advance(&lifecycle, RuntimeState::Serving, "standalone");
    greet(port, &url, folder);
    let eviction = Eviction { idle_timeout: config.idle_timeout, drain_timeout: DRAIN_TIMEOUT };
    let ending = serve(&served, &lifecycle, eviction, stop).await;
    if ending.state != RuntimeState::Fenced {
        connections.close().await;
    }
    drop(place);
    Ok(ending)
}

fn advance(lifecycle: &Lifecycle, to: RuntimeState, cause: &str) {
    if let Err(error) = lifecycle.advance(to, cause) {
        tracing::error!(%error, "a state was skipped");
    }
}

fn engine_setup(config: &Config) -> Result<EngineSetup, Problem> {
    let limits = EngineLimits {
        memory_limit: Some(config.memory_limit.clone()),
        threads: None,
        settings: BTreeMap::new(),
        statement_timeout: config.statement_timeout,
    };
    let sizing = size(&limits, read_allowance())
        .map_err(|error| Problem::new(ErrorCode::BadRequest, error.to_string()))?;
    Ok(EngineSetup {
        database: config.tenant.clone(),
        sizing,
        settings: BTreeMap::new(),
        spill_limit: config.spill_limit,
        cache_limit: config.cache_limit,
        max_sessions: config.max_sessions,
    })
}

#[allow(clippy::print_stdout, reason = "the greeting is this command's output")]
fn greet(port: u16, url: &str, folder: &Path) {
    println!(
        "Serving {} on http://127.0.0.1:{port}. Ask it something:\n\n  \
         curl -s {url} \\\n    \
         --json '{{\"sql\": \"select 42 as answer\"}}'\n\n\
         Ctrl-C publishes, seals and stops; the data stays in {}.",
        folder.display(),
        folder.join("bucket").display(),
    );
}

fn folder_problem(folder: &Path, error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("the folder {} cannot be used: {error}", folder.display()))
}

fn listen_problem(port: u16, error: &io::Error) -> Problem {
    let detail = format!("127.0.0.1:{port} cannot be listened on: {error}; choose another with --port");
    Problem::new(ErrorCode::Internal, detail)
}

/// The only tenant of a standalone process.
#[derive(Clone)]
struct OneService(Arc<Service>);

impl query::Services for OneService {
    fn service(&self) -> Result<Arc<Service>, Problem> {
        Ok(Arc::clone(&self.0))
    }
}

/// This process's place in the folder: the lock that says who serves it, and a cache of its own.
struct Place {
    cache: PathBuf,
    /// Held by whoever serves the folder; released by the system when the process is gone.
    _serving: Option<File>,
    _cache_in_use: File,
}

impl Place {
    #[allow(clippy::disallowed_methods, reason = "a name for a folder")]
    fn enter(folder: &Path, take_over: bool) -> io::Result<Self> {
        let caches = folder.join("cache");
        std::fs::create_dir_all(&caches)?;
        let serving = File::create(folder.join("lock"))?;
        let serving = match serving.try_lock() {
            Ok(()) => Some(serving),
            Err(std::fs::TryLockError::WouldBlock) if take_over => None,
            Err(std::fs::TryLockError::WouldBlock) => {
                let message = "another process serves it; stop that one, or take over with --take-over";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        };
        remove_unused(&caches)?;
        let cache = caches.join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir(&cache)?;
        let in_use = File::create(cache.join("lock"))?;
        in_use.lock()?;
        Ok(Self { cache, _serving: serving, _cache_in_use: in_use })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.cache);
    }
}

/// Removes caches whose processes are gone.
fn remove_unused(caches: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(caches)? {
        let cache = entry?.path();
        // Without a lock file its process is about to make one.
        let Ok(lock) = File::open(cache.join("lock")) else { continue };
        if lock.try_lock().is_ok() {
            std::fs::remove_dir_all(&cache)?;
        }
    }
    Ok(())
}
