//! The query API: run, look at, cancel.

use super::{
    body::{Accounting, Answer, Ready, not_encoded},
    respond::{Refused, id_header, json},
};
use crate::{
    access::Caller,
    confirmation::{Confirmation, Did},
    encode, problems,
    site::Site,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use roost_engine::QueryRequest;
use roost_protocol::{
    BranchKey,
    durability::{Durability, Terms, UnknownDurability},
    names::{DURABILITY_HEADER, MAIN_BRANCH, QUERY_ID_HEADER},
    problem::{ErrorCode, Problem},
    query::{Format, MAX_PARAMETERS, MAX_QUERY_BODY_BYTES, QueryBody, QueryStatus},
    session::Role,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a request's body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Gives the served tenant, or the problem why there is none.
pub trait Sites: Clone + Send + Sync + 'static {
    /// The tenant that this process serves now.
    fn site(&self) -> Result<Arc<Site>, Problem>;
}

#[derive(Deserialize)]
struct BranchPath {
    namespace: String,
    tenant: String,
    branch: Option<String>,
}

#[derive(Deserialize)]
struct QueryPath {
    namespace: String,
    tenant: String,
    branch: Option<String>,
    id: String,
}

/// The routes, with and without a branch.
pub fn routes<S: Sites>(sites: S) -> Router {
    let mut router = Router::new();
    for prefix in [
        "/v1/namespaces/{namespace}/tenants/{tenant}",
        "/v1/namespaces/{namespace}/tenants/{tenant}/branches/{branch}",
    ] {
        router = router
            .route(&format!("{prefix}/query"), post(run::<S>))
            .route(&format!("{prefix}/queries/{{id}}"), get(look::<S>).delete(cancel::<S>));
    }
    super::with_fallbacks(router).with_state(sites)
}

/// The caller and the tenant of a request to this path.
fn enter<S: Sites>(
    sites: &S,
    headers: &HeaderMap,
    (namespace, tenant, branch): (&str, &str, Option<&str>),
) -> Result<(Arc<Site>, Caller), Problem> {
    let site = sites.site()?;
    let caller = site.access.authorize(headers, site.now())?;
    let BranchKey { namespace: ours, tenant: name, branch: served } = &site.name;
    if (namespace, tenant, branch.unwrap_or(MAIN_BRANCH)) != (ours, name, served) {
        return Err(Problem::new(ErrorCode::NotFound, "this process does not serve that tenant or branch"));
    }
    Ok((site, caller))
}

async fn run<S: Sites>(
    State(sites): State<S>,
    Path(path): Path<BranchPath>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let (site, caller) =
        enter(&sites, &head.headers, (&path.namespace, &path.tenant, path.branch.as_deref()))
            .map_err(Refused)?;
    let id = query_id(&head.headers).map_err(Refused)?;
    answer(&site, &caller, id, &head.headers, body).await.map_err(|problem| {
        let mut problem = site.damage.explain(problem);
        problem.particulars_mut().query_id = Some(id);
        tracing::debug!(%id, user = caller.user, code = ?problem.code, "query refused or failed");
        Refused(problem)
    })
}

async fn answer(
    site: &Arc<Site>,
    caller: &Caller,
    id: Uuid,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    site.admission.touch(site.monotonic());
    let body = read_body(body).await?;
    let format = choose_format(&body, headers)?;
    let timeout = choose_timeout(&body, site.statement_timeout)?;
    let durability = choose_durability(headers, site.durability)?;
    let ticket = site.admission.admit(id, &caller.user, site.monotonic())?;
    let mut accounting = Accounting::new(site.metrics.queries.clone(), ticket);
    site.prover.before_answering(site.durability.reads).await?;
    let request = QueryRequest { id, sql: body.sql, parameters: body.parameters, role: caller.role, timeout };
    let mut stream = match site.engine.start(request).await {
        Ok(stream) => stream,
        Err(error) => {
            let problem =
                told_when_durable(site, caller, timeout, durability, problems::of_query(&error)).await;
            accounting.ended(Some(problem.code));
            return Err(problem);
        }
    };
    // The snapshot that the last statement reads was taken before its header came.
    let confirmation = confirmation(site, timeout, durability);
    let encoder = match encode::encoder(format, stream.columns.clone(), Arc::clone(&stream.schema)) {
        Ok(encoder) => encoder,
        Err(error) => {
            let problem = not_encoded(ErrorCode::QueryFailed, &error, &mut stream).await;
            let problem = told_when_durable(site, caller, timeout, durability, problem).await;
            accounting.ended(Some(problem.code));
            return Err(problem);
        }
    };
    let answer =
        match Answer::begin(id, stream, encoder, Arc::clone(&site.prover), confirmation, accounting).await {
            Ok(answer) => answer,
            Err((problem, mut accounting)) => {
                let problem = told_when_durable(site, caller, timeout, durability, problem).await;
                accounting.ended(Some(problem.code));
                return Err(problem);
            }
        };
    let Ready { body, proof, may_have_committed } = answer.into_body().await?;
    let may_have_committed = may_have_committed && caller.role == Role::ReadWrite;
    site.prover
        .before_answering(proof)
        .await
        .map_err(|problem| if may_have_committed { unproven_commit(&problem) } else { problem })?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(QUERY_ID_HEADER, id_header(id));
    Ok(response)
}

/// An error may tell of commits, too, such as a key that exists already: it waits for them as a result does.
async fn told_when_durable(
    site: &Site,
    caller: &Caller,
    timeout: Duration,
    durability: Durability,
    problem: Problem,
) -> Problem {
    let did = match (problem.committed_statements(), problem.code) {
        (Some(_), _) => Did::Commit,
        (None, ErrorCode::QueryFailed | ErrorCode::TransactionConflict) => match caller.role {
            Role::ReadWrite => Did::Fail,
            Role::ReadOnly => Did::Read,
        },
        (None, _) => return problem,
    };
    match confirmation(site, timeout, durability).wait(did).await {
        Ok(()) => problem,
        Err(mut unconfirmed) => {
            if let Some(statements) = problem.committed_statements() {
                let failed = format!(
                    "; after its first {statements} statements the request failed: {}",
                    problem.detail
                );
                unconfirmed.detail.push_str(&failed);
            }
            unconfirmed
        }
    }
}

fn confirmation(site: &Site, timeout: Duration, durability: Durability) -> Confirmation {
    let (shipper, reads) = (Arc::clone(&site.shipper), site.durability.reads);
    Confirmation::new(shipper, site.environment.clone(), timeout, durability, reads)
}

/// Without a proof a result is kept back. What it wrote may survive, also when another pod has the branch by now and
/// went on from a publish that holds it: that is no case for a blind retry.
fn unproven_commit(problem: &Problem) -> Problem {
    let detail = format!("the request was executed, but its result cannot be confirmed: {}", problem.detail);
    Problem::new(ErrorCode::OutcomeUnknown, detail)
}

fn query_id(headers: &HeaderMap) -> Result<Uuid, Problem> {
    let Some(given) = headers.get(QUERY_ID_HEADER) else { return Ok(Uuid::new_v4()) };
    given.to_str().ok().and_then(|text| Uuid::parse_str(text).ok()).ok_or_else(|| {
        Problem::new(ErrorCode::BadRequest, format!("the header {QUERY_ID_HEADER} must be a UUID"))
    })
}

/// What the answer waits for: what the request asks for, if its tenant's class allows that.
fn choose_durability(headers: &HeaderMap, terms: Terms) -> Result<Durability, Problem> {
    let refused =
        |why: String| Problem::new(ErrorCode::BadRequest, format!("the header {DURABILITY_HEADER}: {why}"));
    let asked = headers.get(DURABILITY_HEADER).map(|value| value.to_str().unwrap_or_default().parse());
    let asked = asked.transpose().map_err(|error: UnknownDurability| refused(error.to_string()))?;
    terms.of_request(asked).map_err(|error| refused(error.to_string()))
}

async fn read_body(body: Body) -> Result<QueryBody, Problem> {
    let bytes = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_QUERY_BODY_BYTES))
        .await
        .map_err(|_| Problem::new(ErrorCode::BadRequest, "the request's body did not arrive in time"))?
        .map_err(|_| {
            let detail =
                format!("the request's body is longer than {MAX_QUERY_BODY_BYTES} bytes, or broke off");
            Problem::new(ErrorCode::TooLarge, detail)
        })?;
    let body: QueryBody = serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("the request's body is not {{\"sql\": ...}} as documented: {error}");
        Problem::new(ErrorCode::BadRequest, detail)
    })?;
    if body.parameters.len() > MAX_PARAMETERS {
        let detail = format!("a statement may have at most {MAX_PARAMETERS} parameters");
        return Err(Problem::new(ErrorCode::TooLarge, detail));
    }
    Ok(body)
}

