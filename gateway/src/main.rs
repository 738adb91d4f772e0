//! Entry point: reads the configuration, follows what the gateway must know, serves until told to stop.

use anyhow::Context as _;
use clap::Parser as _;
use roost_gateway::{
    config::Config,
    health::Health,
    http::Gateway,
    keys,
    metrics::Metrics,
    operator,
    server::{HANDSHAKE_TIMEOUT, Server},
    setup,
};
use roost_transport::{
    health,
    signals::stop_on_signal,
    tls::{CertificateFiles, HTTP_1_1, ServerTls, install_provider},
};
use std::{collections::BTreeSet, sync::Arc};
use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log).context("ROOST_LOG cannot be read")?;
    tracing_subscriber::fmt().json().with_env_filter(filter).init();
    install_provider()?;
    run(config).await
}

async fn run(config: Config) -> anyhow::Result<()> {
    let told = stop_on_signal().context("cannot wait for SIGTERM and SIGINT")?;
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
    let probes = Arc::new(Health {
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
    let stop = CancellationToken::new();
    // Probes are answered as long as the process lives.
    tokio::spawn(health::serve(health_listener, probes, CancellationToken::new()));
    let serving = tokio::spawn(server.run(listener, stop.clone()));
    told.cancelled().await;
    tracing::info!("leaving: not ready any more, accepting a little longer");
    leaving.cancel();
    sleep(config.shutdown_delay).await;
    stop.cancel();
    serving.await.context("the server failed")?;
    tracing::info!("all requests have ended");
    Ok(())
}

async fn tls(config: &Config) -> anyhow::Result<Option<ServerTls>> {
    let (Some(certificate), Some(key)) = (&config.tls_cert, &config.tls_key) else { return Ok(None) };
    let files = CertificateFiles::load(certificate.clone(), key.clone())
        .await
        .context("the serving certificate cannot be loaded")?;
    let tls = ServerTls::new(files.certificate(), &[HTTP_1_1], HANDSHAKE_TIMEOUT)?;
    tokio::spawn(async move { files.follow().await });
    Ok(Some(tls))
}
