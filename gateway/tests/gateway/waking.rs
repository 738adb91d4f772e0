//! Waking through the operator: once for all who wait, by whichever replica answers.

use crate::{
    client::{Answered, Call},
    harness::{PATIENCE, Setting, eventually, ok, route},
    peer::{Peer, answer, nobody, problem},
};
use futures::{FutureExt as _, future::join_all};
use http::Method;
use roost_protocol::{
    problem::{ErrorCode, Problem},
    wake::WakeRequest,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::timeout};

/// An operator that finds nothing running, and wakes `rt-1` when it is let: a permit for each wake.
async fn gated_operator(
    setting: &Setting,
    runtime: &Peer,
    inspect: impl Fn(&WakeRequest) + Send + Sync + 'static,
) -> (Peer, Arc<Semaphore>) {
    let named = serde_json::to_vec(&route("rt-1", runtime.address)).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let opening = Arc::clone(&gate);
    let operator = setting
        .operator(move |wake, _| {
            let (gate, named) = (Arc::clone(&gate), named.clone());
            inspect(&wake);
            async move {
                if wake.only_if_running {
                    return problem(&Problem::new(ErrorCode::NotFound, "not running"));
                }
                gate.acquire().await.unwrap().forget();
                answer(200, "application/json", named)
            }
            .boxed()
        })
        .await;
    (operator, opening)
}

#[tokio::test]
async fn a_hundred_requests_wake_a_tenant_once() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let inspect = |wake: &WakeRequest| assert!(!wake.only_if_running && wake.not_pod_uid.is_none());
    let (operator, opening) = gated_operator(&setting, &runtime, inspect).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let metrics = Arc::clone(&gateway.gateway.metrics);
    let requests = join_all((0..100).map(|_| gateway.query()));
    let opened = async {
        let in_flight = "roost_gateway_requests_in_flight 100";
        eventually("all are in flight", || metrics.render().unwrap().contains(in_flight)).await;
        eventually("the operator is asked", || operator.seen().len() == 1).await;
        opening.add_permits(1);
    };
    let (answers, ()) = timeout(PATIENCE, async { tokio::join!(requests, opened) }).await.unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(operator.seen().len(), 1);
    assert_eq!(runtime.seen().len(), 100);
}

#[tokio::test]
async fn a_replica_that_cannot_be_reached_is_passed_over() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let impostor = Peer::start(&setting.ca, "rt-9.runtime.roost.internal", |_, _| panic!("trusted")).await;
    let dead = [nobody().await, nobody().await, impostor.address, operator.address];
    let gateway = setting.gateway(&dead, &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!(operator.seen().len(), 1);
    assert_eq!(impostor.seen().len(), 0);
}

#[tokio::test]
async fn without_an_operator_a_request_waits_no_longer_than_it_may() {
    let setting = Setting::new();
    for operators in [vec![], vec![nobody().await]] {
        let gateway = setting.gateway(&operators, &["--wake-timeout", "300ms"]).await;
        let answer = gateway.query().await;
        assert_eq!(answer.code(), Some(ErrorCode::WakeTimeout));
        assert_eq!(answer.headers["retry-after"], "5");
        assert!(answer.problem().particulars().query_id.is_some());
    }
}

#[tokio::test]
async fn a_wake_that_takes_too_long_is_given_up() {
    let setting = Setting::new();
    let operator = setting.operator(|_, _| futures::future::pending().boxed()).await;
    let gateway = setting.gateway(&[operator.address], &["--wake-timeout", "300ms"]).await;
    assert_eq!(gateway.query().await.code(), Some(ErrorCode::WakeTimeout));
}

#[tokio::test]
async fn a_refusal_is_passed_on_and_remembered_for_a_moment() {
    let setting = Setting::new();
    let operator = setting
        .operator(|_, _| {
            async { problem(&Problem::new(ErrorCode::Suspended, "suspended by its owner")) }.boxed()
        })
        .await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let first = gateway.query().await;
    assert_eq!(first.status, 403);
    assert_eq!(first.problem().detail, "suspended by its owner");
    assert_eq!(gateway.query().await.code(), Some(ErrorCode::Suspended));
    assert_eq!(operator.seen().len(), 1, "the second one is answered from memory");
}

#[tokio::test]
async fn a_failure_that_passes_is_not_remembered() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let named = serde_json::to_vec(&route("rt-1", runtime.address)).unwrap();
    let operator = setting
        .operator(move |_, number| {
            let named = named.clone();
            async move {
                match number {
                    0 => problem(&Problem::new(ErrorCode::StorageUnreachable, "no bucket")),
                    // A moment between two pods: the gateway asks again by itself.
                    1 => problem(&Problem::new(ErrorCode::NotSealed, "soon")),
                    _ => answer(200, "application/json", named),
                }
            }
            .boxed()
        })
        .await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.code(), Some(ErrorCode::StorageUnreachable));
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!(operator.seen().len(), 3);
}

