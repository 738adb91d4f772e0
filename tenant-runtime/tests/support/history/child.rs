//! Histories in processes of their own: a history may kill the process that runs it.

use super::History;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

/// Mark in front of each word that a child tells, one a line.
const MARK: &str = "@history ";
/// Environment variable that holds a child's task.
const TASK: &str = "ROOST_TEST_HISTORIES";

/// Task of a child.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum Task {
    /// Run the history in this file.
    Script(std::path::PathBuf),
    /// Make and run histories of these seeds; each is written to this file while it is made.
    Seeds { first: u64, count: u64, wanted: Option<String>, script: std::path::PathBuf },
}

/// Word of a child to the test that began it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub enum Word {
    /// It begins with this seed.
    Begun(u64),
    /// The history opened as it was.
    Done(Contents),
    /// It did not: the kind of failure, all of it, and what was done.
    Failed { class: String, what: String, script: String },
}

/// Counts of what was in a history.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    /// Statements that succeeded and failed, by kind.
    pub statements: BTreeMap<String, (u64, u64)>,
    /// Kinds of statements that succeeded in what was replayed.
    pub replayed: Vec<String>,
    /// Records that were replayed, by kind.
    pub records: BTreeMap<String, u64>,
}

impl Task {
    /// The task of this process, if it is a child.
    pub fn of_this_process() -> Option<Self> {
        std::env::var(TASK).ok().map(|task| serde_json::from_str(&task).unwrap())
    }

    /// Runs a child to its end. `hear` gets its words; Err: how it ended, if not by itself.
    pub fn run(&self, table_off: bool, mut hear: impl FnMut(Word)) -> Result<(), String> {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--include-ignored", "--nocapture"])
            .env(TASK, serde_json::to_string(self).unwrap())
            .env(super::TABLE_OFF, if table_off { "1" } else { "" })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap_or_default();
            // The harness says something first, on the same line.
            if let Some((_, word)) = line.split_once(MARK) {
                hear(serde_json::from_str(word).unwrap());
            }
        }
        let status = child.wait().unwrap();
        if status.success() { Ok(()) } else { Err(status.to_string()) }
    }

    /// Runs a history in a child. Returns its failure, if any: the kind of failure, and all of it.
    pub fn failure_of(history: &History, folder: &Path, table_off: bool) -> Option<(String, String)> {
        let path = folder.join("script.sql");
        std::fs::write(&path, history.to_string()).unwrap();
        let mut failure = None;
        let ended = Self::Script(path).run(table_off, |word| {
            if let Word::Failed { class, what, .. } = word {
                failure = Some((class, what));
            }
        });
        failure.or_else(|| ended.err().map(|how| (how.clone(), how)))
    }
}

impl Word {
    /// Tells it to the parent.
    pub fn say(&self) {
        println!("{MARK}{}", serde_json::to_string(self).unwrap());
    }
}