fn choose_format(body: &QueryBody, headers: &HeaderMap) -> Result<Format, Problem> {
    let accept = headers.get(header::ACCEPT).map(|accept| accept.to_str().unwrap_or("invalid"));
    body.format.or_else(|| Format::from_accept(accept)).ok_or_else(|| {
        let known = Format::ALL.map(Format::media_type).join(", ");
        Problem::new(ErrorCode::NotAcceptable, format!("the formats are {known}"))
    })
}

fn choose_timeout(body: &QueryBody, longest: Duration) -> Result<Duration, Problem> {
    let Some(text) = &body.timeout else { return Ok(longest) };
    let asked = crate::config::parse_duration(text).filter(|asked| !asked.is_zero()).ok_or_else(|| {
        Problem::new(
            ErrorCode::BadRequest,
            format!("the timeout {text:?} is not a duration such as 30s or 1m30s"),
        )
    })?;
    Ok(asked.min(longest))
}

/// A running query of the caller's.
fn own_query<S: Sites>(
    sites: &S,
    headers: &HeaderMap,
    path: &QueryPath,
) -> Result<(Arc<Site>, Uuid, Duration), Problem> {
    let (site, caller) = enter(sites, headers, (&path.namespace, &path.tenant, path.branch.as_deref()))?;
    site.admission.touch(site.monotonic());
    let id = Uuid::parse_str(&path.id).ok();
    // Somebody else's query looks like none.
    id.and_then(|id| {
        site.admission.find(id).filter(|query| query.user == caller.user).map(|query| (id, query))
    })
    .map(|(id, query)| (Arc::clone(&site), id, query.since))
    .ok_or_else(|| Problem::new(ErrorCode::NotFound, "no query of yours with this id runs"))
}

async fn look<S: Sites>(
    State(sites): State<S>,
    Path(path): Path<QueryPath>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (site, id, since) = own_query(&sites, &headers, &path).map_err(Refused)?;
    site.prover.before_answering(site.durability.reads).await.map_err(Refused)?;
    let progress = site.engine.progress(id).and_then(|(progress, _)| progress);
    let elapsed = site.monotonic().saturating_sub(since);
    Ok(json(&QueryStatus {
        id,
        percentage: progress.map(|progress| progress.percentage).filter(|percentage| *percentage >= 0.0),
        rows_processed: progress.map_or(0, |progress| progress.rows),
        total_rows: progress.map_or(0, |progress| progress.total),
        elapsed_millis: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }))
}

async fn cancel<S: Sites>(
    State(sites): State<S>,
    Path(path): Path<QueryPath>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (site, id, _) = own_query(&sites, &headers, &path).map_err(Refused)?;
    site.engine.cancel(id);
    Ok(StatusCode::NO_CONTENT.into_response())
}
