//! Processes that end themselves at a chosen step.
//!
//! The steps are trace events (`roost_store::step`). A test runs its own binary again, as another process, with the
//! program's code and a subscriber that counts them; the programs that are released know nothing of it.

use roost_store::step::TARGET;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};
use tracing::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, util::SubscriberInitExt as _};

const FATE: &str = "ROOST_TEST_FATE";
const ARGUMENTS: &str = "ROOST_TEST_ARGUMENTS";

/// The signal that these processes die of: SIGABRT, which they send to themselves.
pub const SIGNAL: i32 = 6;

/// From when on steps count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Begin {
    /// From before this step on. After it the process dies at the latest.
    Step(String),
    /// From when this file exists.
    File(PathBuf),
}

/// Way in which a process stops itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manner {
    /// It dies.
    Die,
    /// It stands still, by SIGSTOP, until someone lets it continue.
    Freeze,
}

/// Where a process shall die, or freeze.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fate {
    /// Way in which it stops.
    pub manner: Manner,
    /// From when on steps count.
    pub begin: Begin,
    /// The steps that count, by name, or by phase and name; all if none is named.
    pub only: Vec<String>,
    /// Steps do not count whose subject contains one of these.
    pub except: Vec<String>,
    /// Which of them it happens at, from 0.
    pub at: u64,
    /// Where it writes at which step it happened.
    pub obituary: PathBuf,
}

impl Fate {
    /// The command that runs the calling test's binary again, there to call [`if_mortal`] in the test `name`.
    pub fn command(&self, name: &str, arguments: &[&str]) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--exact", name, "--include-ignored", "--nocapture"])
            .env(ARGUMENTS, serde_json::to_string(arguments)?)
            .env(FATE, serde_json::to_string(self)?);
        Ok(command)
    }

    /// The step that it died or froze at: its phase, name and subject. None if that has not happened.
    pub fn last_step(&self) -> Option<String> {
        std::fs::read_to_string(&self.obituary).ok()
    }
}

/// Runs `program` with its arguments, to live and die as the environment says; returns at once if it says nothing.
/// Each test that uses [`Fate::command`] begins with this.
pub fn if_mortal(program: impl FnOnce(Vec<String>) + Send + 'static) {
    let setting = |name: &str| std::env::var(name).ok();
    let (Some(fate), Some(arguments)) = (setting(FATE), setting(ARGUMENTS)) else { return };
    let (Ok(fate), Ok(arguments)) = (serde_json::from_str(&fate), serde_json::from_str(&arguments)) else {
        return;
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(tracing_subscriber::filter::LevelFilter::INFO);
    tracing_subscriber::registry().with(Death { fate, counted: Mutex::default() }).with(lines).init();
    // The test's own runtime can run no other.
    let _never = std::thread::spawn(move || program(arguments)).join();
    std::process::exit(0);
}

/// Counts steps, and ends the process.
struct Death {
    fate: Fate,
    /// Steps that counted so far; none before they count.
    counted: Mutex<Option<u64>>,
}

impl<S: tracing::Subscriber> Layer<S> for Death {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != TARGET {
            return;
        }
        let mut seen = Seen::default();
        event.record(&mut seen);
        // Held to the end: nobody else comes past a step while this process dies.
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (begins, ends) = match &self.fate.begin {
            Begin::Step(step) => {
                (seen.step == *step && seen.phase == "before", seen.step == *step && seen.phase == "after")
            }
            Begin::File(file) => (counted.is_some() || file.exists(), false),
        };
        if counted.is_none() && !begins {
            return;
        }
        let number = counted.get_or_insert_default();
        let named = |only: &String| *only == seen.step || *only == format!("{} {}", seen.phase, seen.step);
        let counts = (self.fate.only.is_empty() || self.fate.only.iter().any(named))
            && !self.fate.except.iter().any(|part| seen.subject.contains(part));
        if (counts && *number == self.fate.at) || ends {
            let last = format!("{} {} {}", seen.phase, seen.step, seen.subject);
            let _unwritten = std::fs::write(&self.fate.obituary, last);
            match self.fate.manner {
                Manner::Die => std::process::abort(),
                Manner::Freeze => {
                    let pid = std::process::id().to_string();
                    let _continued = Command::new("kill").args(["-STOP", &pid]).status();
                }
            }
        }
        *number += u64::from(counts);
    }
}

#[derive(Default)]
struct Seen {
    step: String,
    phase: String,
    subject: String,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "step" => value.clone_into(&mut self.step),
            "phase" => value.clone_into(&mut self.phase),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "subject" {
            self.subject = format!("{value:?}");
        }
    }
}
