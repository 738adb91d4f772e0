//! Authorization of callers, whatever protocol they speak.

use roost_protocol::{
    is_compatible,
    problem::{ErrorCode, Problem},
    session::{Role, SessionToken},
    signing::VerifyingKey,
    time::UnixMillis,
};

/// A caller that has proven itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// User name.
    pub user: String,
    /// Role, which says what the user may do.
    pub role: Role,
}

/// Evidence that a caller shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credential<'a> {
    /// A session token of the gateway's.
    pub token: Option<&'a str>,
    /// Headers of a web request that say where it goes and comes from; none for what no web page can send.
    pub web: Option<Web<'a>>,
}

/// Headers that a browser writes into each request, and that a page in it cannot choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Web<'a> {
    /// The server's name and port, as the page that sends the request calls it.
    pub host: Option<&'a str>,
    /// The page's own origin.
    pub origin: Option<&'a str>,
}

/// Rule by which callers are let in.
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
    /// Everybody on this machine, but no web page: its host and origin must be this server's.
    Loopback {
        /// The port listened on.
        port: u16,
    },
}

impl Access {
    /// Lets a caller in, or says why not. `now` is wall-clock time.
    /// Errors: `unauthenticated`, `forbidden`.
    pub fn authorize(&self, credential: Credential<'_>, now: UnixMillis) -> Result<Caller, Problem> {
        match self {
            Self::Gateway { key, tenant_uid, branch } => {
                let token = credential.token.ok_or_else(|| unauthenticated("no session token"))?;
                check_token(token, key, tenant_uid, branch, now)
            }
            Self::Loopback { port } => credential
                .web
                .map_or(Ok(()), |web| check_web(web, *port))
                .map(|()| Caller { user: "local".into(), role: Role::ReadWrite }),
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
/// origin.
fn check_web(web: Web<'_>, port: u16) -> Result<(), Problem> {
    let own = |authority: &str| {
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|host| authority.eq_ignore_ascii_case(&format!("{host}:{port}")))
    };
    if !web.host.is_some_and(own) {
        let detail = format!("the Host header must be 127.0.0.1:{port} or localhost:{port}");
        return Err(Problem::new(ErrorCode::Forbidden, detail));
    }
    let is_http = |origin: &str| origin.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    if web.origin.is_some_and(|origin| !is_http(origin) || !own(&origin[7..])) {
        return Err(Problem::new(
            ErrorCode::Forbidden,
            "web pages of another origin may not query this database",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let token = signer.sign(&session).unwrap();
            access.authorize(Credential { token: Some(&token), web: None }, UnixMillis(now))
        };
        let good = Caller { user: "ann".into(), role: Role::ReadOnly };
        assert_eq!(ask(&signer, |_| {}, 999), Ok(good));
        for (what, refused) in [
            ("expired", ask(&signer, |_| {}, 1_000)),
            ("another tenant", ask(&signer, |session| session.tenant_uid = "uid-2".into(), 1)),
            ("another branch", ask(&signer, |session| session.branch = "dev".into(), 1)),
            ("another version", ask(&signer, |session| session.version = PROTOCOL_VERSION + 2, 1)),
            ("another signer", ask(&stranger, |_| {}, 1)),
            ("no token", access.authorize(Credential::default(), UnixMillis(1))),
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
            let credential = Credential { token: None, web: Some(Web { host, origin }) };
            let answer = access.authorize(credential, UnixMillis(0));
            assert_eq!(answer.is_ok(), expected, "{host:?} {origin:?}");
        }
    }
}
