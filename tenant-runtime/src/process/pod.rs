//! A pod: waits for its grant, does what it says, ends.

use crate::{
    config::{Config, PodIdentity},
    durability::shipper::Pace,
    http::{
        health::Health,
        internal::{self, PodControl},
        listener::{Connections, HANDSHAKE_TIMEOUT},
        query::{self, Services},
    },
    lifecycle::{Lifecycle, ending},
    limits::{Sizing, read_allowance, size},
    metrics::Metrics,
    query::{access::Access, service::Service},
    serving::{
        Eviction,
        opening::{self, EngineSetup, Opening, Served},
        serve,
    },
    storage,
    workers::{replay_check, snapshot},
};
use roost_protocol::{
    BranchKey,
    durability::Terms,
    grant::{CheckReplay, Grant, Serve, Task},
    problem::{ErrorCode, Problem},
    status::{Ending, RuntimeState},
};
use roost_store::{Environment, Holder};
use roost_transport::{
    health,
    tls::{Certificate, CertificateError, HTTP_1_1, ServerTls},
};
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Time that answers under way may take after the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Everything that a pod has besides its grant, from its start on.
struct Pod<'a> {
    config: &'a Config,
    cache: PathBuf,
    lifecycle: Arc<Lifecycle>,
    metrics: Metrics,
    environment: Environment,
    control: Arc<PodControl>,
    service: PodService,
}

/// The pod's whole life. `stop` is SIGTERM.
/// Errors: `internal`.
pub async fn run(config: &Config, stop: &CancellationToken) -> Result<Ending, Problem> {
    let identity =
        config.pod_identity().map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
    let tls = tls(&identity).map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
    let environment = Environment::system();
    let lifecycle = Arc::new(Lifecycle::new(config.termination_log().map(Into::into)));
    let metrics = Metrics::default();
    let cache = identity.cache_dir.clone();
    let (control, mut grants) = PodControl::new(identity, Arc::clone(&lifecycle), environment.clone());
    let service = PodService::default();
    let routes = query::routes(service.clone()).merge(internal::routes(Arc::clone(&control)));
    let connections = Connections::serve(listen(config.listen).await?, Some(tls), routes, CLOSE_PATIENCE);
    // After it: whoever reads that the pod is ready hands over a grant at once.
    let probes = Arc::new(Health { lifecycle: Arc::clone(&lifecycle), metrics: metrics.clone() });
    let health_listener = listen(config.health_listen).await?;
    // Probes are answered as long as the process lives.
    tokio::spawn(health::serve(health_listener, probes, CancellationToken::new()));
    let pod = Pod { config, cache, lifecycle, metrics, environment, control, service };
    let grant = tokio::select! {
        grant = grants.recv() => grant,
        () = stop.cancelled() => None,
    };
    let ending = match grant {
        None => pod.unused(),
        Some(grant) => pod.act(&grant, stop).await,
    };
    // What was fenced while it served answers nothing more; what never served has only to say so.
    if ending.state != RuntimeState::Fenced || !pod.service.is_open() {
        connections.close().await;
    }
    Ok(ending)
}

fn tls(identity: &PodIdentity) -> Result<ServerTls, CertificateError> {
    let certificate = Certificate::from_pem(&identity.certificates, &identity.key.0)?;
    ServerTls::new(&certificate, &[HTTP_1_1], HANDSHAKE_TIMEOUT)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Problem::new(ErrorCode::Internal, format!("{address} cannot be listened on: {error}"))
    })?;
    tracing::info!(%address, "listening");
    Ok(listener)
}

