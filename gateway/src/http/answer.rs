//! The way of an answer to the client: which of its headers pass, and the record of how it ended.

use super::request::named_by_connection;
use crate::{
    audit::Record,
    limits::Admission,
    response::{self, AnswerBody, BodyError},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use roost_protocol::{names::SESSION_HEADER, routes::RouteError};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Headers that concern one connection only (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The runtime's headers that go on to the client. `Content-Length` does: a cut body must be seen as cut.
pub fn for_client(runtime: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(runtime);
    let passes = |name: &HeaderName| {
        !HOP_BY_HOP.contains(&name.as_str()) && name.as_str() != SESSION_HEADER && !named.contains(name)
    };
    runtime
        .iter()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The answer to a request that is no call of the API.
pub fn no_such_call(error: &RouteError) -> Response<AnswerBody> {
    let mut answer = response::problem(&error.into());
    if let Some(allowed) = error.allow().and_then(|allowed| HeaderValue::try_from(allowed).ok()) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
    answer
}

/// The answer with its record, which is written when it ends, and the place that it takes until then.
pub fn follow(
    answer: Response<AnswerBody>,
    mut record: Record,
    admission: Admission,
) -> Response<AnswerBody> {
    record.answered(answer.status().as_u16());
    answer.map(|body| Followed { body, record, _admission: admission }.boxed_unsync())
}

/// An answer's body with the line to be written at its end and the place that it takes until then.
struct Followed {
    body: AnswerBody,
    record: Record,
    _admission: Admission,
}

impl Body for Followed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(data)) => {
                self.record.sent(data.data_ref().map_or(0, |data| data.len() as u64));
                if self.body.is_end_stream() {
                    self.record.complete();
                }
            }
            Some(Err(_)) => self.record.cut(),
            None => self.record.complete(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::samples::{map, names};

    #[test]
    fn answers_lose_what_concerns_one_connection() {
        let runtime = map(&[
            ("connection", "close, x-internal"),
            ("x-internal", "1"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "timeout=5"),
            ("content-type", "text/csv"),
            ("content-length", "5"),
            ("roost-query-id", "x"),
            ("roost-session", "y"),
        ]);
        assert_eq!(names(&for_client(&runtime)), ["content-length", "content-type", "roost-query-id"]);
    }
}
