//! Processes that end themselves at a chosen step of a publish.
//!
//! The steps are trace events (`roost_store::step`). A test runs its own binary again, as another process, with
//! the runtime's code and a subscriber that counts them; the programs that are released know nothing of it.

use roost_store::step::TARGET;
use std::{
    fmt,
    path::PathBuf,
    process::Command,
    sync::{Mutex, PoisonError},
};
use tenant_runtime::{config::Config, process};
use tracing::field::{Field, Visit};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, util::SubscriberInitExt as _};

const ARGUMENTS: &str = "ROOST_TEST_ARGUMENTS";
const DURING: &str = "ROOST_TEST_DIE_DURING";
const ONLY: &str = "ROOST_TEST_DIE_ONLY_AT";
const STEP: &str = "ROOST_TEST_DIE_AT_STEP";
const OBITUARY: &str = "ROOST_TEST_OBITUARY";

/// The signal that these processes die of: SIGABRT, which they send to themselves.
pub const SIGNAL: i32 = 6;

/// Where a process shall die.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The step in which steps are counted: `publish` or `seal`.
    pub during: &'static str,
    /// Which steps count; all if none is named.
    pub only: Option<&'static str>,
    /// Which of them, from 0. When there are fewer, the process dies at its end.
    pub at: u64,
    /// Where it writes at which step it died.
    pub obituary: PathBuf,
}

impl Fate {
    /// The command that runs the calling test's binary again, there to call [`if_mortal`] in the test `name`.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", name, "--include-ignored", "--nocapture"])
            .env(ARGUMENTS, serde_json::to_string(arguments).unwrap())
            .env(DURING, self.during)
            .env(ONLY, self.only.unwrap_or_default())
            .env(STEP, self.at.to_string())
            .env(OBITUARY, &self.obituary);
        command
    }

    /// The dead process's last step: its phase, name and subject.
    pub fn last_step(&self) -> String {
        std::fs::read_to_string(&self.obituary).unwrap()
    }
}

/// Lives and dies as the fate in the environment says, if there is one. Each test that uses [`Fate::command`]
/// begins with this.
pub fn if_mortal() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
    let setting = |name: &str| std::env::var(name).unwrap();
    let death = Death {
        during: setting(DURING),
        only: setting(ONLY),
        at: setting(STEP).parse().unwrap(),
        obituary: setting(OBITUARY).into(),
        counted: Mutex::default(),
    };
    tracing_subscriber::registry().with(death).init();
    let config: Config = clap::Parser::parse_from(["tenant-runtime".to_owned()].into_iter().chain(arguments));
    // The test's own runtime can run no other.
    let _never = std::thread::spawn(move || process::run(&config)).join();
}

/// Counts steps, and ends the process.
struct Death {
    during: String,
    /// Name of the steps that count; empty if all do.
    only: String,
    at: u64,
    obituary: PathBuf,
    /// Steps that counted so far; none before the step in which they count.
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
        let bound = seen.step == self.during;
        if counted.is_none() && !(bound && seen.phase == "before") {
            return;
        }
        let number = counted.get_or_insert_default();
        let counts = self.only.is_empty() || seen.step == self.only;
        if (counts && *number == self.at) || (bound && seen.phase == "after") {
            std::fs::write(&self.obituary, format!("{} {} {}", seen.phase, seen.step, seen.subject)).unwrap();
            std::process::abort();
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
