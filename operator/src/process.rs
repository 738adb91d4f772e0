//! The process: parts started in order, stopped in reverse.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, client::ClientBuilder};
use roost_protocol::names::OPERATOR_TLS_NAME;
use roost_store::Environment;
use roost_transport::{
    health,
    signals::stop_on_signal,
    tls::{Certificate, HTTP_1_1, ServerTls},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    context::Context,
    health::Health,
    kubernetes::ApiSteps,
    leader,
    trust::{self, Identity},
    wake::{Limits, Waker, auth::Authenticator, cluster::RealCluster, pods::RealRuntimes, server},
};

/// Pause between looks for the keys, until they are there.
const TRUST_LOOK: Duration = Duration::from_secs(1);
/// Pause after which the serving certificate is made anew.
const CERTIFICATE_RENEWAL: Duration = Duration::from_hours(24);
/// Time for which wakes are still accepted after the stop, while the gateway learns of it.
const LEAVE_DELAY: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let stop = stop_on_signal()?;
    let client = connect().await.context("no way to the Kubernetes API server was found")?;
    let context = Context::new(client, config, Environment::system());
    let health = Arc::new(Health::new(Arc::clone(&context.metrics)));
    let address = context.config.health_address;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen at {address}"))?;
    let last = CancellationToken::new();
    let health_server = tokio::spawn(health::serve(listener, Arc::clone(&health), last.clone()));
    let election = tokio::spawn(leader::lead(Arc::clone(&context), stop.clone()));
    let wakes = serve_wakes(&context, &health, &stop).await;
    stop.cancel();
    if let Err(error) = election.await {
        tracing::error!(%error, "the election ended abnormally");
    }
    last.cancel();
    if let Err(error) = health_server.await {
        tracing::warn!(%error, "the health server ended abnormally");
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
    let identity = issue(context)?;
    let certificate = Certificate::from_pem(&identity.certificate, &identity.key)?;
    let tls = ServerTls::new(&certificate, &[HTTP_1_1], server::HANDSHAKE_TIMEOUT)?;
    let renewal = tokio::spawn(renew(Arc::clone(context), certificate));
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

fn issue(context: &Context) -> anyhow::Result<Identity> {
    Ok(context.trusted()?.trust.authority.issue(OPERATOR_TLS_NAME, context.now())?)
}

async fn renew(context: Arc<Context>, certificate: Arc<Certificate>) {
    loop {
        tokio::time::sleep(CERTIFICATE_RENEWAL).await;
        let renewed =
            issue(&context).and_then(|issued| Ok(certificate.replace(&issued.certificate, &issued.key)?));
        if let Err(error) = renewed {
            tracing::error!(%error, "the serving certificate could not be renewed");
        }
    }
}
