//! Requests and answers that pass to the runtime and back, and what happens when they cannot.

use crate::{
    client::Call,
    harness::{Setting, ok, route},
    peer::{Answer, BoxFuture, Peer, Seen, answer, broken, nobody, problem},
};
use futures::{FutureExt as _, future::join_all};
use http::Method;
use roost_protocol::{
    problem::{ErrorCode, Problem},
    query::MAX_QUERY_BODY_BYTES,
    wake::WakeRequest,
};
use std::sync::Arc;
use tokio::sync::Semaphore;

const QUERY_PATH: &str = "/v1/namespaces/shop/tenants/acme/queries/6f1ed002-ab5d-4d3f-9b26-25bb08ba3d7b";

fn wakes(operator: &Peer) -> Vec<Option<String>> {
    let wake = |seen: &Seen| serde_json::from_slice::<WakeRequest>(&seen.body).unwrap().not_pod_uid;
    operator.seen().iter().map(wake).collect()
}

#[tokio::test]
async fn a_refusal_without_execution_is_sent_to_the_next_pod() {
    for code in [ErrorCode::Draining, ErrorCode::NotServing, ErrorCode::Fenced] {
        let setting = Setting::new();
        let refuse = move |_: Seen, _: usize| async move { problem(&Problem::new(code, "leaving")) }.boxed();
        let old = setting.runtime("rt-1", refuse).await;
        let new = setting.runtime("rt-2", ok).await;
        let routes = vec![route("rt-1", old.address), route("rt-2", new.address)];
        let operator = setting.operator_naming(routes).await;
        let gateway = setting.gateway(&[operator.address], &[]).await;
        assert_eq!(gateway.query().await.status, 200);
        assert_eq!(wakes(&operator), [None, Some("uid-rt-1".to_owned())]);
        assert_eq!((old.seen().len(), new.seen().len()), (1, 1));
        assert_eq!(old.seen()[0].body, new.seen()[0].body);
        // The next request knows the way.
        assert_eq!(gateway.query().await.status, 200);
        assert_eq!(operator.seen().len(), 2);
    }
}

#[tokio::test]
async fn many_requests_to_a_draining_pod_wake_once() {
    let setting = Setting::new();
    let first_only = |seen: Seen, number: usize| -> BoxFuture<Answer> {
        let leaving = Problem::new(ErrorCode::Draining, "leaving");
        async move { if number == 0 { ok(seen, number).await } else { problem(&leaving) } }.boxed()
    };
    let old = setting.runtime("rt-1", first_only).await;
    let new = setting.runtime("rt-2", ok).await;
    let routes = vec![route("rt-1", old.address), route("rt-2", new.address)];
    let operator = setting.operator_naming(routes).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    let answers = join_all((0..50).map(|_| gateway.query())).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(wakes(&operator), [None, Some("uid-rt-1".to_owned())]);
    assert_eq!(new.seen().len(), 50);
}

#[tokio::test]
async fn what_is_committed_in_part_is_sent_to_no_other_pod() {
    let setting = Setting::new();
    for code in [ErrorCode::Draining, ErrorCode::NotServing, ErrorCode::Fenced] {
        // Whatever its status.
        for status in [None, Some(503)] {
            let told = Problem::new(code, "leaving").after_commit(1);
            let status = status.unwrap_or(told.status());
            let document = serde_json::to_vec(&told).unwrap();
            let refuse = move |_: Seen, _: usize| {
                let document = document.clone();
                async move { answer(status, "application/problem+json", document) }.boxed()
            };
            let old = setting.runtime("rt-1", refuse).await;
            let new = setting.runtime("rt-2", ok).await;
            let routes = vec![route("rt-1", old.address), route("rt-2", new.address)];
            let operator = setting.operator_naming(routes).await;
            let gateway = setting.gateway(&[operator.address], &[]).await;
            let answered = gateway.query().await;
            assert_eq!(answered.status, status);
            assert_eq!(serde_json::from_slice::<Problem>(&answered.body).unwrap(), told);
            assert_eq!((old.seen().len(), new.seen().len()), (1, 0));
        }
    }
}

