//! The errors of engine and store as the public errors of the protocol's table.

use roost_engine::{OpenError, QueryError};
use roost_protocol::problem::{ErrorCode, Problem};
use roost_store::PublicError;

/// Seconds after which something transient is worth another try.
const SOON: u32 = 1;
/// Seconds after which storage is worth another try.
const LATER: u32 = 5;

/// A failed query.
pub fn of_query(error: &QueryError) -> Problem {
    if error.commit_unknown {
        let detail = format!("the engine failed while it committed, which may be done or not: {error}");
        return Problem::new(ErrorCode::OutcomeUnknown, detail);
    }
    let problem = of_failure(error);
    match error.committed_statements {
        Some(statements) => problem.after_commit(statements.into()),
        None => problem,
    }
}

/// A query that failed before it committed anything.
fn of_failure(error: &QueryError) -> Problem {
    let code = error.code;
    let mut problem = Problem::new(code, error.message.clone());
    let particulars = problem.particulars_mut();
    particulars.sqlstate = Some(error.sqlstate.to_owned()).filter(|sqlstate| sqlstate != code.sqlstate());
    particulars.error_type = error.error_type.map(str::to_owned);
    particulars.position = error.position.map(|position| position as u64);
    particulars.hint = error.hint.as_deref().map(str::to_owned);
    particulars.retry_after = match code {
        ErrorCode::Draining | ErrorCode::Busy | ErrorCode::EngineFailed => Some(SOON),
        ErrorCode::WritesPaused => Some(LATER),
        _ => None,
    };
    problem
}

/// The engine did not open.
pub fn of_open(error: &OpenError) -> Problem {
    let code = match error {
        OpenError::SettingNotAllowed(_) | OpenError::ReservedName(_) => ErrorCode::TenantNotReady,
        _ => ErrorCode::EngineFailed,
    };
    Problem::new(code, format!("the database could not be opened: {error}"))
}

/// An error of the store, with when to try again if that may help.
pub fn of_store(error: &impl PublicError) -> Problem {
    let problem = Problem::new(error.code(), error.to_string());
    match problem.code {
        ErrorCode::NotSealed | ErrorCode::Fenced => problem.retry_after(SOON),
        ErrorCode::StorageUnreachable => problem.retry_after(LATER),
        _ => problem,
    }
}

/// The init script failed; the engine's position becomes a line, which is what a person counts in.
pub fn of_init_script(sql: &str, error: &QueryError) -> Problem {
    if error.code == ErrorCode::WritesPaused {
        // Nothing is wrong with the script.
        return of_query(error);
    }
    let line = error.position.map(|position| line_of(sql, position));
    let at = line.map_or_else(String::new, |line| format!(" at line {line}"));
    let detail = format!(
        "the init script failed{at}: {error}; nothing of it was kept: correct what source.initScript refers to, or \
         delete the Tenant and create it again if the script is in its spec"
    );
    let mut problem = of_query(error);
    // A SQLSTATE of the statement's says more than that of the code; it stays, as do DuckDB's particulars.
    let sqlstate = problem.sqlstate().to_owned();
    problem.particulars_mut().sqlstate = Some(sqlstate);
    (problem.code, problem.detail) = (ErrorCode::InitScriptFailed, detail);
    problem
}

fn line_of(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::Advice;

    #[test]
    fn a_commit_in_which_the_engine_died_is_not_sent_again() {
        let mut error = QueryError::failed_engine();
        assert_eq!(of_query(&error).advice(), Advice::Retry);
        error.commit_unknown = true;
        let problem = of_query(&error);
        assert_eq!((problem.code, problem.advice()), (ErrorCode::OutcomeUnknown, Advice::GiveUp));
        assert_eq!((problem.status(), problem.particulars().retry_after), (504, None));
    }

    #[test]
    fn positions_become_lines() {
        for (position, line) in [(0, 1), (3, 1), (4, 2), (99, 3)] {
            assert_eq!(line_of("one\ntwo\nthree", position), line);
        }
    }
}
