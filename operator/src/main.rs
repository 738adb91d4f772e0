//! The operator's process, and the commands that look at its work.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use roost_operator::{
    config::{Config, LogFormat},
    fsck, garbage, process,
};
use roost_transport::tls::install_provider;
use tokio::runtime::{Builder, Runtime};
use tracing_subscriber::EnvFilter;

/// Exit status of a command that could not find out.
const UNDECIDED: u8 = 2;

/// Without a command it is the operator: it reconciles Tenants, Snapshots, Branches and TenantClasses, and wakes
/// tenants for the gateway.
#[derive(Parser)]
#[command(name = "roost-operator", version, subcommand_negates_reqs = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Option<Config>,
}

#[derive(Subcommand)]
enum Command {
    /// Its first name was `reachability`.
    #[command(alias = "reachability")]
    Fsck(fsck::Options),
    Collect(garbage::command::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    install_provider()?;
    match Cli::parse() {
        Cli { command: Some(Command::Fsck(options)), .. } => Ok(fsck(&options)?),
        Cli { command: Some(Command::Collect(options)), .. } => Ok(collect(&options)?),
        Cli { config: Some(config), .. } => operate(config),
        // With neither, clap has said which flags are missing.
        Cli { .. } => Ok(ExitCode::from(UNDECIDED)),
    }
}

fn operate(config: Config) -> anyhow::Result<ExitCode> {
    start_logging(&config)?;
    runtime()?.block_on(process::run(config))?;
    Ok(ExitCode::SUCCESS)
}

fn fsck(options: &fsck::Options) -> anyhow::Result<ExitCode> {
    Ok(match runtime()?.block_on(fsck::run(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => undecided(&error),
    })
}

fn collect(options: &garbage::command::Options) -> anyhow::Result<ExitCode> {
    let collected = runtime()?.block_on(garbage::command::run(options));
    Ok(collected.map_or_else(|error| undecided(&error), |()| ExitCode::SUCCESS))
}

fn undecided(error: &anyhow::Error) -> ExitCode {
    eprintln!("Error: {error:#}");
    ExitCode::from(UNDECIDED)
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

fn start_logging(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    match config.log_format {
        LogFormat::Json => subscriber.json().init(),
        LogFormat::Text => subscriber.init(),
    }
    Ok(())
}