/// As after a query that ran for longer than the gateway waits for a pod.
#[tokio::test]
async fn a_refusal_that_comes_too_late_for_another_pod_is_told() {
    let setting = Setting::new();
    let refuse = |_: Seen, _: usize| {
        async { problem(&Problem::new(ErrorCode::Draining, "it was stopped").retry_after(1)) }.boxed()
    };
    let runtime = setting.runtime("rt-1", refuse).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &["--wake-timeout", "500ms"]).await;
    let answer = gateway.query().await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, Some(ErrorCode::Draining)));
    assert_eq!(answer.problem().detail, "it was stopped");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn other_refusals_are_the_clients() {
    let setting = Setting::new();
    let paused = |_: Seen, _: usize| {
        async { problem(&Problem::new(ErrorCode::WritesPaused, "no publish for 2 minutes")) }.boxed()
    };
    let runtime = setting.runtime("rt-1", paused).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let answer = gateway.query().await;
    assert_eq!(answer.code(), Some(ErrorCode::WritesPaused));
    assert_eq!(answer.problem().detail, "no publish for 2 minutes");
    assert_eq!(runtime.seen().len(), 1);
}

#[tokio::test]
async fn a_pod_that_cannot_be_reached_twice_is_avoided() {
    let setting = Setting::new();
    let new = setting.runtime("rt-2", ok).await;
    let gone = route("rt-1", nobody().await);
    let operator = setting.operator_naming(vec![gone.clone(), gone, route("rt-2", new.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!(wakes(&operator), [None, None, Some("uid-rt-1".to_owned())]);
}

#[tokio::test]
async fn another_pod_at_the_same_address_gets_nothing() {
    let setting = Setting::new();
    let stranger = setting.runtime("rt-9", ok).await;
    let new = setting.runtime("rt-2", ok).await;
    let routes = vec![route("rt-1", stranger.address), route("rt-2", new.address)];
    let operator = setting.operator_naming(routes).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!((stranger.seen().len(), new.seen().len()), (0, 1));
}

#[tokio::test]
async fn a_query_whose_connection_broke_is_not_sent_again() {
    let setting = Setting::new();
    let break_it = |_: Seen, _: usize| async { broken() }.boxed();
    let runtime = setting.runtime("rt-1", break_it).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let id = "6f1ed002-ab5d-4d3f-9b26-25bb08ba3d7b";
    let call = Call::query("INSERT INTO t VALUES (1)").token("alice-token").header("roost-query-id", id);
    let answer = gateway.send(call).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.code(), Some(ErrorCode::OutcomeUnknown));
    assert_eq!(answer.problem().particulars().query_id.unwrap().to_string(), id);
    assert_eq!(runtime.seen().len(), 1);
}

#[tokio::test]
async fn a_cancel_whose_connection_broke_is_sent_again_once() {
    let setting = Setting::new();
    for (breaks, expected) in [(1, None), (9, Some(ErrorCode::OutcomeUnknown))] {
        let script = move |seen: Seen, number: usize| -> BoxFuture<Answer> {
            async move { if number < breaks { broken() } else { ok(seen, number).await } }.boxed()
        };
        let runtime = setting.runtime("rt-1", script).await;
        let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
        let gateway = setting.gateway(&[operator.address], &[]).await;
        let answer = gateway.send(Call::new(Method::DELETE, QUERY_PATH).token("alice-token")).await;
        assert_eq!(answer.code(), expected);
        assert_eq!(runtime.seen().len(), 2);
        assert_eq!(runtime.seen()[1].path, QUERY_PATH);
    }
}

#[tokio::test]
async fn a_runtime_gets_no_credentials_and_no_forged_session() {
    let setting = Setting::new();
    let script = |_: Seen, _: usize| {
        async {
            let mut response = answer(200, "text/csv", "a\n1\n")?;
            for (name, value) in
                [("connection", "x-hop"), ("x-hop", "1"), ("roost-session", "s"), ("x-end", "2")]
            {
                response.headers_mut().append(name, value.parse().unwrap());
            }
            Ok(response)
        }
        .boxed()
    };
    let runtime = setting.runtime("rt-1", script).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let call = Call::query("SELECT 1")
        .token("alice-token")
        .header("roost-session", "forged")
        .header("cookie", "a=b")
        .header("x-forwarded-for", "1.2.3.4")
        .header("connection", "traceparent")
        .header("traceparent", "00-1-2-01")
        .header("accept", "text/csv");
    let answer = gateway.send(call).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, &b"a\n1\n"[..]));
    let seen = &runtime.seen()[0];
    assert_eq!(seen.path, "/v1/namespaces/shop/tenants/acme/query");
    assert_eq!(seen.body, "{\"sql\":\"SELECT 1\"}");
    let mut names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "host", "roost-query-id", "roost-session"]);
    assert_eq!(seen.headers["host"], "rt-1.runtime.roost.internal");
    assert_eq!(seen.headers.get_all("roost-session").iter().count(), 1);
    assert_eq!(setting.session(seen).user, "alice");
    assert!(!format!("{:?}{:?}", seen.headers, seen.body).contains("alice-token"));
    assert_eq!(answer.headers["x-end"], "2");
    assert!(!answer.headers.contains_key("x-hop") && !answer.headers.contains_key("roost-session"));
}

