//! The terminal of whoever runs a command: the form of a report, and a bar that shows progress.

use std::{io::IsTerminal as _, time::Duration};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

/// Pause between moves of the progress bar while nothing ends.
const TICK: Duration = Duration::from_millis(100);

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table and what is behind it.
    Text,
    /// One JSON document.
    Json,
}

/// Moves on a terminal only: in a pod's log it would be noise.
pub fn progress(of: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}, {eta} left") {
        bar.set_style(style);
        bar.set_message(of);
    }
    bar.enable_steady_tick(TICK);
    bar
}
