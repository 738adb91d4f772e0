//! Entry point: settings and logging.

use clap::Parser as _;
use roost_transport::tls::install_provider;
use tenant_runtime::{config::Config, process, workers::replay_check};
use tracing_subscriber::EnvFilter;

fn main() -> std::io::Result<()> {
    let config = Config::parse();
    start_logging(&config);
    install_provider().map_err(std::io::Error::other)?;
    if config.replay_attempt {
        return replay_check::attempt(&config);
    }
    process::run(&config)
}

fn start_logging(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if config.standalone.is_some() { logs.init() } else { logs.json().init() }
}
