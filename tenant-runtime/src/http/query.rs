//! The query API: run, look at, cancel.

use super::{
    body::send,
    request::{Asked, asked, credential, query_id},
    respond::json,
};
use crate::{
    encode,
    query::{access::Caller, service::Service},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use roost_protocol::{
    names::QUERY_ID_HEADER,
    problem::{ErrorCode, Problem},
    routes::{self, Action},
};
use roost_transport::problem::{Refused, id_header};
use std::sync::Arc;
use uuid::Uuid;

/// Gives the service of the tenant that is served, or the problem why there is none.
pub trait Services: Clone + Send + Sync + 'static {
    /// The service of the tenant that this process serves now.
    /// Errors: `not-serving`.
    fn service(&self) -> Result<Arc<Service>, Problem>;
}

/// The public API: which operation a path below is, and whether there is one, the table of operations says.
pub fn routes<S: Services>(services: S) -> Router {
    super::with_fallbacks(Router::new().route("/v1/{*path}", any(call::<S>))).with_state(services)
}

/// Answers a call of any operation.
async fn call<S: Services>(State(services): State<S>, request: Request) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let call = routes::parse(head.method.as_str(), head.uri.path());
    let call = call.map_err(|error| Refused(Problem::from(&error)))?;
    let service = services.service().map_err(Refused)?;
    let caller = service.authorize(credential(&head.headers)).map_err(Refused)?;
    service.is_of(&call.branch).map_err(Refused)?;
    match call.action {
        Action::Query => {
            let id = query_id(&head.headers).map_err(Refused)?;
            let answer = answer(&service, &caller, id, &head.headers, body).await;
            answer.map_err(|problem| Refused(problem.of_query(id)))
        }
        Action::QueryStatus(id) => {
            service.progress(&caller, id).await.map(|status| json(&status)).map_err(Refused)
        }
        Action::CancelQuery(id) => {
            service.cancel(&caller, id).map_err(Refused)?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
    }
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
    let mut response = Response::new(send(answer, encoder).await?);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(QUERY_ID_HEADER, id_header(id));
    Ok(response)
}
