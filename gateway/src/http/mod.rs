//! One request from its first byte to the answer.

use crate::{
    audit::Record,
    auth::{Authenticator, BearerToken},
    body::BodyBuffer,
    limits::TenantLimits,
    metrics::Metrics,
    proxy::{Forwarder, headers::for_runtime, upstream::Outbound},
    response::{self, AnswerBody},
    target::{Call, Target, allowed_methods},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use roost_protocol::{
    names::QUERY_ID_HEADER,
    problem::{ErrorCode, Problem},
};
use std::{net::SocketAddr, sync::Arc};
use uuid::Uuid;

/// What every connection serves.
pub struct Gateway {
    /// Who asks, and what they may do.
    pub authenticator: Authenticator,
    /// How much of it at once.
    pub limits: TenantLimits,
    /// Room for request bodies.
    pub bodies: BodyBuffer,
    /// The way to the runtimes.
    pub forwarder: Forwarder,
    /// What happened.
    pub metrics: Arc<Metrics>,
}

impl Gateway {
    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let target = match Target::parse(request.method(), request.uri().path()) {
            Ok(target) => target,
            Err(problem) => {
                let mut answer = response::problem(&problem);
                if problem.code == ErrorCode::MethodNotAllowed {
                    let allowed = HeaderValue::from_static(allowed_methods(request.uri().path()));
                    answer.headers_mut().insert(header::ALLOW, allowed);
                }
                return answer;
            }
        };
        let mut record = Record::begin(target.clone(), peer, Arc::clone(&self.metrics));
        match self.serve(request, &target, &mut record).await {
            Ok((answer, admission)) => record.follow(answer, admission),
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
        target: &Target,
        record: &mut Record,
    ) -> Result<(Response<AnswerBody>, crate::limits::Admission), Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (head, body) = request.into_parts();
        let token = BearerToken::from_headers(&head.headers)?;
        let user = self.authenticator.identify(&token).await?;
        record.user.clone_from(&user.username);
        let access = self.authenticator.authorize(&token, &user, &target.key).await?;
        record.role = Some(access.role);
        drop(token);
        let mut headers = for_runtime(&head.headers);
        let id = query_id(target.call, &mut headers)?;
        record.query_id = Some(id);
        let admission = self.limits.admit(&target.key, target.call)?;
        if matches!(target.call, Call::CancelQuery(_))
            && self.forwarder.cancel_waiting(&target.key, &access, id)
        {
            return Ok((response::no_content(), admission));
        }
        let body = self.bodies.read(body).await?;
        // The host name that the client used is of no interest to the runtime.
        let path = head.uri.path_and_query().map_or(Ok(Uri::default()), |path| path.as_str().parse());
        let path =
            path.map_err(|_| Problem::new(ErrorCode::BadRequest, "the request's path is malformed"))?;
        let outbound = Outbound { method: head.method, path, headers, body: body.bytes.clone() };
        let answer = self.forwarder.forward(target, &access, id, &outbound).await?;
        Ok((answer, admission))
    }
}

/// The query's id: of the path, chosen by the caller, or made here, so that it is known whatever happens.
fn query_id(call: Call, headers: &mut HeaderMap) -> Result<Uuid, Problem> {
    match call {
        Call::QueryStatus(id) | Call::CancelQuery(id) => Ok(id),
        Call::Query => {
            let mut given = headers.get_all(QUERY_ID_HEADER).iter();
            let id = match (given.next(), given.next()) {
                (None, _) => Uuid::new_v4(),
                (Some(one), None) => {
                    one.to_str().ok().and_then(|text| Uuid::try_parse(text).ok()).ok_or_else(|| {
                        Problem::new(ErrorCode::BadRequest, format!("header {QUERY_ID_HEADER} is not a UUID"))
                    })?
                }
                (Some(_), Some(_)) => {
                    let detail = format!("header {QUERY_ID_HEADER} is there more than once");
                    return Err(Problem::new(ErrorCode::BadRequest, detail));
                }
            };
            if let Ok(value) = HeaderValue::try_from(id.to_string()) {
                headers.insert(QUERY_ID_HEADER, value);
            }
            Ok(id)
        }
    }
}
