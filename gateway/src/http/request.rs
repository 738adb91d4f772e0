//! The parts of a client's request that are used or passed on: the token, the query's id, the headers, the body.

use super::pool::RequestBody;
use crate::{
    auth::{BearerToken, TokenError, refusal},
    response::{BodyError, full},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use roost_protocol::{
    names::{QUERY_ID_HEADER, SESSION_HEADER},
    problem::{ErrorCode, Problem},
    routes::{Action, BodyRule},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;

/// Request headers that pass, besides `roost-*`.
const PASSED: [HeaderName; 4] =
    [header::ACCEPT, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::USER_AGENT];
/// Trace context headers, which pass too.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];
/// Roost's own headers begin so; the session is the gateway's to state.
const OWN_PREFIX: &str = "roost-";

/// The token of the `Authorization` header.
/// Errors: `unauthenticated`.
pub fn bearer_token(headers: &HeaderMap) -> Result<BearerToken, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(refusal("The request has no Authorization header.")),
        (Some(_), Some(_)) => return Err(refusal("The request has more than one Authorization header.")),
    };
    let malformed = || refusal("The Authorization header is not of the form `Bearer TOKEN`.");
    let (scheme, token) = value.to_str().map_err(|_| malformed())?.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed());
    }
    BearerToken::new(token.trim_matches(' ')).map_err(|error| match error {
        TokenError::Malformed => malformed(),
        TokenError::TooLong => refusal("The token is longer than any that Kubernetes issues."),
    })
}

