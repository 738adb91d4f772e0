//! Grants and commands to a pod, before there is a bucket. Real processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

use roost_protocol::{
    PROTOCOL_VERSION,
    command::{Command, Order},
    grant::{Grant, GrantRequest, StorageLocation},
    names::paths,
    secret::Secret,
    status::{RuntimeState, RuntimeStatus},
};
use roost_tests::free_port;
use support::{
    eventually,
    pod::{Pod, command, in_seconds, key, serve, sign},
};

fn nowhere() -> StorageLocation {
    StorageLocation {
        bucket: "nowhere".into(),
        prefix: String::new(),
        endpoint: Some(format!("http://127.0.0.1:{}", free_port())),
        region: "us-east-1".into(),
        path_style: true,
        ca_pem: None,
        access_key_id: Secret::new("key"),
        secret_access_key: Secret::new("secret"),
        session_token: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_grant_is_accepted_and_only_once() {
    let mut pod = Pod::start().await;
    assert_eq!(pod.query("select 1").await.0, 503, "no tenant yet");
    assert_eq!(pod.order(&command(Order::Publish)).await.1["code"], "not-serving");
    let good = pod.grant(nowhere(), serve(None));
    let changed = |change: fn(&mut Grant)| {
        let mut grant = good.clone();
        change(&mut grant);
        grant
    };
    for (what, refused) in [
        ("another pod", pod.hand_over(&changed(|grant| grant.pod = "rt-2".into())).await),
        ("another uid", pod.hand_over(&changed(|grant| grant.pod_uid = "old".into())).await),
        ("expired", pod.hand_over(&changed(|grant| grant.not_after = in_seconds(-1))).await),
        ("version", pod.hand_over(&changed(|grant| grant.version = PROTOCOL_VERSION + 2)).await),
        ("signer", pod.post(paths::GRANT, &GrantRequest { grant: sign(&key(), &good) }).await),
        // A signed command is no grant.
        (
            "purpose",
            pod.post(paths::GRANT, &GrantRequest { grant: sign(&pod.operator, &command(Order::Drain)) })
                .await,
        ),
    ] {
        assert_eq!(refused.0, 401, "{what}: {}", refused.1);
    }
    let (first, second) = tokio::join!(pod.hand_over(&good), async {
        eventually("claimed", async || {
            let (_, status) = pod.order(&command(Order::Report)).await;
            (status["state"] != "pooled").then_some(())
        })
        .await;
        pod.hand_over(&good).await
    });
    assert_eq!((second.0, second.1["code"].as_str()), (409, Some("already-granted")));
    assert_eq!((first.0, first.1["code"].as_str()), (503, Some("storage-unreachable")), "{}", first.1);
    let (code, ending) = pod.end().await;
    assert_eq!((code, ending.state), (22, RuntimeState::Failed));
    assert_eq!(serde_json::to_value(ending.problem.unwrap().code).unwrap(), "storage-unreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_obeyed_once_and_only_by_their_pod() {
    let mut pod = Pod::start().await;
    let report = command(Order::Report);
    let (status, answer) = pod.order(&report).await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_value::<RuntimeStatus>(answer).unwrap().state, RuntimeState::Pooled);
    assert_eq!(pod.order(&report).await.0, 401, "a second time");
    for (what, command) in [
        ("another pod", Command { pod_uid: "old".into(), ..command(Order::Report) }),
        ("expired", Command { not_after: in_seconds(-1), ..command(Order::Report) }),
    ] {
        assert_eq!(pod.order(&command).await.0, 401, "{what}");
    }
    let metrics = support::client().get(format!("{}/metrics", pod.health)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("roost_runtime_state{state=\"Pooled\"} 1"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    pod.signal("TERM");
    assert_eq!(pod.end().await.0, 0, "an unused pod has nothing to lose");
}
