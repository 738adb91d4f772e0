//! The end of a process, as the kubelet or a terminal asks for it.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT; later ones change nothing. Call this before anything else:
/// the kernel drops signals that the first process of a container does not receive. Needs a tokio runtime.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "told to stop");
        told.cancel();
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::Duration};
    use tokio::time::timeout;

    #[tokio::test]
    async fn either_signal_tells_a_process_to_stop() {
        for name in ["-TERM", "-INT"] {
            let stop = stop_on_signal().unwrap();
            assert!(!stop.is_cancelled());
            let sent = Command::new("kill").args([name, &std::process::id().to_string()]).status().unwrap();
            assert!(sent.success());
            timeout(Duration::from_secs(30), stop.cancelled()).await.expect(name);
        }
    }
}
