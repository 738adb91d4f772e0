//! Entry point: reads the configuration, follows what the gateway must know, serves until told to stop.

use anyhow::Context as _;
use clap::Parser as _;
use roost_gateway::{
    config::Config, health::Health, http::Gateway, keys, metrics::Metrics, operator, server::Server, setup,
    tls::ServingCertificate,
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).context("ROOST_LOG cannot be read")?;
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another TLS provider is installed already"))?;
    run(config).await
}

async fn run(config: Config) -> anyhow::Result<()> {
    // Before anything else: the kernel drops signals that the first process of a container does not receive.
    let terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let client = kube::Client::try_default().await.context("cannot find out how to reach the API server")?;
    let metrics = Arc::new(Metrics::default());
    let (keys_sender, keys_receiver) = watch::channel(None);
    let (endpoints_sender, endpoints) = watch::channel(BTreeSet::new());
    tokio::spawn(keys::follow(client.clone(), config.namespace.clone(), keys_sender));
    tokio::spawn(operator::follow_endpoints(
        client.clone(),
        config.namespace.clone(),
        config.operator_service.clone(),
        endpoints_sender,
    ));

    let leaving = CancellationToken::new();
    let health = Arc::new(Health {
        keys: keys_receiver.clone(),
        endpoints: endpoints.clone(),
        leaving: leaving.clone(),
        metrics: Arc::clone(&metrics),
    });

    let gateway: Arc<Gateway> = setup::gateway(&config, client, keys_receiver, endpoints, metrics);
    let sweeper = Arc::clone(&gateway);
    tokio::spawn(async move { sweeper.forwarder.sweep().await });
    let server = Server {
        gateway,
        tls: tls(&config).await?,
        limits: setup::server_limits(&config),
        leaving: leaving.clone(),
    };
    let listener = TcpListener::bind(config.listen).await.context("cannot listen for clients")?;
    tracing::info!(address = %config.listen, tls = server.tls.is_some(), "serving");
    // After it: clients are sent here as soon as this says that it is ready.
    let health_listener =
        TcpListener::bind(config.health_listen).await.context("cannot listen for health")?;
    tokio::spawn(health.serve(health_listener));

    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(listener, stop.clone()));
    asked_to_stop(terminate, interrupt).await;
    tracing::info!("leaving: not ready any more, accepting a little longer");
    leaving.cancel();
    sleep(config.shutdown_delay).await;
    stop.cancel();
    serving.await.context("the server failed")?;
    tracing::info!("all requests have ended");
    Ok(())
}

async fn tls(config: &Config) -> anyhow::Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let certificate = ServingCertificate::load(certificate.clone(), key.clone())
        .await
        .context("the serving certificate cannot be loaded")?;
    let acceptor = TlsAcceptor::from(certificate.server_config());
    tokio::spawn(async move { certificate.follow().await });
    Ok(Some(acceptor))
}

async fn asked_to_stop(mut terminate: Signal, mut interrupt: Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
