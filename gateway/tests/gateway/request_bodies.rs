//! Request bodies that stream: larger than any room for bodies, and sent once.

use crate::{
    harness::{Running, Setting, ok, route},
    peer::{Answer, BoxFuture, Seen, nobody, problem},
};
use bytes::Bytes;
use futures::{FutureExt as _, stream};
use http::{HeaderMap, Method, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use roost_gateway::{
    auth::Access,
    http::{ClientBody, Outbound, RequestBody},
    response::{AnswerBody, BodyError},
};
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
    query::MAX_QUERY_BODY_BYTES,
    routes::{Action, Call},
    session::Role,
};

const CHUNK: usize = 1024 * 1024;
const TOTAL: usize = 2 * MAX_QUERY_BODY_BYTES;

fn large_body() -> RequestBody {
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = (0..TOTAL / CHUNK).map(move |_| Ok::<_, BodyError>(Frame::data(chunk.clone())));
    StreamBody::new(stream::iter(chunks)).boxed_unsync()
}

/// Alice sends a body that streams.
async fn stream_to(gateway: &Running) -> Result<Response<AnswerBody>, Problem> {
    let branch = BranchKey { namespace: "shop".into(), tenant: "acme".into(), branch: "main".into() };
    let call = Call { branch, action: Action::Query };
    let access = Access { user: "alice".into(), role: Role::ReadWrite };
    let mut outbound = Outbound {
        method: Method::POST,
        path: "/v1/namespaces/shop/tenants/acme/query".parse().unwrap(),
        headers: HeaderMap::new(),
        body: ClientBody::Streamed(Some(large_body())),
    };
    gateway.gateway.forwarder.forward(&call, &access, &mut outbound, None).await
}

#[tokio::test]
async fn a_large_body_streams_to_the_first_pod_that_is_reached() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-2", ok).await;
    let gone = route("rt-1", nobody().await);
    let operator = setting.operator_naming(vec![gone, route("rt-2", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &["--max-buffered-bytes", "1"]).await;
    assert_eq!(stream_to(&gateway).await.unwrap().status(), 200);
    assert_eq!((runtime.seen().len(), runtime.seen()[0].body.len()), (1, TOTAL));
}

#[tokio::test]
async fn a_body_that_streamed_is_sent_to_no_other_pod() {
    let setting = Setting::new();
    let refuse = |_: Seen, _: usize| -> BoxFuture<Answer> {
        async { problem(&Problem::new(ErrorCode::Draining, "leaving")) }.boxed()
    };
    let old = setting.runtime("rt-1", refuse).await;
    let new = setting.runtime("rt-2", ok).await;
    let routes = vec![route("rt-1", old.address), route("rt-2", new.address)];
    let operator = setting.operator_naming(routes).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(stream_to(&gateway).await.unwrap_err().code, ErrorCode::Draining);
    assert_eq!((old.seen().len(), new.seen().len()), (1, 0));
}
