//! The process's last words and its exit code.

use roost_protocol::{
    problem::Problem,
    report::Report,
    status::{EXIT_FAILED, EXIT_FENCED, EXIT_SEALED, Ending, RuntimeState},
};
use std::path::Path;

/// Most bytes that Kubernetes keeps of a termination message.
const MAX_MESSAGE_BYTES: usize = 4096;
/// Characters of a text that has to be shortened.
const MAX_TEXT: usize = 512;

/// An end before anything was served.
pub const fn failed(problem: Problem) -> Ending {
    Ending {
        state: RuntimeState::Failed,
        position: None,
        database_size: None,
        last_active: None,
        problem: Some(problem),
        report: None,
    }
}

/// An end without a tenant.
pub const fn unused() -> Ending {
    Ending {
        state: RuntimeState::Sealed,
        position: None,
        database_size: None,
        last_active: None,
        problem: None,
        report: None,
    }
}

/// The exit code of an end.
pub const fn exit_code(ending: &Ending) -> u8 {
    match ending.state {
        RuntimeState::Sealed => EXIT_SEALED,
        RuntimeState::Fenced => EXIT_FENCED,
        _ => EXIT_FAILED,
    }
}

/// Writes the last words, if there is a place for them.
pub fn write(ending: &Ending, place: Option<&Path>) {
    foretell(Some(ending), place);
}

/// Writes what the last words are if none are said later; none empties their place.
pub fn foretell(ending: Option<&Ending>, place: Option<&Path>) {
    let Some(place) = place else { return };
    if let Err(error) = std::fs::write(place, ending.map(message).unwrap_or_default()) {
        tracing::warn!(%error, place = %place.display(), "the termination message could not be written");
    }
}

/// The last words as JSON that fits; a long text of a problem is shortened, never the JSON.
fn message(ending: &Ending) -> Vec<u8> {
    let whole = serde_json::to_vec(ending).unwrap_or_default();
    if whole.len() <= MAX_MESSAGE_BYTES {
        return whole;
    }
    let shortened = |text: &str| text.chars().take(MAX_TEXT).collect();
    let mut short = ending.clone();
    if let Some(problem) = &mut short.problem {
        problem.detail = shortened(&problem.detail);
        problem.particulars_mut().hint = None;
    }
    if let Some(Report::Replay(report)) = &mut short.report {
        report.error = report.error.as_deref().map(shortened);
    }
    let shortened = serde_json::to_vec(&short).unwrap_or_default();
    if shortened.len() <= MAX_MESSAGE_BYTES {
        return shortened;
    }
    short.report = None;
    serde_json::to_vec(&short).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::ErrorCode;

    #[test]
    fn last_words_fit_and_stay_json() {
        let ending = failed(Problem::new(ErrorCode::InitScriptFailed, "\u{1f986}".repeat(5000)));
        let message = message(&ending);
        assert!(message.len() <= MAX_MESSAGE_BYTES);
        let read: Ending = serde_json::from_slice(&message).unwrap();
        assert_eq!(read.problem.unwrap().code, ErrorCode::InitScriptFailed);
        assert_eq!(exit_code(&ending), EXIT_FAILED);
    }

    #[test]
    fn a_replay_is_reported_however_long_its_error_is() {
        let commit = serde_json::json!({"time": "2026-11-20T10:00:05Z", "position": {"branch": "main",
            "lineage": "01".repeat(16), "epoch": 1, "manifest": 1, "id": "02".repeat(16), "sequence": 5, "offset": 0}});
        let report = serde_json::json!({"engineVersion": "1.5.6", "commits": 5, "replayed": 3, "opens": commit,
            "fails": commit, "error": "long".repeat(5000), "end": commit});
        let report = Report::Replay(Box::new(serde_json::from_value(report).unwrap()));
        let ending = Ending { report: Some(report), ..unused() };
        let read: Ending = serde_json::from_slice(&message(&ending)).unwrap();
        let Some(Report::Replay(read)) = read.report else { panic!("{read:?}") };
        assert_eq!((read.replayed, read.error.unwrap().len()), (3, MAX_TEXT));
    }

    #[test]
    fn what_was_foretold_is_taken_back() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let read = || std::fs::read(place.path()).unwrap();
        foretell(Some(&failed(Problem::new(ErrorCode::ReplayFailed, "why"))), Some(place.path()));
        assert!(serde_json::from_slice::<Ending>(&read()).is_ok());
        foretell(None, Some(place.path()));
        assert_eq!(read(), b"");
    }
}
