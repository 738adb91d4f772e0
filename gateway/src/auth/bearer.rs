//! The token that a client shows.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use roost_protocol::{
    names::CLIENT_AUDIENCE,
    problem::{ErrorCode, Problem},
    secret::Secret,
    time::UnixMillis,
};
use serde_json::Value;

/// Longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// SHA-256 of a token, by which caches know it.
pub type TokenHash = [u8; 32];

/// Reason why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is empty, or holds what no token does.
    #[error("the token is malformed")]
    Malformed,
    /// It is longer than any that Kubernetes issues.
    #[error("the token is longer than any that Kubernetes issues")]
    TooLong,
}

/// A bearer token. Neither `Debug` nor any error shows it.
#[derive(Clone, Debug)]
pub struct BearerToken {
    token: Secret,
    hash: TokenHash,
}

impl BearerToken {
    /// Takes a token as a client sent it.
    pub fn new(token: &str) -> Result<Self, TokenError> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Malformed);
        }
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let mut hash = TokenHash::default();
        hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
        Ok(Self { token: Secret::new(token), hash })
    }

    /// Its hash, by which caches know it.
    pub const fn hash(&self) -> TokenHash {
        self.hash
    }

    /// The token itself, for the TokenReview.
    pub fn expose(&self) -> &str {
        self.token.expose()
    }

    /// The time at which the token says that it expires. Means something only once the token was found to be genuine.
    pub fn claimed_expiry(&self) -> Option<UnixMillis> {
        let seconds = self.claims()?.get("exp")?.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "saturates; the claim is a time")]
        Some(UnixMillis((seconds * 1000.0) as u64))
    }

    /// The problem of a token that the API server does not accept: the reason, as far as its own words tell.
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
    #[test]
    fn only_what_may_be_a_token_is_taken() {
        let (longest, longer) = ("a".repeat(MAX_TOKEN_BYTES), "a".repeat(MAX_TOKEN_BYTES + 1));
        for (text, expected) in [
            ("abc", None),
            (&longest, None),
            ("", Some(TokenError::Malformed)),
            ("a b", Some(TokenError::Malformed)),
            ("a\u{e9}", Some(TokenError::Malformed)),
            (&longer, Some(TokenError::TooLong)),
        ] {
            assert_eq!(BearerToken::new(text).err(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = BearerToken::new("sesame").unwrap();
        assert!(!format!("{token:?}").contains("sesame"));
        assert!(!token.explain_refusal().detail.contains("sesame"));
    }

    #[test]
    fn a_token_for_another_audience_is_named_as_such() {
        let token =
            |claims: &str| BearerToken::new(&format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims))).unwrap();
        let other = token(r#"{"aud":["https://kubernetes.default.svc"],"exp":1700000000}"#);
        assert!(other.explain_refusal().detail.contains("not for Roost"));
        assert_eq!(other.claimed_expiry(), Some(UnixMillis(1_700_000_000_000)));
        assert!(token(r#"{"aud":"roostdb.dev"}"#).explain_refusal().detail.contains("expired"));
    }
}
