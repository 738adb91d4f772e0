//! The operator's replicas, from the EndpointSlices of its Service, and the order in which a tenant asks them.

use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use roost_protocol::names::INTERNAL_TLS_PORT;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use tokio::sync::watch;

/// Name of the Service's port for wakes; without one of this name the port numbered [`INTERNAL_TLS_PORT`] is meant.
const WAKE_PORT: &str = "wake";

/// Addresses of the operator's ready replicas.
pub type EndpointsReceiver = watch::Receiver<BTreeSet<SocketAddr>>;

/// Watches the Service's EndpointSlices for ever.
pub async fn follow(
    client: Client,
    namespace: String,
    service: String,
    endpoints: watch::Sender<BTreeSet<SocketAddr>>,
) {
    let api: Api<EndpointSlice> = Api::namespaced(client, &namespace);
    let config = watcher::Config::default().labels(&format!("kubernetes.io/service-name={service}"));
    let events = watcher(api, config).default_backoff();
    pin_mut!(events);
    let mut slices = Slices::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if let Some(ready) = slices.apply(event) {
                    endpoints.send_if_modified(|known| {
                        let changed = *known != ready;
                        if changed {
                            tracing::info!(replicas = ready.len(), "operator endpoints changed");
                            *known = ready;
                        }
                        changed
                    });
                }
            }
            Err(error) => tracing::warn!(%error, service, "cannot watch the operator's EndpointSlices"),
        }
    }
}

/// Slices by name, and those of a list that is not complete yet.
#[derive(Default)]
struct Slices {
    known: BTreeMap<String, BTreeSet<SocketAddr>>,
    listing: BTreeMap<String, BTreeSet<SocketAddr>>,
}

impl Slices {
    /// Takes an event in; returns all ready addresses, when the picture is complete.
    fn apply(&mut self, event: Event<EndpointSlice>) -> Option<BTreeSet<SocketAddr>> {
        match event {
            Event::Init => self.listing.clear(),
            Event::InitApply(slice) => {
                self.listing.insert(slice.metadata.name.clone().unwrap_or_default(), ready(&slice));
            }
            Event::InitDone => self.known = std::mem::take(&mut self.listing),
            Event::Apply(slice) => {
                self.known.insert(slice.metadata.name.clone().unwrap_or_default(), ready(&slice));
            }
            Event::Delete(slice) => {
                self.known.remove(slice.metadata.name.as_deref().unwrap_or_default());
            }
        }
        self.listing.is_empty().then(|| self.known.values().flatten().copied().collect())
    }
}

fn ready(slice: &EndpointSlice) -> BTreeSet<SocketAddr> {
    let ports = slice.ports.as_deref().unwrap_or_default();
    let named = ports.iter().find(|port| port.name.as_deref() == Some(WAKE_PORT));
    let numbered = || ports.iter().find(|port| port.port == Some(i32::from(INTERNAL_TLS_PORT)));
    let Some(port) = named.or_else(numbered).and_then(|port| u16::try_from(port.port?).ok()) else {
        return BTreeSet::new();
    };
    let serves = |endpoint: &&k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        conditions.ready != Some(false) && conditions.terminating != Some(true)
    };
    // All addresses of one endpoint are the same pod.
    let address = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        endpoint.addresses.first()?.parse::<IpAddr>().ok()
    };
    slice.endpoints.iter().filter(serves).filter_map(address).map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The replicas in the order in which `key` asks them: by rendezvous hash, so that every gateway replica asks the same
/// one first, and a replica that comes or goes moves only its own share of keys.
pub fn preference(endpoints: &BTreeSet<SocketAddr>, key: &str) -> Vec<SocketAddr> {
    let weight = |endpoint: &SocketAddr| {
        let text = format!("{endpoint}\n{key}");
        ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().to_vec()
    };
    let mut order: Vec<_> = endpoints.iter().copied().collect();
    order.sort_by_cached_key(|endpoint| std::cmp::Reverse(weight(endpoint)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn slice(name: &str, ports: &serde_json::Value, endpoints: &serde_json::Value) -> EndpointSlice {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "addressType": "IPv4", "ports": ports, "endpoints": endpoints,
        }))
        .unwrap()
    }

    #[test]
    fn only_ready_endpoints_count() {
        let endpoints = json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
            {"addresses": ["10.0.0.3"], "conditions": {}},
            {"addresses": ["10.0.0.4"], "conditions": {"ready": true, "terminating": true}},
            {"addresses": ["nonsense"]},
        ]);
        for (ports, expected) in [
            (json!([{"name": "metrics", "port": 8080}, {"name": "wake", "port": 9000}]), Some(9000)),
            (json!([{"name": "metrics", "port": 8080}, {"name": "https", "port": 8443}]), Some(8443)),
            (json!([{"name": "metrics", "port": 8080}]), None),
            (json!([]), None),
        ] {
            let found = ready(&slice("a", &ports, &endpoints));
            let expected: BTreeSet<SocketAddr> = expected.map_or_else(BTreeSet::new, |port| {
                [format!("10.0.0.1:{port}"), format!("10.0.0.3:{port}")]
                    .iter()
                    .map(|a| a.parse().unwrap())
                    .collect()
            });
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn slices_come_and_go() {
        let one = |name: &str, ip: &str| slice(name, &json!([{"port": 8443}]), &json!([{"addresses": [ip]}]));
        let mut slices = Slices::default();
        assert_eq!(slices.apply(Event::Init), Some(BTreeSet::new()));
        assert_eq!(slices.apply(Event::InitApply(one("a", "10.0.0.1"))), None);
        assert_eq!(slices.apply(Event::InitApply(one("b", "10.0.0.2"))), None);
        assert_eq!(slices.apply(Event::InitDone).unwrap().len(), 2);
        assert_eq!(slices.apply(Event::Apply(one("a", "10.0.0.3"))).unwrap().len(), 2);
        assert_eq!(slices.apply(Event::Delete(one("b", "10.0.0.2"))).unwrap().len(), 1);
        // A new list replaces the old one, and only once it is complete.
        slices.apply(Event::Init);
        assert_eq!(slices.apply(Event::InitApply(one("c", "10.0.0.4"))), None);
        assert_eq!(slices.apply(Event::InitDone).unwrap(), ["10.0.0.4:8443".parse().unwrap()].into());
    }

    #[test]
    fn a_replica_that_leaves_moves_only_its_own_tenants() {
        let all: BTreeSet<SocketAddr> = (1..=5).map(|n| SocketAddr::from(([10, 0, 0, n], 8443))).collect();
        let gone = SocketAddr::from(([10, 0, 0, 3], 8443));
        let fewer: BTreeSet<_> = all.iter().copied().filter(|endpoint| *endpoint != gone).collect();
        let mut shares = BTreeMap::<SocketAddr, u32>::new();
        for tenant in 0..1000 {
            let key = format!("shop/tenant-{tenant}");
            let first = preference(&all, &key)[0];
            *shares.entry(first).or_default() += 1;
            if first != gone {
                assert_eq!(preference(&fewer, &key)[0], first);
            }
        }
        assert!(shares.len() == 5 && shares.values().all(|share| (120..=280).contains(share)), "{shares:?}");
    }
}
