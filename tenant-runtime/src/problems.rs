//! The errors of engine and store as the public errors of the protocol's table.

use roost_engine::{OpenError, QueryError, QueryErrorKind};
use roost_protocol::problem::{ErrorCode, Problem};
use roost_store::{
    HydrateError, ObjectError, PublishError, ReadError, TakeOverError, TenantError, WriteError,
};

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
    let code = match error.kind {
        QueryErrorKind::BadRequest => ErrorCode::BadRequest,
        QueryErrorKind::InvalidSql => ErrorCode::InvalidSql,
        QueryErrorKind::NotAllowed => ErrorCode::StatementNotAllowed,
        QueryErrorKind::ReadOnly => ErrorCode::ReadOnly,
        QueryErrorKind::Failed => ErrorCode::QueryFailed,
        QueryErrorKind::OutOfMemory => ErrorCode::OutOfMemory,
        QueryErrorKind::Timeout => ErrorCode::StatementTimeout,
        QueryErrorKind::Cancelled => ErrorCode::Cancelled,
        QueryErrorKind::TransactionLeftOpen => ErrorCode::TransactionLeftOpen,
        QueryErrorKind::TransactionConflict => ErrorCode::TransactionConflict,
        QueryErrorKind::WritesPaused => ErrorCode::WritesPaused,
        QueryErrorKind::Draining => ErrorCode::Draining,
        QueryErrorKind::Busy => ErrorCode::Busy,
        QueryErrorKind::IdInUse => ErrorCode::QueryIdInUse,
        QueryErrorKind::TooManyStatements => ErrorCode::TooManyStatements,
        QueryErrorKind::EngineFailed => ErrorCode::EngineFailed,
        QueryErrorKind::Internal => ErrorCode::Internal,
    };
    let mut problem = Problem::new(code, error.message.clone());
    error.sqlstate.clone_into(&mut problem.sqlstate);
    problem.error_type = error.error_type.map(str::to_owned);
    problem.position = error.position.map(|position| position as u64);
    problem.hint = error.hint.as_deref().map(str::to_owned);
    problem.retry_after = match code {
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

/// The bucket gave no good answer.
pub fn of_object(error: &ObjectError) -> Problem {
    let code = match error {
        ObjectError::Denied { .. } | ObjectError::NoSuchBucket { .. } => ErrorCode::StorageDenied,
        ObjectError::NotFound { .. } | ObjectError::TooLarge { .. } | ObjectError::TooShort { .. } => {
            ErrorCode::DataCorrupted
        }
        ObjectError::Undecided { .. }
        | ObjectError::PreconditionFailed { .. }
        | ObjectError::ListingIncomplete { .. } => ErrorCode::StorageUnreachable,
        _ => ErrorCode::Internal,
    };
    let problem = Problem::new(code, error.to_string());
    if code == ErrorCode::StorageUnreachable { problem.retry_after(LATER) } else { problem }
}

/// An object could not be read.
pub fn of_read(error: &ReadError) -> Problem {
    match error {
        ReadError::Object(error) => of_object(error),
        other => Problem::new(ErrorCode::DataCorrupted, other.to_string()),
    }
}

/// An object could not be written.
pub fn of_write(error: &WriteError) -> Problem {
    match error {
        WriteError::Refused(error) => of_object(error),
        WriteError::Read(error) => of_read(error),
        other => Problem::new(ErrorCode::StorageUnreachable, other.to_string()).retry_after(LATER),
    }
}

/// The branch was not taken over.
pub fn of_take_over(error: &TakeOverError) -> Problem {
    match error {
        TakeOverError::NotSealed { .. } => {
            Problem::new(ErrorCode::NotSealed, error.to_string()).retry_after(SOON)
        }
        TakeOverError::Lost { .. } => Problem::new(ErrorCode::Fenced, error.to_string()).retry_after(SOON),
        TakeOverError::NotFound(_) => Problem::new(ErrorCode::DataMissing, error.to_string()),
        TakeOverError::OwnedElsewhere(_) => Problem::new(ErrorCode::DataOwnedElsewhere, error.to_string()),
        TakeOverError::Key(_) => Problem::new(ErrorCode::KeyUnavailable, error.to_string()),
        TakeOverError::Read(error) => of_read(error),
        TakeOverError::Write(error) => of_write(error),
    }
}

/// The local file could not be built.
pub fn of_hydrate(error: &HydrateError) -> Problem {
    match error {
        HydrateError::Read(error) => of_read(error),
        HydrateError::Key(_) => Problem::new(ErrorCode::KeyUnavailable, error.to_string()),
        HydrateError::NotPinned(_) => Problem::new(ErrorCode::DataMissing, error.to_string()),
        HydrateError::Local { .. } => Problem::new(ErrorCode::Internal, error.to_string()),
    }
}

/// A publish or seal failed.
pub fn of_publish(error: &PublishError) -> Problem {
    match error {
        PublishError::Fenced { .. } => Problem::new(ErrorCode::Fenced, error.to_string()).retry_after(SOON),
        PublishError::Undecided(_) => {
            Problem::new(ErrorCode::StorageUnreachable, error.to_string()).retry_after(LATER)
        }
        PublishError::Read(error) => of_read(error),
        PublishError::Write(error) => of_write(error),
        PublishError::Ended(_) => Problem::new(ErrorCode::NotServing, error.to_string()),
        PublishError::TooLarge(_) | PublishError::ForeignDatabase { .. } | PublishError::Local(_) => {
            Problem::new(ErrorCode::Internal, error.to_string())
        }
    }
}

/// A step on the tenant's prefix failed.
pub fn of_tenant(error: &TenantError) -> Problem {
    let code = match error {
        TenantError::OwnedElsewhere { .. } => ErrorCode::DataOwnedElsewhere,
        TenantError::DataMissing { .. } => ErrorCode::DataMissing,
        TenantError::Read(error) => return of_read(error),
        TenantError::Write(error) => return of_write(error),
        _ => ErrorCode::TenantNotReady,
    };
    Problem::new(code, error.to_string())
}

/// The init script failed; the engine's position becomes a line, which is what a person counts in.
pub fn of_init_script(sql: &str, error: &QueryError) -> Problem {
    if error.kind == QueryErrorKind::WritesPaused {
        // Nothing is wrong with the script.
        return of_query(error);
    }
    let line = error.position.map(|position| line_of(sql, position));
    let at = line.map_or_else(String::new, |line| format!(" at line {line}"));
    let mut problem = of_query(error);
    let because = Problem::new(
        ErrorCode::InitScriptFailed,
        format!(
            "the init script failed{at}: {error}; nothing of it was kept: correct what source.initScript refers to, or \
             delete the Tenant and create it again if the script is in its spec"
        ),
    );
    problem.type_uri = because.type_uri;
    problem.code = because.code;
    problem.title = because.title;
    problem.status = because.status;
    problem.detail = because.detail;
    problem.advice = because.advice;
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
        assert_eq!(of_query(&error).advice, Advice::Retry);
        error.commit_unknown = true;
        let problem = of_query(&error);
        assert_eq!((problem.code, problem.advice), (ErrorCode::OutcomeUnknown, Advice::GiveUp));
        assert_eq!((problem.status, problem.retry_after), (504, None));
    }

    #[test]
    fn positions_become_lines() {
        for (position, line) in [(0, 1), (3, 1), (4, 2), (99, 3)] {
            assert_eq!(line_of("one\ntwo\nthree", position), line);
        }
    }
}
