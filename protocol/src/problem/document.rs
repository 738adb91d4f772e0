//! The RFC 9457 document of a problem, as it is sent.

use super::{Advice, ErrorCode, Particulars, Problem};
use serde::{Deserialize, Serialize};

/// A problem with all that follows from it.
#[derive(Serialize, Deserialize)]
pub(super) struct Document {
    /// `https://roostdb.dev/problems/<code>`.
    #[serde(rename = "type")]
    type_uri: String,
    code: ErrorCode,
    title: String,
    status: u16,
    detail: String,
    sqlstate: String,
    advice: Advice,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query_id: Option<uuid::Uuid>,
    #[serde(default, rename = "committedStatements", skip_serializing_if = "Option::is_none")]
    committed_statements: Option<u64>,
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
