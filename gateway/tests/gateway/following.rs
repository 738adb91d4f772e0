//! Keys and operator endpoints, which the gateway learns from the API server while it runs; and its readiness.

use crate::harness::{PATIENCE, Setting, eventually};
use roost_gateway::{health::Health, keys, metrics::Metrics, operator};
use roost_transport::health::Health as _;
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

#[tokio::test]
async fn the_gateway_is_ready_once_it_has_keys_and_an_operator() {
    let setting = Setting::new();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "roost-operator-x", "namespace": "roost-system", "resourceVersion": "1"},
        "ports": [{"name": "wake", "port": 8443}],
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": true}}],
    });
    {
        let mut world = setting.kubernetes.0.lock().unwrap();
        world.lists.insert("secrets".into(), vec![serde_json::to_value(&setting.secret).unwrap()]);
        world.lists.insert("endpointslices".into(), vec![slice]);
    }
    let (keys_sender, mut keys) = watch::channel(None);
    let (endpoints_sender, mut endpoints) = watch::channel(BTreeSet::new());
    let leaving = CancellationToken::new();
    let health = Health {
        keys: keys.clone(),
        endpoints: endpoints.clone(),
        leaving: leaving.clone(),
        metrics: Arc::new(Metrics::default()),
    };
    assert_eq!(health.answer("/healthz").status(), 200);
    assert_eq!(health.answer("/readyz").status(), 503);

    let namespace = || "roost-system".to_owned();
    let client = setting.kubernetes.client();
    let _keys = AbortOnDropHandle::new(tokio::spawn(keys::follow(client.clone(), namespace(), keys_sender)));
    timeout(PATIENCE, keys.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_eq!(health.answer("/readyz").status(), 503);
    let following =
        operator::follow_endpoints(client, namespace(), "roost-operator".into(), endpoints_sender);
    let _endpoints = AbortOnDropHandle::new(tokio::spawn(following));
    timeout(PATIENCE, endpoints.wait_for(|known| !known.is_empty())).await.unwrap().unwrap();
    assert_eq!(*endpoints.borrow(), ["10.0.0.7:8443".parse().unwrap()].into());
    eventually("ready", || health.answer("/readyz").status() == 200).await;

    assert_eq!(health.answer("/metrics").status(), 200);
    assert_eq!(health.answer("/").status(), 404);
    leaving.cancel();
    assert_eq!(health.answer("/readyz").status(), 503);
    assert_eq!(health.answer("/healthz").status(), 200);
}
