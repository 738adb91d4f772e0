//! The token that a client shows.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use roost_protocol::{
    names::CLIENT_AUDIENCE,
    problem::{ErrorCode, Problem},
    secret::Secret,
    time::UnixMillis,
};
use serde_json::Value;

/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// SHA-256 of a token: what caches know it by.
pub type TokenHash = [u8; 32];

/// A bearer token. Neither `Debug` nor any error shows it.
#[derive(Clone, Debug)]
pub struct BearerToken {
    token: Secret,
    hash: TokenHash,
}

impl BearerToken {
    /// Takes the token out of the `Authorization` header.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value,
            (None, _) => return Err(refusal("The request has no Authorization header.")),
            (Some(_), Some(_)) => return Err(refusal("The request has more than one Authorization header.")),
        };
        let malformed = || refusal("The Authorization header is not of the form `Bearer TOKEN`.");
        let (scheme, token) =
            value.to_str().map_err(|_| malformed())?.split_once(' ').ok_or_else(malformed)?;
        let token = token.trim_matches(' ');
        let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || !printable {
            return Err(malformed());
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(refusal("The token is longer than any that Kubernetes issues."));
        }
        let mut hash = TokenHash::default();
        hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
        Ok(Self { token: Secret::new(token), hash })
    }

    /// What caches know the token by.
    pub const fn hash(&self) -> TokenHash {
        self.hash
    }

    /// The token itself, for the TokenReview.
    pub fn expose(&self) -> &str {
        self.token.expose()
    }

    /// When the token says that it expires. Means something only once the token was found to be genuine.
    pub fn claimed_expiry(&self) -> Option<UnixMillis> {
        let seconds = self.claims()?.get("exp")?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "saturates; the claim is a time")]
        Some(UnixMillis((seconds * 1000.0) as u64))
    }

    /// Why a token that the API server does not accept was not accepted, as far as its own words tell.
    pub fn explain_refusal(&self) -> Problem {
        let audiences = self.claims().and_then(|claims| match claims.get("aud")? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => Some(many.iter().filter_map(|a| a.as_str().map(str::to_owned)).collect()),
            _ => None,
        });
        match audiences {
            Some(audiences) if !audiences.iter().any(|audience| audience == CLIENT_AUDIENCE) => refusal(
                "The token is not for Roost: its audience is another one, such as the API server itself, \
                 and Roost does not take tokens that it could use elsewhere.",
            ),
            _ => refusal("The token is not valid here: it expired, was revoked, or is from another cluster."),
        }
    }

    fn claims(&self) -> Option<Value> {
        let mut parts = self.expose().split('.');
        let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
            return None;
        };
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

/// A refusal that shows how to get a token that is accepted.
pub fn refusal(what: &str) -> Problem {
    Problem::new(
        ErrorCode::Unauthenticated,
        format!(
            "{what} Send `Authorization: Bearer TOKEN` with a ServiceAccount token of audience \
             {CLIENT_AUDIENCE}: by hand from `kubectl create token NAME --audience={CLIENT_AUDIENCE}`, in a pod \
             from a projected volume (`projected: {{sources: [{{serviceAccountToken: {{audience: \
             {CLIENT_AUDIENCE}, path: token}}}}]}}`)."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn headers_are_read() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
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
            let token = BearerToken::from_headers(&headers(values));
            assert_eq!(token.as_ref().ok().map(BearerToken::expose), expected, "{values:?}");
            if let Err(problem) = token {
                assert_eq!(problem.code, ErrorCode::Unauthenticated);
                assert!(problem.detail.contains("kubectl create token NAME --audience=roostdb.dev"));
                assert!(problem.detail.contains("serviceAccountToken"));
            }
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = BearerToken::from_headers(&headers(&["Bearer sesame"])).unwrap();
        assert!(!format!("{token:?}").contains("sesame"));
        assert!(!token.explain_refusal().detail.contains("sesame"));
    }

    #[test]
    fn a_token_for_another_audience_is_named_as_such() {
        let token = |claims: &str| {
            let text = format!("Bearer h.{}.s", URL_SAFE_NO_PAD.encode(claims));
            BearerToken::from_headers(&headers(&[&text])).unwrap()
        };
        let other = token(r#"{"aud":["https://kubernetes.default.svc"],"exp":1700000000}"#);
        assert!(other.explain_refusal().detail.contains("not for Roost"));
        assert_eq!(other.claimed_expiry(), Some(UnixMillis(1_700_000_000_000)));
        assert!(token(r#"{"aud":"roostdb.dev"}"#).explain_refusal().detail.contains("expired"));
    }
}