/// The client's headers that go on to the runtime. An allowlist: credentials and cookies have no way through.
pub fn for_runtime(client: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(client);
    let passes = |name: &HeaderName| {
        let own = name.as_str().starts_with(OWN_PREFIX) && name.as_str() != SESSION_HEADER;
        (own || PASSED.contains(name) || TRACE.contains(&name.as_str())) && !named.contains(name)
    };
    client
        .iter()
        .filter(|(name, _)| passes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Headers that `Connection` names: they concern one connection only.
pub fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

/// The query's id: of the path, chosen by the caller, or made here, so that it is known whatever happens. A query's own
/// goes on to the runtime in its header.
/// Errors: `bad-request`.
#[allow(clippy::disallowed_methods, reason = "an id for people; nothing is decided by it")]
pub fn query_id(action: Action, headers: &mut HeaderMap) -> Result<Uuid, Problem> {
    match action {
        Action::QueryStatus(id) | Action::CancelQuery(id) => Ok(id),
        Action::Query => {
            let mut given = headers.get_all(QUERY_ID_HEADER).iter();
            let id = match (given.next(), given.next()) {
                (None, _) => Uuid::new_v4(),
                (Some(one), None) => {
                    one.to_str().ok().and_then(|text| Uuid::try_parse(text).ok()).ok_or_else(|| {
                        Problem::new(ErrorCode::BadRequest, format!("header {QUERY_ID_HEADER} is not a UUID"))
                    })?
                }
                (Some(_), Some(_)) => {
                    let detail = format!("header {QUERY_ID_HEADER} is there more than once");
                    return Err(Problem::new(ErrorCode::BadRequest, detail));
                }
            };
            if let Ok(value) = HeaderValue::try_from(id.to_string()) {
                headers.insert(QUERY_ID_HEADER, value);
            }
            Ok(id)
        }
    }
}

/// A client's body on its way to a runtime.
pub enum ClientBody {
    /// In memory: can be sent again.
    Kept(BufferedBody),
    /// As it comes from the client, until it was sent: then it is gone.
    Streamed(Option<RequestBody>),
}

impl ClientBody {
    /// Whether all of it is there after it was sent.
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// The body to send; none if it was sent and could be sent only once.
    pub fn take(&mut self) -> Option<RequestBody> {
        match self {
            Self::Kept(body) => Some(full(body.bytes.clone())),
            Self::Streamed(body) => body.take(),
        }
    }

    /// Takes back what was not sent after all.
    pub fn give_back(&mut self, unsent: RequestBody) {
        if let Self::Streamed(body) = self {
            *body = Some(unsent);
        }
    }
}

/// A request's body in memory, counted against all such bodies while it lives.
#[derive(Debug)]
pub struct BufferedBody {
    /// The body.
    pub bytes: Bytes,
    _counted: Option<OwnedSemaphorePermit>,
}

/// Room for kept request bodies: until an answer begins, since a request may have to be sent again.
#[derive(Clone, Debug)]
pub struct BodyBuffer {
    room: Arc<Semaphore>,
    patience: Duration,
}

impl BodyBuffer {
    /// Room for `bytes` in all; each body must arrive within `patience`.
    pub fn new(bytes: u32, patience: Duration) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes as usize)), patience }
    }

    /// Reads a request's body as its operation's rule says.
    /// Errors: `too-large`, `bad-request`, `busy`.
    pub async fn read<B>(&self, body: B, rule: BodyRule) -> Result<ClientBody, Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let most = match rule {
            BodyRule::Streamed => {
                return Ok(ClientBody::Streamed(Some(body.map_err(Into::into).boxed_unsync())));
            }
            BodyRule::Kept { most_bytes } => most_bytes,
        };
        if body.size_hint().lower() > most as u64 {
            return Err(too_large(most));
        }
        let read = timeout(self.patience, self.read_counted(body, most)).await.unwrap_or_else(|_| {
            let detail = format!("the request's body did not arrive within {:?}", self.patience);
            Err(Problem::new(ErrorCode::BadRequest, detail))
        });
        read.map(ClientBody::Kept)
    }

    async fn read_counted<B>(&self, mut body: B, most: usize) -> Result<BufferedBody, Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BodyError>,
    {
        let mut read = BytesMut::new();
        let mut counted: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let error: BodyError = error.into();
                Problem::new(ErrorCode::BadRequest, format!("the request's body broke off: {error}"))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > most {
                return Err(too_large(most));
            }
            // At most `most`, as just checked.
            let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.room).try_acquire_many_owned(size).map_err(|_| {
                Problem::new(ErrorCode::Busy, "too many large requests are being received").retry_after(1)
            })?;
            match &mut counted {
                Some(counted) => counted.merge(permit),
                None => counted = Some(permit),
            }
            read.extend_from_slice(&data);
        }
        Ok(BufferedBody { bytes: read.freeze(), _counted: counted })
    }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("the request's body is larger than {most} bytes: load data in several requests");
    Problem::new(ErrorCode::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::samples::{map, names};
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use roost_protocol::query::MAX_QUERY_BODY_BYTES;
    use std::convert::Infallible;

    const QUERY: BodyRule = BodyRule::Kept { most_bytes: MAX_QUERY_BODY_BYTES };

    #[test]
    fn only_harmless_request_headers_pass() {
        let client = map(&[
            ("authorization", "Bearer sesame"),
            ("cookie", "a=b"),
            ("roost-session", "forged"),
            ("roost-query-id", "x"),
            ("host", "gateway"),
            ("accept", "text/csv"),
            ("content-type", "application/json"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("connection", "keep-alive, user-agent"),
            ("user-agent", "curl"),
            ("traceparent", "00-1-2-01"),
            ("x-forwarded-for", "1.2.3.4"),
            ("expect", "100-continue"),
        ]);
        assert_eq!(names(&for_runtime(&client)), ["accept", "content-type", "roost-query-id", "traceparent"]);
    }

    #[test]
    fn the_token_is_read() {
        let long = format!("Bearer {}", "a".repeat(16 * 1024 + 1));
        for (values, expected) in [
            (&["Bearer abc"][..], Some("abc")),
            (&["bearer  abc"], Some("abc")),
            (&[], None),
            (&["Bearer"], None),
            (&["Bearer "], None),
            (&["Basic abc"], None),
            (&["Bearer a b"], None),
            (&["Bearer a", "Bearer b"], None),
            (&[&long], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            let token = bearer_token(&headers);
            assert_eq!(token.as_ref().ok().map(BearerToken::expose), expected, "{values:?}");
            if let Err(problem) = token {
                assert_eq!(problem.code, ErrorCode::Unauthenticated);
                assert!(problem.detail.contains("kubectl create token NAME --audience=roostdb.dev"));
                assert!(problem.detail.contains("serviceAccountToken"));
            }
        }
    }

    fn chunks(count: usize, size: usize) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(stream::iter((0..count).map(move |_| Ok(Frame::data(Bytes::from(vec![0; size]))))))
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_bounded() {
        let buffer = BodyBuffer::new(20 * 1024 * 1024, Duration::from_secs(10));
        let code = |result: Result<ClientBody, Problem>| result.err().map(|problem| problem.code);
        assert_eq!(code(buffer.read(chunks(16, 1024 * 1024), QUERY).await), None);
        assert_eq!(code(buffer.read(chunks(17, 1024 * 1024), QUERY).await), Some(ErrorCode::TooLarge));
        let large = Full::new(Bytes::from(vec![0; MAX_QUERY_BODY_BYTES + 1]));
        assert_eq!(code(buffer.read(large, QUERY).await), Some(ErrorCode::TooLarge));
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        assert_eq!(code(buffer.read(never, QUERY).await), Some(ErrorCode::BadRequest));
        // Together they are bounded too, and make room when dropped.
        let held = buffer.read(chunks(16, 1024 * 1024), QUERY).await.unwrap();
        assert_eq!(code(buffer.read(chunks(5, 1024 * 1024), QUERY).await), Some(ErrorCode::Busy));
        drop(held);
        assert_eq!(code(buffer.read(chunks(5, 1024 * 1024), QUERY).await), None);
    }
    #[tokio::test]
    async fn a_body_is_bounded_as_its_operation_says() {
        let buffer = BodyBuffer::new(1024, Duration::from_secs(10));
        let mut kept = buffer.read(chunks(2, 50), BodyRule::Kept { most_bytes: 100 }).await.unwrap();
        let refused = buffer.read(chunks(2, 51), BodyRule::Kept { most_bytes: 100 }).await;
        assert_eq!(refused.err().map(|problem| problem.code), Some(ErrorCode::TooLarge));
        for _ in 0..2 {
            assert_eq!(kept.take().unwrap().collect().await.unwrap().to_bytes().len(), 100);
        }
        // What streams is larger than all room for bodies, takes none of it, and is there once.
        let mut streamed = buffer.read(chunks(100, 1024), BodyRule::Streamed).await.unwrap();
        let unsent = streamed.take().unwrap();
        streamed.give_back(unsent);
        assert_eq!(streamed.take().unwrap().collect().await.unwrap().to_bytes().len(), 100 * 1024);
        assert!(streamed.take().is_none() && !streamed.is_kept() && kept.is_kept());
    }
}
