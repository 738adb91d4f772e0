//! A process from its settings to its exit: signals, and which of the two lives it leads.

pub mod pod;
pub mod standalone;

use crate::{config::Config, lifecycle::ending};
use roost_protocol::status::Ending;
use roost_transport::signals::stop_on_signal;
use tokio_util::sync::CancellationToken;

/// Exit code of a process that could not even start.
const EXIT_UNSTARTED: i32 = 2;

/// Lives, writes the last words, and exits.
pub fn run(config: &Config) -> ! {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the async runtime could not be started");
            std::process::exit(EXIT_UNSTARTED);
        }
    };
    let ending = runtime.block_on(live(config));
    ending::write(&ending, config.termination_log());
    if let Some(problem) = &ending.problem {
        tracing::error!(code = ?problem.code, detail = problem.detail, "ended: {}", problem.title());
    }
    // Threads of the engine may be anywhere; what counts is in the bucket.
    std::process::exit(i32::from(ending::exit_code(&ending)));
}

async fn live(config: &Config) -> Ending {
    let stop = stop_on_signal().unwrap_or_else(|error| {
        tracing::error!(%error, "signals cannot be received");
        CancellationToken::new()
    });
    let ended = match &config.standalone {
        Some(folder) => standalone::run(config, folder, &stop).await,
        None => pod::run(config, &stop).await,
    };
    ended.unwrap_or_else(ending::failed)
}
