//! Which headers pass: of a request only those that a runtime may want, of an answer all but those of one connection.

use http::{HeaderMap, HeaderName, header};
use roost_protocol::names::SESSION_HEADER;

/// Request headers that pass, besides `roost-*`.
const PASSED: [HeaderName; 4] =
    [header::ACCEPT, header::CONTENT_TYPE, header::CONTENT_ENCODING, header::USER_AGENT];
/// Trace context headers, which pass too.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];
/// Roost's own headers begin so; the session is the gateway's to state.
const OWN_PREFIX: &str = "roost-";

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

fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

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