impl Pod<'_> {
    fn advance(&self, to: RuntimeState, cause: &str) {
        if let Err(error) = self.lifecycle.advance(to, cause) {
            tracing::error!(%error, "a state was skipped");
        }
    }

    /// SIGTERM before any grant.
    fn unused(&self) -> Ending {
        self.advance(RuntimeState::Draining, "SIGTERM before a grant");
        self.advance(RuntimeState::Sealed, "nothing was served");
        self.control.settle(Err(Problem::new(ErrorCode::NotServing, "this pod is about to end")));
        ending::unused()
    }

    async fn act(&self, grant: &Grant, stop: &CancellationToken) -> Ending {
        let acted = match sizing(grant) {
            Err(problem) => Err(problem),
            Ok(sizing) => match &grant.task {
                Task::Serve(task) => self.serve(grant, task, sizing, stop).await,
                Task::ExportParquet(task) => {
                    self.advance(RuntimeState::Hydrating, "exporting a snapshot");
                    // An export may take long; its result is this process's last words.
                    self.control.settle(Ok(()));
                    let limits = (self.config.spill_limit, self.config.cache_limit);
                    let environment = self.environment.clone();
                    snapshot::run(grant, task, sizing, &self.cache, limits, environment).await.inspect(|_| {
                        self.advance(RuntimeState::Draining, "the snapshot is complete");
                        self.advance(RuntimeState::Sealed, "the snapshot is complete");
                    })
                }
                Task::CheckReplay(task) => self.check_replay(grant, task, stop).await,
            },
        };
        acted.unwrap_or_else(|problem| {
            let fenced = problem.code == ErrorCode::Fenced;
            let state = if fenced { RuntimeState::Fenced } else { RuntimeState::Failed };
            self.advance(state, &problem.to_string());
            self.control.settle(Err(problem.clone()));
            Ending { state, ..ending::failed(problem) }
        })
    }

    async fn check_replay(
        &self,
        grant: &Grant,
        task: &CheckReplay,
        stop: &CancellationToken,
    ) -> Result<Ending, Problem> {
        self.advance(RuntimeState::Hydrating, "checking how far the WAL can be replayed");
        // As for an export, the result is this process's last words.
        self.control.settle(Ok(()));
        let ending = tokio::select! {
            ending = replay_check::run(grant, task, self.environment.clone()) => ending?,
            () = stop.cancelled() => {
                return Err(Problem::new(ErrorCode::NotServing, "the check was told to stop"));
            }
        };
        self.advance(RuntimeState::Draining, "the check is complete");
        self.advance(RuntimeState::Sealed, "the check is complete");
        Ok(ending)
    }

    async fn serve(
        &self,
        grant: &Grant,
        task: &Serve,
        sizing: Sizing,
        stop: &CancellationToken,
    ) -> Result<Ending, Problem> {
        let served = Arc::new(self.open(grant, task, sizing).await?);
        self.service.open(grant, &served, &self.metrics);
        self.control.serves(Arc::clone(&served));
        self.advance(RuntimeState::Serving, "the database is open");
        self.control.settle(Ok(()));
        let eviction = Eviction { idle_timeout: Some(task.idle_timeout), drain_timeout: task.drain_timeout };
        Ok(serve(&served, &self.lifecycle, eviction, stop).await)
    }

    async fn open(&self, grant: &Grant, task: &Serve, sizing: Sizing) -> Result<Served, Problem> {
        let bucket = storage::bucket(&grant.storage)?;
        let tenants = storage::tenant(bucket, grant, self.environment.clone())?;
        let opening = Opening {
            store: tenants.branch(&storage::branch(&grant.branch)?),
            holder: Holder { name: grant.pod.clone(), id: grant.nonce.to_string() },
            takeover: task.takeover,
            init_script: task.init_script.clone(),
            engine: EngineSetup {
                database: grant.tenant.name.clone(),
                sizing,
                settings: grant.engine.settings.clone(),
                spill_limit: self.config.spill_limit,
                cache_limit: self.config.cache_limit,
                max_sessions: self.config.max_sessions,
            },
            cache: self.cache.clone(),
            patience: self.config.patience(),
            pace: Pace::new(task.durability, task.put_budget),
            metrics: self.metrics.clone(),
            environment: self.environment.clone(),
        };
        opening::open(opening, &self.lifecycle).await
    }
}

fn sizing(grant: &Grant) -> Result<Sizing, Problem> {
    size(&grant.engine, read_allowance())
        .map_err(|error| Problem::new(ErrorCode::TenantNotReady, error.to_string()))
}

fn durability(grant: &Grant) -> Terms {
    match &grant.task {
        Task::Serve(task) => task.durability,
        Task::ExportParquet(_) | Task::CheckReplay(_) => Terms::default(),
    }
}

/// The service of a pod: none before its grant was acted upon.
#[derive(Clone, Default)]
struct PodService(Arc<OnceLock<Arc<Service>>>);

impl PodService {
    /// Whether anything was ever served.
    fn is_open(&self) -> bool {
        self.0.get().is_some()
    }

    fn open(&self, grant: &Grant, served: &Arc<Served>, metrics: &Metrics) {
        let service = Service {
            branch: BranchKey {
                namespace: grant.tenant.namespace.clone(),
                tenant: grant.tenant.name.clone(),
                branch: grant.branch.clone(),
            },
            access: Access::Gateway {
                key: grant.gateway_key,
                tenant_uid: grant.tenant.tenant_uid.clone(),
                branch: grant.branch.clone(),
            },
            served: Arc::clone(served),
            durability: durability(grant),
            statement_timeout: grant.engine.statement_timeout,
            metrics: metrics.clone(),
        };
        // Only one grant is accepted, so there is only one service.
        let _ = self.0.set(Arc::new(service));
    }
}

impl Services for PodService {
    fn service(&self) -> Result<Arc<Service>, Problem> {
        self.0.get().cloned().ok_or_else(|| {
            Problem::new(ErrorCode::NotServing, "this pod has no tenant yet; nothing was executed")
                .retry_after(1)
        })
    }
}
