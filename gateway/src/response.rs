//! Answers that the gateway gives itself.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use roost_protocol::problem::{ErrorCode, Problem};

/// Why a body ended early.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// Body of every answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, BodyError>;

/// A body that is there at once.
pub fn full(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Done, with nothing to say.
pub fn no_content() -> Response<AnswerBody> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A problem as an answer; says how to authenticate where that is what lacks.
pub fn problem(problem: &Problem) -> Response<AnswerBody> {
    let mut response = roost_transport::problem::answer(problem).map(full);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if problem.code == ErrorCode::Unauthenticated {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"roostdb.dev\""));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::PROBLEM_MEDIA_TYPE;

    #[test]
    fn a_problem_becomes_an_answer() {
        let id = uuid::Uuid::from_u128(7);
        let answer = problem(&Problem::new(ErrorCode::Busy, "too many").retry_after(2).of_query(id));
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["roost-query-id"], id.to_string());
        assert_eq!(answer.headers()["retry-after"], "2");
        assert_eq!(answer.headers()["content-type"], PROBLEM_MEDIA_TYPE);
        let answer = problem(&Problem::new(ErrorCode::Unauthenticated, "who?"));
        assert!(answer.headers().contains_key("www-authenticate"));
    }
}
