//! The query API: run, look at, cancel.

use super::{
    body::{Ready, send},
    request::{Asked, asked, credential, query_id},
    respond::{Refused, id_header, json},
};
use crate::{
    encode,
    query::{access::Caller, service::Service},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use roost_protocol::{
    BranchKey,
    names::{MAIN_BRANCH, QUERY_ID_HEADER},
    problem::{ErrorCode, Problem},
};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

/// Gives the service of the tenant that is served, or the problem why there is none.
pub trait Services: Clone + Send + Sync + 'static {
    /// The service of the tenant that this process serves now.
    fn service(&self) -> Result<Arc<Service>, Problem>;
}

#[derive(Deserialize)]
struct QueryPath {
    namespace: String,
    tenant: String,
    branch: Option<String>,
    id: Option<String>,
}

/// The routes, with and without a branch.
pub fn routes<S: Services>(services: S) -> Router {
    let mut router = Router::new();
    for prefix in [
        "/v1/namespaces/{namespace}/tenants/{tenant}",
        "/v1/namespaces/{namespace}/tenants/{tenant}/branches/{branch}",
    ] {
        router = router
            .route(&format!("{prefix}/query"), post(run::<S>))
            .route(&format!("{prefix}/queries/{{id}}"), get(look::<S>).delete(cancel::<S>));
    }
    super::with_fallbacks(router).with_state(services)
}

/// The caller of a request to this path, and whom it calls.
fn enter<S: Services>(
    services: &S,
    headers: &HeaderMap,
    path: QueryPath,
) -> Result<(Arc<Service>, Caller, Option<String>), Problem> {
    let service = services.service()?;
    let caller = service.authorize(credential(headers))?;
    let QueryPath { namespace, tenant, branch, id } = path;
    service.is_of(&BranchKey { namespace, tenant, branch: branch.unwrap_or_else(|| MAIN_BRANCH.into()) })?;
    Ok((service, caller, id))
}

async fn run<S: Services>(
    State(services): State<S>,
    Path(path): Path<QueryPath>,
    request: Request,
) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let (service, caller, _) = enter(&services, &head.headers, path).map_err(Refused)?;
    let id = query_id(&head.headers).map_err(Refused)?;
    answer(&service, &caller, id, &head.headers, body).await.map_err(|problem| Refused(problem.of_query(id)))
}

async fn answer(
    service: &Service,
    caller: &Caller,
    id: Uuid,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    service.received();
    let Asked { statement, terms, format } = asked(service, id, headers, body).await?;
    let answer = service.run(caller, terms, statement).await?;
    let encoder = match encode::encoder(format, answer.columns().to_vec(), Arc::clone(answer.schema())) {
        Ok(encoder) => encoder,
        Err(error) => return Err(answer.refuse(ErrorCode::QueryFailed, &error).await),
    };
    let Ready(body) = send(answer, encoder).await?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(QUERY_ID_HEADER, id_header(id));
    Ok(response)
}

/// The id in a path; what is no UUID names no query.
fn running_id(id: Option<&str>) -> Result<Uuid, Problem> {
    id.and_then(|id| Uuid::parse_str(id).ok())
        .ok_or_else(|| Problem::new(ErrorCode::NotFound, "no query of yours with this id runs"))
}

async fn look<S: Services>(
    State(services): State<S>,
    Path(path): Path<QueryPath>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (service, caller, id) = enter(&services, &headers, path).map_err(Refused)?;
    let id = running_id(id.as_deref()).map_err(Refused)?;
    service.progress(&caller, id).await.map(|status| json(&status)).map_err(Refused)
}

async fn cancel<S: Services>(
    State(services): State<S>,
    Path(path): Path<QueryPath>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let (service, caller, id) = enter(&services, &headers, path).map_err(Refused)?;
    let id = running_id(id.as_deref()).map_err(Refused)?;
    service.cancel(&caller, id).map_err(Refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
