//! What a request's path and method ask for.

use http::Method;
use roost_protocol::{
    BranchKey,
    names::MAIN_BRANCH,
    problem::{ErrorCode, Problem},
};
use uuid::Uuid;

/// Longest name of a namespace.
const MAX_NAMESPACE: usize = 63;
/// Longest name of a tenant or branch.
const MAX_NAME: usize = 40;

/// What is asked of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST .../query`.
    Query,
    /// `GET .../queries/{id}`.
    QueryStatus(Uuid),
    /// `DELETE .../queries/{id}`.
    CancelQuery(Uuid),
}

impl Call {
    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::QueryStatus(_) => "status",
            Self::CancelQuery(_) => "cancel",
        }
    }

    /// Whether asking twice is the same as asking once.
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Query)
    }
}

/// A request of the query API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Of which branch.
    pub key: BranchKey,
    /// What.
    pub call: Call,
}

impl Target {
    /// Reads the method and path. Escapes (`%..`) are in no valid name, so none is decoded.
    pub fn parse(method: &Method, path: &str) -> Result<Self, Problem> {
        let segments: Vec<&str> = path.split('/').collect();
        let (namespace, tenant, branch, rest) = match segments.as_slice() {
            ["", "v1", "namespaces", namespace, "tenants", tenant, "branches", branch, rest @ ..] => {
                (*namespace, *tenant, *branch, rest)
            }
            ["", "v1", "namespaces", namespace, "tenants", tenant, rest @ ..] => {
                (*namespace, *tenant, MAIN_BRANCH, rest)
            }
            _ => return Err(no_such_path()),
        };
        if !is_label(namespace, MAX_NAMESPACE) || !is_label(tenant, MAX_NAME) || !is_label(branch, MAX_NAME) {
            return Err(Problem::new(
                ErrorCode::NotFound,
                "a name in the path is not a DNS label (lower-case letters, digits and dashes; \
                 at most 40 of them for a tenant or branch)",
            ));
        }
        let call = match (rest, method) {
            (["query"], &Method::POST) => Call::Query,
            (["query"], _) => return Err(wrong_method(method, path)),
            (["queries", id], method) => {
                let id = Uuid::try_parse(id)
                    .map_err(|_| Problem::new(ErrorCode::NotFound, "a query's id is a UUID"))?;
                match *method {
                    Method::GET => Call::QueryStatus(id),
                    Method::DELETE => Call::CancelQuery(id),
                    _ => return Err(wrong_method(method, path)),
                }
            }
            _ => return Err(no_such_path()),
        };
        let key = BranchKey { namespace: namespace.into(), tenant: tenant.into(), branch: branch.into() };
        Ok(Self { key, call })
    }
}

/// Value of the `Allow` header for a path whose method was wrong.
pub fn allowed_methods(path: &str) -> &'static str {
    if path.ends_with("/query") { "POST" } else { "GET, DELETE" }
}

fn no_such_path() -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        "no such path: POST /v1/namespaces/{namespace}/tenants/{tenant}[/branches/{branch}]/query \
         or GET or DELETE .../queries/{id}",
    )
}

fn wrong_method(method: &Method, path: &str) -> Problem {
    let detail = format!("{method} is not possible here: use {}", allowed_methods(path));
    Problem::new(ErrorCode::MethodNotAllowed, detail)
}

fn is_label(text: &str, longest: usize) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= longest
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f1ed002-ab5d-4d3f-9b26-25bb08ba3d7b";

    fn parse(method: &str, path: &str) -> Result<(String, Call), ErrorCode> {
        Target::parse(&method.parse().unwrap(), path)
            .map(|target| {
                let BranchKey { namespace, tenant, branch } = target.key;
                (format!("{namespace} {tenant} {branch}"), target.call)
            })
            .map_err(|problem| problem.code)
    }

    #[test]
    fn paths_are_read() {
        let id = Uuid::parse_str(ID).unwrap();
        let base = "/v1/namespaces/shop/tenants/acme";
        let (acme, dev) = ("shop acme main".to_owned(), "shop acme dev".to_owned());
        for (method, path, expected) in [
            ("POST", format!("{base}/query"), Ok((acme.clone(), Call::Query))),
            ("POST", format!("{base}/branches/dev/query"), Ok((dev.clone(), Call::Query))),
            ("POST", format!("{base}/branches/main/query"), Ok((acme.clone(), Call::Query))),
            ("GET", format!("{base}/queries/{ID}"), Ok((acme, Call::QueryStatus(id)))),
            ("DELETE", format!("{base}/branches/dev/queries/{ID}"), Ok((dev, Call::CancelQuery(id)))),
            ("GET", format!("{base}/query"), Err(ErrorCode::MethodNotAllowed)),
            ("POST", format!("{base}/queries/{ID}"), Err(ErrorCode::MethodNotAllowed)),
            ("GET", format!("{base}/queries/7"), Err(ErrorCode::NotFound)),
            ("POST", format!("{base}/query/"), Err(ErrorCode::NotFound)),
            ("POST", format!("{base}//query"), Err(ErrorCode::NotFound)),
            ("POST", base.to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/internal/v1/grant".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/../query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/a%2fb/query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/Acme/query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/-a/query".to_owned(), Err(ErrorCode::NotFound)),
            (
                "POST",
                format!("/v1/namespaces/shop/tenants/{}/query", "a".repeat(41)),
                Err(ErrorCode::NotFound),
            ),
        ] {
            assert_eq!(parse(method, &path), expected, "{method} {path}");
        }
    }
}
