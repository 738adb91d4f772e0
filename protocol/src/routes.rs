//! The table of the public API: its operations, their paths, and what a call of each may do. Gateway and runtime read
//! it; a request's method and path are parsed here, once.

use crate::{
    branch_key::BranchKey,
    names::MAIN_BRANCH,
    problem::{ErrorCode, Problem},
    query::MAX_QUERY_BODY_BYTES,
};
use std::{borrow::Cow, time::Duration};
use uuid::Uuid;

/// Longest name of a namespace, in bytes.
const MAX_NAMESPACE: usize = 63;
/// Longest name of a tenant or branch, in bytes.
const MAX_NAME: usize = 40;
/// Largest body of a call that has no use for one, in bytes: some HTTP clients send a few with every request.
const MAX_UNUSED_BODY_BYTES: usize = 64 * 1024;
/// Longest time that a call which does not wake spends on finding a running pod.
const FIND_RUNNING_WITHIN: Duration = Duration::from_secs(10);

/// An operation of the public API: a row of the table.
#[derive(Debug)]
pub struct Operation {
    /// Name in logs and metrics.
    pub name: &'static str,
    /// HTTP method, in capitals.
    pub method: &'static str,
    /// Path below that of the branch, in the syntax of OpenAPI.
    pub path: &'static str,
    /// Whether a call may start a pod. Otherwise it reaches a branch only while one runs, and does not keep it awake.
    pub wakes: bool,
    /// Whether calling twice is the same as calling once, so that a call that may have been executed can be repeated.
    pub idempotent: bool,
    /// Longest time spent on finding the branch's pod; none for as long as a wake may take.
    pub find_within: Option<Duration>,
    /// Which limit of calls in flight a call counts for.
    pub load: Load,
    /// Request body of a call.
    pub body: BodyRule,
    /// Makes the action from the values of the path's parameters, in their order.
    action: fn(&[&str]) -> Result<Action, RouteError>,
}

/// Weight class of a call. Each has a limit of its own for each tenant: whoever has used up that of queries must still
/// be able to cancel some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Makes the engine work.
    Query,
    /// Looks something up, or ends something.
    Lookup,
}

/// Treatment of a call's request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// Read whole before the call goes on, and kept until its answer begins, so that it can be sent again.
    Kept {
        /// Largest body, in bytes.
        most_bytes: usize,
    },
    /// Passed on as it comes, however large it is; can be sent once.
    Streamed,
}

/// The table.
pub const OPERATIONS: &[&Operation] = &[QUERY, QUERY_STATUS, CANCEL_QUERY];

const QUERY: &Operation = &Operation {
    name: "query",
    method: "POST",
    path: "/query",
    wakes: true,
    idempotent: false,
    find_within: None,
    load: Load::Query,
    body: BodyRule::Kept { most_bytes: MAX_QUERY_BODY_BYTES },
    action: |_| Ok(Action::Query),
};

const QUERY_STATUS: &Operation = &Operation {
    name: "status",
    method: "GET",
    path: "/queries/{id}",
    wakes: false,
    idempotent: true,
    find_within: Some(FIND_RUNNING_WITHIN),
    load: Load::Lookup,
    body: BodyRule::Kept { most_bytes: MAX_UNUSED_BODY_BYTES },
    action: |parameters| query_id(parameters).map(Action::QueryStatus),
};

const CANCEL_QUERY: &Operation = &Operation {
    name: "cancel",
    method: "DELETE",
    path: "/queries/{id}",
    wakes: false,
    idempotent: true,
    find_within: Some(FIND_RUNNING_WITHIN),
    load: Load::Lookup,
    body: BodyRule::Kept { most_bytes: MAX_UNUSED_BODY_BYTES },
    action: |parameters| query_id(parameters).map(Action::CancelQuery),
};

impl Operation {
    /// The values of this operation's parameters in a path below that of a branch; none if the path is another one.
    fn parameters<'a>(&self, segments: &[&'a str]) -> Option<Vec<&'a str>> {
        let template: Vec<&str> = self.path.split('/').skip(1).collect();
        if template.len() != segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (expected, given) in template.into_iter().zip(segments) {
            if expected.starts_with('{') {
                parameters.push(*given);
            } else if expected != *given {
                return None;
            }
        }
        Some(parameters)
    }
}

/// An operation with its parameters, as one request asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run SQL.
    Query,
    /// Look at the query with this id.
    QueryStatus(Uuid),
    /// Cancel the query with this id.
    CancelQuery(Uuid),
}

