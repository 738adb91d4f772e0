//! The process: parts started in order, stopped in reverse.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, client::ClientBuilder};
use roost_protocol::names::OPERATOR_TLS_NAME;
use roost_store::Environment;
use rustls::ServerConfig;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    context::Context,
    health::{self, Health},
    kubernetes::ApiSteps,
    leader, trust,
    wake::{Limits, Waker, auth::Authenticator, cluster::RealCluster, pods::RealRuntimes, server},
};

/// How often the keys are looked for until they are there.
const TRUST_LOOK: Duration = Duration::from_secs(1);
/// How often the serving certificate is made anew.
const CERTIFICATE_RENEWAL: Duration = Duration::from_hours(24);
/// How long wakes are still accepted after the stop, while the gateway learns of it.
const LEAVE_DELAY: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    let client = connect().await.context("no way to the Kubernetes API server was found")?;
    let context = Context::new(client, config, Environment::system());
    let health = Arc::new(Health::default());
    let address = context.config.health_address;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))?;
    let last = CancellationToken::new();
    let health_server = tokio::spawn(health::serve(
        listener,
        Arc::clone(&health),
        Arc::clone(&context.metrics),
        last.clone(),
    ));
    let election = tokio::spawn(leader::lead(Arc::clone(&context), stop.clone()));
    let wakes = serve_wakes(&context, &health, &stop).await;
    stop.cancel();
    if let Err(error) = election.await {
        tracing::error!(%error, "the election ended abnormally");
    }
    last.cancel();
    match health_server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the health server failed"),
        Err(error) => tracing::warn!(%error, "the health server ended abnormally"),
    }
    wakes
}

async fn connect() -> anyhow::Result<Client> {
    let config = kube::Config::infer().await?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&ApiSteps).build())
}

async fn serve_wakes(
    context: &Arc<Context>,
    health: &Health,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        () = load_trust(context) => {}
        () = stop.cancelled() => return Ok(()),
    }
    let address = context.config.wake_address;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))?;
    let (certificates, tls) = watch::channel(certificate(context)?);
    let renewal = tokio::spawn(renew(Arc::clone(context), certificates));
    let waker = Waker::new(
        RealCluster(Arc::clone(context)),
        RealRuntimes(Arc::clone(context)),
        Limits::with_deadline(context.config.wake_deadline),
        context.metrics.wakes.clone(),
    );
    let end = CancellationToken::new();
    let server = server::serve(listener, tls, waker, Authenticator::new(Arc::clone(context)), end.clone());
    let server = tokio::spawn(server);
    health.set_waking(true);
    tracing::info!(%address, "wakes are served");
    stop.cancelled().await;
    health.set_waking(false);
    tokio::time::sleep(LEAVE_DELAY).await;
    end.cancel();
    server.await.context("the wake server ended abnormally")?;
    renewal.abort();
    Ok(())
}

async fn load_trust(context: &Context) {
    loop {
        match trust::load(&context.client, &context.config.namespace).await {
            Ok(Some(trust)) => match context.set_trust(trust) {
                Ok(()) => return,
                Err(error) => tracing::error!(%error, "the internal keys cannot be used"),
            },
            Ok(None) => tracing::info!("waiting for the internal keys"),
            Err(error) => tracing::warn!(%error, "the internal keys could not be loaded"),
        }
        tokio::time::sleep(TRUST_LOOK).await;
    }
}

fn certificate(context: &Context) -> anyhow::Result<Arc<ServerConfig>> {
    let trusted = context.trusted()?;
    let identity = trusted.trust.authority.issue(OPERATOR_TLS_NAME, context.now())?;
    Ok(trust::server_config(&identity)?)
}

async fn renew(context: Arc<Context>, certificates: watch::Sender<Arc<ServerConfig>>) {
    loop {
        tokio::time::sleep(CERTIFICATE_RENEWAL).await;
        match certificate(&context) {
            Ok(renewed) => drop(certificates.send_replace(renewed)),
            Err(error) => tracing::error!(%error, "the serving certificate could not be renewed"),
        }
    }
}

fn stop_on_signal(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(())
}
