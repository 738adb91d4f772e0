//! Entry point: configuration, logging, signals, and the exit code.

use clap::Parser as _;
use roost_protocol::status::Ending;
use std::process::ExitCode;
use tenant_runtime::{config::Config, ending, pod, standalone};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Exit code of a process that could not even start.
const EXIT_UNSTARTED: u8 = 2;

fn main() -> ExitCode {
    let config = Config::parse();
    start_logging(&config);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the async runtime could not be started");
            return ExitCode::from(EXIT_UNSTARTED);
        }
    };
    let ending = runtime.block_on(run(&config));
    ending::write(&ending, config.termination_log());
    if let Some(problem) = &ending.problem {
        tracing::error!(code = ?problem.code, detail = problem.detail, "ended: {}", problem.title);
    }
    // Threads of the engine may be anywhere; what counts is in the bucket.
    std::process::exit(i32::from(ending::exit_code(&ending)));
}

fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if config.standalone.is_some() { logs.init() } else { logs.json().init() }
}

async fn run(config: &Config) -> Ending {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let ended = match &config.standalone {
        Some(folder) => standalone::run(config, folder, &stop).await,
        None => pod::run(config, &stop).await,
    };
    ended.unwrap_or_else(ending::failed)
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be received");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
}