impl Action {
    /// The row of the table.
    pub const fn operation(self) -> &'static Operation {
        match self {
            Self::Query => QUERY,
            Self::QueryStatus(_) => QUERY_STATUS,
            Self::CancelQuery(_) => CANCEL_QUERY,
        }
    }
}

/// A request of the public API: an action on a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The branch.
    pub branch: BranchKey,
    /// The action.
    pub action: Action,
}

impl Call {
    /// The row of the table.
    pub const fn operation(&self) -> &'static Operation {
        self.action.operation()
    }
}

/// Why a method and path are no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No operation has this path, or a part of the path cannot be what it stands for.
    #[error("{0}")]
    NoSuchPath(Cow<'static, str>),
    /// The path has operations, but none with this method.
    #[error("{method} is not possible here: use {}", allowed.join(", "))]
    WrongMethod {
        /// The request's method.
        method: String,
        /// The methods that the path has, in the table's order.
        allowed: Vec<&'static str>,
    },
}

impl RouteError {
    /// Value of the `Allow` header, which goes with status 405.
    pub fn allow(&self) -> Option<String> {
        match self {
            Self::NoSuchPath(_) => None,
            Self::WrongMethod { allowed, .. } => Some(allowed.join(", ")),
        }
    }
}

impl From<&RouteError> for Problem {
    fn from(error: &RouteError) -> Self {
        let code = match error {
            RouteError::NoSuchPath(_) => ErrorCode::NotFound,
            RouteError::WrongMethod { .. } => ErrorCode::MethodNotAllowed,
        };
        Self::new(code, error.to_string())
    }
}

/// Reads a request's method (in capitals) and path (without its query). Escapes (`%..`) are in no valid name, so none is
/// decoded.
pub fn parse(method: &str, path: &str) -> Result<Call, RouteError> {
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
        return Err(RouteError::NoSuchPath(Cow::Borrowed(
            "a name in the path is not a DNS label (lower-case letters, digits and dashes; \
             at most 40 of them for a tenant or branch)",
        )));
    }
    let branch = BranchKey { namespace: namespace.into(), tenant: tenant.into(), branch: branch.into() };
    parse_action(method, rest).map(|action| Call { branch, action })
}

/// Path of a branch's `query`, as clients write it.
pub fn query_path(branch: &BranchKey) -> String {
    let below = if branch.is_main() { String::new() } else { format!("/branches/{}", branch.branch) };
    format!("/v1/namespaces/{}/tenants/{}{below}{}", branch.namespace, branch.tenant, QUERY.path)
}

fn parse_action(method: &str, segments: &[&str]) -> Result<Action, RouteError> {
    let mut allowed = Vec::new();
    for operation in OPERATIONS {
        let Some(parameters) = operation.parameters(segments) else { continue };
        // A parameter that is none makes the path wrong, whatever the method.
        let action = (operation.action)(&parameters)?;
        if operation.method == method {
            return Ok(action);
        }
        allowed.push(operation.method);
    }
    if allowed.is_empty() {
        return Err(no_such_path());
    }
    Err(RouteError::WrongMethod { method: method.to_owned(), allowed })
}

fn query_id(parameters: &[&str]) -> Result<Uuid, RouteError> {
    let id = parameters.first().and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or(RouteError::NoSuchPath(Cow::Borrowed("a query's id is a UUID")))
}

