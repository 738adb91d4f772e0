//! Who may ask: the gateway's signed word in a pod, the browser's absence on a laptop.

use axum::http::{HeaderMap, header};
use roost_protocol::{
    is_compatible,
    names::SESSION_HEADER,
    problem::{ErrorCode, Problem},
    session::{Role, SessionToken},
    signing::VerifyingKey,
    time::UnixMillis,
};

/// Someone who was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User name.
    pub user: String,
    /// What the user may do.
    pub role: Role,
}

/// How callers are known.
#[derive(Clone, Debug)]
pub enum Access {
    /// By a session token that the gateway signed for this tenant and branch.
    Gateway {
        /// The gateway's key.
        key: VerifyingKey,
        /// The only tenant.
        tenant_uid: String,
        /// The only branch.
        branch: String,
    },
    /// Everybody on this machine, but no web page: the Host and Origin headers must be this server's.
    Loopback {
        /// The port listened on.
        port: u16,
    },
}

impl Access {
    /// Lets a request through or says why not. `now` is wall-clock time.
    pub fn authorize(&self, headers: &HeaderMap, now: UnixMillis) -> Result<Caller, Problem> {
        match self {
            Self::Gateway { key, tenant_uid, branch } => {
                let token = headers.get(SESSION_HEADER).ok_or_else(|| unauthenticated("no session token"))?;
                let token = token.to_str().map_err(|_| unauthenticated("the session token is malformed"))?;
                check_token(token, key, tenant_uid, branch, now)
            }
            Self::Loopback { port } => check_loopback(headers, *port),
        }
    }
}

fn unauthenticated(why: &str) -> Problem {
    let detail = format!("{why}; requests reach a runtime only through the gateway");
    Problem::new(ErrorCode::Unauthenticated, detail)
}

fn check_token(
    token: &str,
    key: &VerifyingKey,
    tenant_uid: &str,
    branch: &str,
    now: UnixMillis,
) -> Result<Caller, Problem> {
    let session: SessionToken = key
        .verify(token)
        .map_err(|error| unauthenticated(&format!("the session token is refused: {error}")))?;
    if !is_compatible(session.version) {
        return Err(unauthenticated("the gateway's version is too far from this runtime's"));
    }
    if session.tenant_uid != tenant_uid || session.branch != branch {
        return Err(unauthenticated("the session token is for another tenant or branch"));
    }
    if session.not_after <= now {
        return Err(unauthenticated("the session token has expired"));
    }
    Ok(Caller { user: session.user, role: session.role })
}

/// A page in a browser can send requests to localhost, under a name of its own (DNS rebinding) or from its own
/// origin; both show in the headers, which pages cannot choose.
fn check_loopback(headers: &HeaderMap, port: u16) -> Result<Caller, Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("").to_ascii_lowercase());
    let own = |authority: &str| {
        ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| authority == format!("{host}:{port}"))
    };
    if !text(header::HOST).is_some_and(|host| own(&host)) {
        let detail = format!("the Host header must be 127.0.0.1:{port} or localhost:{port}");
        return Err(Problem::new(ErrorCode::Forbidden, detail));
    }
    let same_origin =
        text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://").is_some_and(own));
    if !same_origin {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "web pages of another origin may not query this database",
        ));
    }
    Ok(Caller { user: "local".into(), role: Role::ReadWrite })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use roost_protocol::{PROTOCOL_VERSION, signing::SigningKey};

    fn signing_key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap()
    }

    fn token() -> SessionToken {
        SessionToken {
            version: PROTOCOL_VERSION,
            tenant_uid: "uid-1".into(),
            branch: "main".into(),
            user: "ann".into(),
            role: Role::ReadOnly,
            not_after: UnixMillis(1_000),
        }
    }

    #[test]
    fn only_a_token_for_this_tenant_branch_and_moment_is_accepted() {
        let (signer, stranger) = (signing_key(), signing_key());
        let access = Access::Gateway {
            key: signer.verifying_key(),
            tenant_uid: "uid-1".into(),
            branch: "main".into(),
        };
        let ask = |signer: &SigningKey, change: fn(&mut SessionToken), now| {
            let mut session = token();
            change(&mut session);
            let mut headers = HeaderMap::new();
            headers.insert(SESSION_HEADER, HeaderValue::from_str(&signer.sign(&session).unwrap()).unwrap());
            access.authorize(&headers, UnixMillis(now))
        };
        let good = Caller { user: "ann".into(), role: Role::ReadOnly };
        assert_eq!(ask(&signer, |_| {}, 999), Ok(good));
        for (what, refused) in [
            ("expired", ask(&signer, |_| {}, 1_000)),
            ("another tenant", ask(&signer, |session| session.tenant_uid = "uid-2".into(), 1)),
            ("another branch", ask(&signer, |session| session.branch = "dev".into(), 1)),
            ("another version", ask(&signer, |session| session.version = PROTOCOL_VERSION + 2, 1)),
            ("another signer", ask(&stranger, |_| {}, 1)),
            ("no token", access.authorize(&HeaderMap::new(), UnixMillis(1))),
        ] {
            assert_eq!(refused.unwrap_err().code, ErrorCode::Unauthenticated, "{what}");
        }
    }

    #[test]
    fn web_pages_are_kept_out_of_a_laptop() {
        let access = Access::Loopback { port: 8080 };
        for (host, origin, expected) in [
            (Some("127.0.0.1:8080"), None, true),
            (Some("LOCALHOST:8080"), None, true),
            (Some("localhost:8080"), Some("http://localhost:8080"), true),
            (Some("localhost:8080"), Some("https://evil.example"), false),
            (Some("localhost:8080"), Some("null"), false),
            (Some("evil.example:8080"), None, false),
            (Some("localhost:8081"), None, false),
            (None, None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let answer = access.authorize(&headers, UnixMillis(0));
            assert_eq!(answer.is_ok(), expected, "{host:?} {origin:?}");
        }
    }
}