#[tokio::test]
async fn bad_requests_are_answered_here() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let query = || Call::query("SELECT 1").token("alice-token");
    let large = vec![b'x'; MAX_QUERY_BODY_BYTES + 1];
    for (call, expected) in [
        (Call::new(Method::GET, "/"), ErrorCode::NotFound),
        (Call::new(Method::POST, "/internal/v1/grant"), ErrorCode::NotFound),
        (Call::new(Method::PUT, QUERY_PATH), ErrorCode::MethodNotAllowed),
        (query().header("roost-query-id", "7"), ErrorCode::BadRequest),
        (query().body(large), ErrorCode::TooLarge),
    ] {
        let answer = gateway.send(call).await;
        assert_eq!(answer.code(), Some(expected));
        assert_eq!(answer.headers.contains_key("allow"), expected == ErrorCode::MethodNotAllowed);
    }
    assert_eq!((operator.seen().len(), runtime.seen().len()), (0, 0));
    let largest = vec![b'x'; MAX_QUERY_BODY_BYTES];
    assert_eq!(gateway.send(query().body(largest)).await.status, 200);
    assert_eq!(runtime.seen()[0].body.len(), MAX_QUERY_BODY_BYTES);
}

#[tokio::test]
async fn a_tenant_at_its_limit_can_still_cancel() {
    let setting = Setting::new();
    let gate = Arc::new(Semaphore::new(0));
    let opening = Arc::clone(&gate);
    let script = move |seen: Seen, number: usize| -> BoxFuture<Answer> {
        let gate = Arc::clone(&gate);
        async move {
            if seen.method == Method::POST {
                gate.acquire().await.unwrap().forget();
            }
            ok(seen, number).await
        }
        .boxed()
    };
    let runtime = setting.runtime("rt-1", script).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &["--max-requests-per-tenant", "1"]).await;
    let (first, ()) = tokio::join!(gateway.query(), async {
        crate::harness::eventually("the first runs", || runtime.seen().len() == 1).await;
        assert_eq!(gateway.query().await.code(), Some(ErrorCode::Busy));
        let cancel = Call::new(Method::DELETE, QUERY_PATH).token("alice-token");
        assert_eq!(gateway.send(cancel).await.status, 200);
        opening.add_permits(2);
    });
    assert_eq!(first.status, 200);
    assert_eq!(gateway.query().await.status, 200);
}

#[tokio::test]
async fn connections_to_a_pod_are_used_again() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    for _ in 0..5 {
        assert_eq!(gateway.query().await.status, 200);
    }
    assert_eq!((runtime.seen().len(), runtime.connections()), (5, 1));
}