/// Tells which paths there are.
fn no_such_path() -> RouteError {
    let mut paths: Vec<(&str, Vec<&str>)> = Vec::new();
    for operation in OPERATIONS {
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, methods)) => methods.push(operation.method),
            None => paths.push((operation.path, vec![operation.method])),
        }
    }
    let mut base = "/v1/namespaces/{namespace}/tenants/{tenant}[/branches/{branch}]";
    let known: Vec<String> = paths
        .into_iter()
        .map(|(path, methods)| {
            let known = format!("{} {base}{path}", methods.join(" or "));
            base = "...";
            known
        })
        .collect();
    RouteError::NoSuchPath(Cow::Owned(format!("no such path: {}", known.join(" or "))))
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

    fn read(method: &str, path: &str) -> Result<(String, Action), ErrorCode> {
        parse(method, path)
            .map(|call| {
                let BranchKey { namespace, tenant, branch } = call.branch;
                (format!("{namespace} {tenant} {branch}"), call.action)
            })
            .map_err(|error| Problem::from(&error).code)
    }

    #[test]
    fn paths_are_read() {
        let id = Uuid::parse_str(ID).unwrap();
        let base = "/v1/namespaces/shop/tenants/acme";
        let (acme, dev) = ("shop acme main".to_owned(), "shop acme dev".to_owned());
        for (method, path, expected) in [
            ("POST", format!("{base}/query"), Ok((acme.clone(), Action::Query))),
            ("POST", format!("{base}/branches/dev/query"), Ok((dev.clone(), Action::Query))),
            ("POST", format!("{base}/branches/main/query"), Ok((acme.clone(), Action::Query))),
            ("GET", format!("{base}/queries/{ID}"), Ok((acme, Action::QueryStatus(id)))),
            ("DELETE", format!("{base}/branches/dev/queries/{ID}"), Ok((dev, Action::CancelQuery(id)))),
            ("GET", format!("{base}/query"), Err(ErrorCode::MethodNotAllowed)),
            ("post", format!("{base}/query"), Err(ErrorCode::MethodNotAllowed)),
            ("POST", format!("{base}/queries/{ID}"), Err(ErrorCode::MethodNotAllowed)),
            ("GET", format!("{base}/queries/7"), Err(ErrorCode::NotFound)),
            ("POST", format!("{base}/queries/7"), Err(ErrorCode::NotFound)),
            ("POST", format!("{base}/query/"), Err(ErrorCode::NotFound)),
            ("POST", format!("{base}//query"), Err(ErrorCode::NotFound)),
            ("POST", base.to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/internal/v1/grant".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", String::new(), Err(ErrorCode::NotFound)),
            ("OPTIONS", "*".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/../query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/a%2fb/query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/Acme/query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", "/v1/namespaces/shop/tenants/-a/query".to_owned(), Err(ErrorCode::NotFound)),
            ("POST", base.replace("acme", &"a".repeat(41)) + "/query", Err(ErrorCode::NotFound)),
        ] {
            assert_eq!(read(method, &path), expected, "{method} {path}");
        }
    }

    #[test]
    fn errors_say_what_there_is() {
        let path = |rest: &str| format!("/v1/namespaces/shop/tenants/acme{rest}");
        for (method, path, detail, allow) in [
            (
                "GET",
                "/".to_owned(),
                "no such path: POST /v1/namespaces/{namespace}/tenants/{tenant}[/branches/{branch}]/query \
                 or GET or DELETE .../queries/{id}",
                None,
            ),
            ("GET", path("/query"), "GET is not possible here: use POST", Some("POST")),
            (
                "PUT",
                path(&format!("/queries/{ID}")),
                "PUT is not possible here: use GET, DELETE",
                Some("GET, DELETE"),
            ),
            ("GET", path("/queries/7"), "a query's id is a UUID", None),
        ] {
            let error = parse(method, &path).unwrap_err();
            assert_eq!(Problem::from(&error).detail, detail);
            assert_eq!(error.allow().as_deref(), allow);
        }
    }

    #[test]
    fn the_path_of_each_row_leads_back_to_it() {
        for operation in OPERATIONS {
            for (below, branch) in [("", "main"), ("/branches/dev", "dev")] {
                let path =
                    format!("/v1/namespaces/shop/tenants/acme{below}{}", operation.path.replace("{id}", ID));
                let call = parse(operation.method, &path).unwrap();
                assert_eq!((call.operation().name, call.branch.branch.as_str()), (operation.name, branch));
            }
        }
    }

    #[test]
    fn the_path_of_a_query_leads_back_to_its_branch() {
        for (branch, path) in [("main", "/query"), ("dev", "/branches/dev/query")] {
            let key = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: branch.into() };
            assert_eq!(query_path(&key), format!("/v1/namespaces/shop/tenants/acme{path}"));
            assert_eq!(parse("POST", &query_path(&key)).unwrap().branch, key);
        }
    }

    #[test]
    fn what_may_not_be_repeated_is_what_wakes() {
        let (queries, others): (Vec<&Operation>, Vec<&Operation>) =
            OPERATIONS.iter().copied().partition(|operation| operation.name == "query");
        assert!(queries.iter().all(|query| query.wakes && !query.idempotent && query.find_within.is_none()));
        assert_eq!(queries[0].body, BodyRule::Kept { most_bytes: 16 * 1024 * 1024 });
        assert!(
            others.iter().all(|lookup| !lookup.wakes && lookup.idempotent && lookup.load == Load::Lookup)
        );
    }
}
