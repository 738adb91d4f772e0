//! HTTP with clients: one request of the public API from its first byte to the end of its answer.

mod answer;
mod forward;
mod pool;
mod queries;
mod request;
#[cfg(test)]
mod samples;

pub use forward::{Forwarder, Outbound};
pub use pool::RequestBody;
pub use queries::Queries;
pub use request::{BodyBuffer, ClientBody};

use crate::{
    audit::Record,
    auth::Authenticator,
    limits::{Admission, TenantLimits},
    metrics::Metrics,
    response::{self, AnswerBody, BodyError},
};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use queries::QueryKey;
use roost_protocol::{
    problem::Problem,
    routes::{self, Action, Call},
};
use std::{net::SocketAddr, sync::Arc};

/// The public API, as every HTTP connection serves it.
pub struct Gateway {
    /// Authentication and authorization.
    pub authenticator: Authenticator,
    /// Limits of each tenant's calls.
    pub limits: TenantLimits,
    /// Room for request bodies.
    pub bodies: BodyBuffer,
    /// The queries that have no answer yet.
    pub queries: Queries,
    /// The way to the runtimes.
    pub forwarder: Forwarder,
    /// Counters of what happened.
    pub metrics: Arc<Metrics>,
}

impl Gateway {
    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let call = match routes::parse(request.method().as_str(), request.uri().path()) {
            Ok(call) => call,
            Err(error) => return answer::no_such_call(&error),
        };
        let mut record = Record::begin(call.clone(), peer, Arc::clone(&self.metrics));
        match self.serve(request, &call, &mut record).await {
            Ok((answer, admission)) => answer::follow(answer, record, admission),
            Err(mut problem) => {
                let id = &mut problem.particulars_mut().query_id;
                *id = id.or(record.query_id);
                record.refuse(&problem);
                response::problem(&problem)
            }
        }
    }

    async fn serve<B>(
        &self,
        request: Request<B>,
        call: &Call,
        record: &mut Record,
    ) -> Result<(Response<AnswerBody>, Admission), Problem>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let (head, body) = request.into_parts();
        let token = request::bearer_token(&head.headers)?;
        let user = self.authenticator.identify(&token).await?;
        record.user.clone_from(&user.username);
        let access = self.authenticator.authorize(&token, &user, &call.branch).await?;
        record.role = Some(access.role);
        drop(token);
        let mut headers = request::for_runtime(&head.headers);
        let id = request::query_id(call.action, &mut headers)?;
        record.query_id = Some(id);
        let operation = call.operation();
        let admission = self.limits.admit(&call.branch, operation.load)?;
        let query = QueryKey { branch: call.branch.clone(), user: access.user.clone(), id };
        if matches!(call.action, Action::CancelQuery(_)) && self.queries.cancel(&query) {
            return Ok((response::no_content(), admission));
        }
        let body = self.bodies.read(body, operation.body).await?;
        let ticket = match call.action {
            Action::Query => Some(self.queries.enter(query)?),
            Action::QueryStatus(_) | Action::CancelQuery(_) => None,
        };
        let path = head.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        let mut outbound = Outbound { method: head.method, path, headers, body };
        let answer = self.forwarder.forward(call, &access, &mut outbound, ticket.as_ref()).await?;
        Ok((answer, admission))
    }
}