#[tokio::test]
async fn those_who_wait_are_bounded() {
    let setting = Setting::new();
    let operator = setting.operator(|_, _| futures::future::pending().boxed()).await;
    let arguments = ["--max-waiters-per-branch", "2", "--max-wakes", "1", "--wake-timeout", "1s"];
    let gateway = setting.gateway(&[operator.address], &arguments).await;
    let mut codes: Vec<_> =
        join_all((0..5).map(|_| gateway.query())).await.iter().map(Answered::code).collect();
    codes.sort_by_key(|code| format!("{code:?}"));
    let (busy, late) = (Some(ErrorCode::Busy), Some(ErrorCode::WakeTimeout));
    assert_eq!(codes, [busy, busy, busy, late, late]);
    let given_up = "roost_gateway_wake_wakes_total{outcome=\"wake-timeout\"} 1";
    eventually("the wake is given up", || gateway.gateway.metrics.render().unwrap().contains(given_up)).await;
    // And so are the tenants being woken.
    setting.kubernetes.grant("alice", "connect", "tenants/other");
    let other = || Call::new(Method::POST, "/v1/namespaces/shop/tenants/other/query").token("alice-token");
    let (first, second) = tokio::join!(gateway.query(), async {
        eventually("the first is waking", || operator.seen().len() == 2).await;
        gateway.send(other()).await
    });
    assert_eq!((first.code(), second.code()), (late, busy));
}

#[tokio::test]
async fn looking_and_cancelling_wake_nobody() {
    let setting = Setting::new();
    let operator = setting
        .operator(|wake, _| {
            assert!(wake.only_if_running);
            async { problem(&Problem::new(ErrorCode::NotFound, "not running")) }.boxed()
        })
        .await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let path = "/v1/namespaces/shop/tenants/acme/queries/6f1ed002-ab5d-4d3f-9b26-25bb08ba3d7b";
    for method in [Method::GET, Method::DELETE] {
        let answer = gateway.send(Call::new(method, path).token("alice-token")).await;
        assert_eq!(answer.code(), Some(ErrorCode::NotFound));
    }
    assert_eq!(operator.seen().len(), 2);
}

#[tokio::test]
async fn a_wake_goes_on_when_those_who_wait_leave() {
    let setting = Setting::new();
    let runtime = setting.runtime("rt-1", ok).await;
    let (operator, opening) = gated_operator(&setting, &runtime, |_| ()).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let leaving = Call::query("SELECT 1").token("alice-token").begin(gateway.address);
    assert!(timeout(Duration::from_millis(500), leaving).await.is_err());
    eventually("the operator is asked", || operator.seen().len() == 1).await;
    let (answer, ()) = tokio::join!(gateway.query(), async { opening.add_permits(1) });
    assert_eq!(answer.status, 200);
    assert_eq!(operator.seen().len(), 1);
    assert_eq!(runtime.seen().len(), 1, "the request of the client that left is not executed");
}

#[tokio::test]
async fn a_query_whose_tenant_wakes_is_cancelled_here_and_never_sent() {
    let setting = Setting::new();
    setting.kubernetes.token("bob-token", "bob");
    setting.kubernetes.grant("bob", "connect", "tenants/acme");
    let runtime = setting.runtime("rt-1", ok).await;
    let (operator, opening) = gated_operator(&setting, &runtime, |_| ()).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let id = "6f1ed002-ab5d-4d3f-9b26-25bb08ba3d7b";
    let query = || Call::query("SELECT 1").token("alice-token").header("roost-query-id", id);
    let cancel = |token: &str| {
        let path = format!("/v1/namespaces/shop/tenants/acme/queries/{id}");
        gateway.send(Call::new(Method::DELETE, &path).token(token))
    };
    let (cancelled, ()) = tokio::join!(gateway.send(query()), async {
        eventually("the operator is asked", || operator.seen().len() == 1).await;
        assert_eq!(gateway.send(query()).await.code(), Some(ErrorCode::QueryIdInUse));
        assert_eq!(cancel("bob-token").await.code(), Some(ErrorCode::NotFound), "it is not his");
        assert_eq!(cancel("alice-token").await.status, 204);
    });
    assert_eq!(cancelled.code(), Some(ErrorCode::Cancelled));
    assert_eq!(cancelled.problem().particulars().query_id.unwrap().to_string(), id);
    assert_eq!(cancel("alice-token").await.code(), Some(ErrorCode::NotFound));
    // The wake went on, and serves whoever comes next, even under the same id.
    let (answer, ()) = tokio::join!(gateway.send(query()), async { opening.add_permits(1) });
    assert_eq!(answer.status, 200);
    assert_eq!(runtime.seen().len(), 1, "the cancelled query is sent");
}
