//! Public errors: the table of what there is, and one that occurred, as it is told to clients.

mod document;
mod table;

pub use table::{Advice, ErrorCode};

use document::Document;
use serde::{Deserialize, Serialize};

/// Media type of a [`Problem`] (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// An error that occurred: a code of the table and what is particular to this case. What follows from these (title,
/// status, advice, SQLSTATE) is written beside them in the RFC 9457 document that clients get.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Document", into = "Document")]
pub struct Problem {
    /// The error's name in the table.
    pub code: ErrorCode,
    /// Account of what happened, why, and what to do.
    pub detail: String,
    particulars: Option<Box<Particulars>>,
}

/// Further members, each of which only some problems have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Particulars {
    /// When trying again may help, in seconds; also sent as `Retry-After`.
    pub retry_after: Option<u32>,
    /// A SQLSTATE that says more than the table's.
    pub sqlstate: Option<String>,
    /// DuckDB's error type, such as `Binder`.
    pub error_type: Option<String>,
    /// Byte offset into the SQL text.
    pub position: Option<u64>,
    /// A suggestion.
    pub hint: Option<String>,
    /// The query's id.
    pub query_id: Option<uuid::Uuid>,
    /// Number of statements of the request, from its first, that were executed and stay so, for what they changed is
    /// committed; 0 if that is only a part of the first. Absent if nothing was committed, or if that is unknown.
    pub committed_statements: Option<u64>,
}

impl Particulars {
    const NONE: Self = Self {
        retry_after: None,
        sqlstate: None,
        error_type: None,
        position: None,
        hint: None,
        query_id: None,
        committed_statements: None,
    };
}

impl Problem {
    /// A problem of the table.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), particulars: None }
    }

    /// Its members besides code and detail.
    pub fn particulars(&self) -> &Particulars {
        self.particulars.as_deref().unwrap_or(&Particulars::NONE)
    }

    /// The same, to be changed.
    pub fn particulars_mut(&mut self) -> &mut Particulars {
        self.particulars.get_or_insert_default()
    }

    /// Number of statements of the request that stay committed; see [`Particulars::committed_statements`].
    pub fn committed_statements(&self) -> Option<u64> {
        self.particulars().committed_statements
    }

    /// The same with a time after which trying again may help.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.particulars_mut().retry_after = Some(seconds);
        self
    }

    /// The same with a suggestion.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.particulars_mut().hint = Some(hint.into());
        self
    }

    /// The same of the query with this id.
    #[must_use]
    pub fn of_query(mut self, id: uuid::Uuid) -> Self {
        self.particulars_mut().query_id = Some(id);
        self
    }

    /// The same, of a request whose first `statements` are committed. It is not to be sent again as it was: the advice
    /// is to give up, and no status that invites clients and proxies to repeat it (503) stays.
    #[must_use]
    pub fn after_commit(mut self, statements: u64) -> Self {
        let particulars = self.particulars_mut();
        particulars.committed_statements = Some(statements);
        particulars.retry_after = None;
        particulars.hint = Some(match statements {
            0 => "A part of the first statement is committed: look before you send the request again".into(),
            1 => "The first statement was executed and stays so: send at most what follows it".into(),
            _ => {
                format!(
                    "The first {statements} statements were executed and stay so: send at most what follows them"
                )
            }
        });
        self
    }

    /// Short text that is the same for every occurrence.
    pub const fn title(&self) -> &'static str {
        self.code.title()
    }

    /// HTTP status to answer with.
    pub fn status(&self) -> u16 {
        const UNAVAILABLE: u16 = 503;
        match self.code.http_status() {
            UNAVAILABLE if self.committed_statements().is_some() => ErrorCode::Internal.http_status(),
            status => status,
        }
    }

    /// SQLSTATE to answer with.
    pub fn sqlstate(&self) -> &str {
        self.particulars().sqlstate.as_deref().unwrap_or(self.code.sqlstate())
    }

    /// Advice to the caller: to give up if something of the request stays committed, else that of the table.
    pub fn advice(&self) -> Advice {
        if self.committed_statements().is_some() { Advice::GiveUp } else { self.code.advice() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title(), self.detail)
    }
}

impl From<Problem> for Document {
    fn from(problem: Problem) -> Self {
        let (title, status, advice) = (problem.title().into(), problem.status(), problem.advice());
        let sqlstate = problem.sqlstate().into();
        let Problem { code, detail, particulars } = problem;
        let Particulars {
            retry_after,
            error_type,
            position,
            hint,
            query_id,
            committed_statements,
            sqlstate: _,
        } = particulars.map(|particulars| *particulars).unwrap_or_default();
        Self {
            type_uri: format!("https://roostdb.dev/problems/{}", code.name()),
            code,
            title,
            status,
            detail,
            sqlstate,
            advice,
            retry_after,
            error_type,
            position,
            hint,
            query_id,
            committed_statements,
        }
    }
}

impl From<Document> for Problem {
    fn from(document: Document) -> Self {
        let sqlstate = Some(document.sqlstate).filter(|sqlstate| sqlstate != document.code.sqlstate());
        let particulars = Particulars {
            retry_after: document.retry_after,
            sqlstate,
            error_type: document.error_type,
            position: document.position,
            hint: document.hint,
            query_id: document.query_id,
            committed_statements: document.committed_statements,
        };
        let particulars = (particulars != Particulars::NONE).then(|| Box::new(particulars));
        Self { code: document.code, detail: document.detail, particulars }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_its_row() {
        let problem = Problem::new(ErrorCode::WritesPaused, "no publish for 2 minutes").retry_after(5);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "https://roostdb.dev/problems/writes-paused");
        assert_eq!(json["status"], 503);
        assert_eq!(json["sqlstate"], "53100");
        assert_eq!(json["advice"], "retry");
        assert_eq!(json["retry_after"], 5);
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    #[test]
    fn particulars_survive_the_way_to_another_process() {
        let mut problem = Problem::new(ErrorCode::QueryFailed, "no such column").of_query(uuid::Uuid::nil());
        problem.particulars_mut().sqlstate = Some("42703".into());
        problem.particulars_mut().error_type = Some("Binder".into());
        problem.particulars_mut().position = Some(7);
        let problem = problem.after_commit(3);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!((&json["sqlstate"], &json["position"]), (&"42703".into(), &7.into()));
        assert_eq!(serde_json::from_value::<Problem>(json).unwrap(), problem);
    }

    #[test]
    fn nobody_is_asked_to_repeat_what_is_committed_in_part() {
        for code in [ErrorCode::Draining, ErrorCode::TransactionConflict, ErrorCode::QueryFailed] {
            let problem = Problem::new(code, "").retry_after(5).hint("Run it again").after_commit(2);
            let json = serde_json::to_value(&problem).unwrap();
            assert_eq!(
                (&json["committedStatements"], &json["advice"]),
                (&2.into(), &"give-up".into()),
                "{json}"
            );
            assert!(json["status"] != 503 && json.get("retry_after").is_none(), "{json}");
            assert!(json["hint"].as_str().unwrap().contains("first 2 statements"), "{json}");
        }
    }
}
