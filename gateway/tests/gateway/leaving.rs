//! Pods that leave: the gateway learns it from their connections, and does not call where nobody is.

use crate::{
    client::Call,
    harness::{Running, Setting, eventually, ok, route},
    peer::{Answer, BoxFuture, Seen, nobody},
};
use futures::FutureExt as _;

/// Value of a counter of the gateway.
fn counted(gateway: &Running, counter: &str) -> u64 {
    let metrics = gateway.gateway.metrics.render().unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix("_total "));
    line.unwrap_or_else(|| panic!("no {counter} in\n{metrics}")).parse().unwrap()
}

const DEPARTURES: &str = "roost_gateway_proxy_departures";
const CONNECT_FAILURES: &str = "roost_gateway_proxy_connect_failures";

#[tokio::test]
async fn a_pod_that_closed_its_connections_is_not_called_again() {
    let setting = Setting::new();
    let old = setting.runtime("rt-1", ok).await;
    let new = setting.runtime("rt-2", ok).await;
    let operator =
        setting.operator_naming(vec![route("rt-1", old.address), route("rt-2", new.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    old.hang_up().await;
    eventually("the departure is noticed", || counted(&gateway, DEPARTURES) == 1).await;
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!((old.accepted(), old.seen().len()), (1, 1), "the pod that left is called");
    assert_eq!((operator.seen().len(), new.seen().len()), (2, 1));
    assert_eq!(counted(&gateway, CONNECT_FAILURES), 0);
}

#[tokio::test]
async fn a_query_that_meets_the_end_of_its_connection_is_sent_once() {
    const ROUNDS: usize = 40;
    let setting = Setting::new();
    let pods = [setting.runtime("rt-1", ok).await, setting.runtime("rt-2", ok).await];
    let names = ["rt-1", "rt-2"];
    let routes = (0..=ROUNDS).map(|round| route(names[round % 2], pods[round % 2].address)).collect();
    let operator = setting.operator_naming(routes).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    for round in 0..ROUNDS {
        // The gateway has had no time to notice.
        pods[round % 2].hang_up().await;
        assert_eq!(gateway.query().await.status, 200);
        assert_eq!(operator.seen().len(), round + 2);
    }
    assert_eq!(pods[0].seen().len() + pods[1].seen().len(), ROUNDS + 1);
    assert_eq!(pods[0].accepted() + pods[1].accepted(), ROUNDS + 1, "a pod that left is called");
    assert_eq!(counted(&gateway, DEPARTURES), ROUNDS as u64);
    assert_eq!(counted(&gateway, CONNECT_FAILURES), 0);
}

#[tokio::test]
async fn a_pod_whose_connection_the_client_ended_is_found_without_the_operator() {
    let setting = Setting::new();
    let never_first = |seen: Seen, number: usize| -> BoxFuture<Answer> {
        if number == 0 { futures::future::pending().boxed() } else { ok(seen, number) }
    };
    let runtime = setting.runtime("rt-1", never_first).await;
    let operator = setting.operator_naming(vec![route("rt-1", runtime.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    let leaving = Call::query("SELECT 1").token("alice-token").begin(gateway.address);
    tokio::select! {
        _ = leaving => panic!("an answer"),
        () = eventually("the query runs", || runtime.seen().len() == 1) => {}
    }
    eventually("its connection is closed", || runtime.open() == 0).await;
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!((operator.seen().len(), runtime.connections()), (1, 2));
    assert_eq!(counted(&gateway, DEPARTURES), 0);
}

#[tokio::test]
async fn a_connect_that_fails_is_counted_and_the_operator_is_asked() {
    let setting = Setting::new();
    let new = setting.runtime("rt-2", ok).await;
    let gone = route("rt-1", nobody().await);
    let operator = setting.operator_naming(vec![gone, route("rt-2", new.address)]).await;
    let gateway = setting.gateway(&[operator.address], &[]).await;
    assert_eq!(gateway.query().await.status, 200);
    assert_eq!((operator.seen().len(), new.seen().len()), (2, 1));
    assert_eq!(counted(&gateway, CONNECT_FAILURES), 1);
}
