//! Clients with transactions of every kind while their process is killed, frozen, without disk, or badly served by its
//! bucket: what opens next is, for each of them, the state after some transaction of its own at or after the last one
//! that was acknowledged, and whole.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test does not expect fails it"
)]

mod support;

#[path = "support/ledger.rs"]
mod ledger;
#[path = "support/life.rs"]
mod life;
#[path = "support/small_disk.rs"]
mod small_disk;
#[path = "support/transactions.rs"]
mod transactions;

use ledger::{Ledger, Target};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use roost_protocol::{
    grant::{Grant, StorageLocation},
    session::SessionToken,
    status::RuntimeState,
};
use roost_store::{
    DirectoryStore, Environment, ObjectStore, TenantPath,
    reachability::{Depth, History, walk},
};
use roost_tests::{S3Proxy, bucket::Bucket, s3_proxy::Fault};
use small_disk::SmallDisk;
use std::{sync::Arc, time::Duration};
use support::{
    Process, eventually,
    pod::{Pod, bucket, in_seconds, initialized, serve, session, sign},
};
use tenant_runtime::storage;

/// Publishes come in between.
const PUBLISHES: [(&str, &str); 1] = [("ROOST_PUBLISH_INTERVAL", "500ms")];

fn seed() -> u64 {
    let seed = std::env::var("ROOST_SEED").ok().map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("ROOST_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_transaction_survives_being_killed() {
    const DEATHS: u64 = 4;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut ledger = Ledger::new(seed).await;
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    ledger.set_up(&Target::open(&process.url())).await;
    process.kill();
    for _ in 0..DEATHS {
        let process = Process::start(folder.path(), &["--publish-interval", "100ms"]);
        let target = Target::open(&process.url());
        ledger.check(&target).await;
        let mut writing = ledger.write(&target);
        writing.advances(random.random_range(5..60)).await;
        process.kill();
        writing.stop().await;
        let refusals = writing.refusals();
        assert!(refusals.is_empty(), "{refusals:?}");
    }
    let process = Process::start(folder.path(), &[]);
    ledger.check(&Target::open(&process.url())).await;
    process.stop();
    let store = DirectoryStore::open(folder.path().join("bucket")).unwrap();
    verify(Arc::new(store), &TenantPath::new("", "default", "demo").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn a_frozen_process_keeps_no_promise_that_its_successor_breaks() {
    let mut ledger = Ledger::new(seed()).await;
    let (mut pod, grant) = first(&ledger, bucket(), &PUBLISHES).await;
    for _ in 0..3 {
        let mut before = ledger.write(&target(&pod));
        before.advances(10).await;
        pod.signal("STOP");
        let next = successor(&grant, &PUBLISHES).await;
        let taken_over = ledger.check(&target(&next)).await;
        let mut after = ledger.write(&target(&next));
        after.advances(10).await;
        pod.signal("CONT");
        before.stop().await;
        for (told, there) in before.acknowledged().into_iter().zip(taken_over) {
            assert!(told <= there, "{told} were acknowledged, {there} were there when it was taken over");
        }
        let (_, ending) = pod.end().await;
        assert_eq!(ending.state, RuntimeState::Fenced);
        after.advances(10).await;
        after.stop().await;
        ledger.check(&target(&next)).await;
        pod = next;
    }
    pod.kill();
    verify_bucket(&grant).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the S3 server of a local cluster"]
async fn every_kind_of_transaction_survives_a_bad_bucket() {
    let mut ledger = Ledger::new(seed()).await;
    let proxy = S3Proxy::start_local(&Bucket::from_env().unwrap()).await.unwrap();
    let storage = StorageLocation { endpoint: Some(proxy.endpoint.clone()), ca_pem: None, ..bucket() };
    let (mut pod, grant) = first(&ledger, storage, &PUBLISHES).await;
    for (fault, one_in) in [
        (Fault::Slow(Duration::from_millis(300)), 1),
        (Fault::Status(500), 2),
        (Fault::Status(503), 2),
        (Fault::CutAnswer, 2),
        (Fault::LoseAnswer, 3),
        (Fault::Refuse, 2),
    ] {
        let mut writing = ledger.write(&target(&pod));
        writing.advances(5).await;
        proxy.set(fault, one_in);
        writing.advances(5).await;
        // It comes up beside the fault, too.
        pod.kill();
        writing.stop().await;
        pod = successor(&grant, &PUBLISHES).await;
        assert!(proxy.requests() > 2 * one_in, "{fault:?} never struck");
        proxy.set(Fault::None, 1);
        ledger.check(&target(&pod)).await;
    }
    // Nothing passes, until writes are not confirmed any more; the same process goes on afterwards.
    let mut writing = ledger.write(&target(&pod));
    writing.advances(5).await;
    proxy.set(Fault::Refuse, 1);
    writing.is_refused().await;
    proxy.set(Fault::None, 1);
    writing.advances(10).await;
    writing.stop().await;
    ledger.check(&target(&pod)).await;
    pod.kill();
    verify_bucket(&grant).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, and the S3 server of a local cluster"]
async fn every_kind_of_transaction_survives_a_full_disk() {
    let mut ledger = Ledger::new(seed()).await;
    let disk = SmallDisk::mount(64);
    let cache = disk.path().join("cache");
    let settings = [PUBLISHES[0], ("ROOST_CACHE_DIR", cache.to_str().unwrap())];
    let (mut pod, grant) = first(&ledger, bucket(), &settings).await;
    for _ in 0..3 {
        let mut writing = ledger.write(&target(&pod));
        writing.advances(10).await;
        let filling = disk.fill();
        writing.is_refused().await;
        drop(filling);
        for refusal in writing.refusals() {
            let told = refusal["code"] == "engine-failed"
                || refusal["detail"].as_str().unwrap().contains("No space");
            assert!(told, "{refusal}");
        }
        pod.kill();
        writing.stop().await;
        pod = successor(&grant, &settings).await;
        ledger.check(&target(&pod)).await;
    }
    pod.kill();
    verify_bucket(&grant).await;
}

fn target(pod: &Pod) -> Target {
    let session = SessionToken { not_after: in_seconds(600), ..session() };
    Target {
        client: pod.client.clone(),
        url: format!("{}/query", pod.url()),
        session: Some(sign(&pod.gateway, &session)),
    }
}

/// The first pod of a tenant, which has what clients write to.
async fn first(ledger: &Ledger, storage: StorageLocation, settings: &[(&str, &str)]) -> (Pod, Grant) {
    let pod = Pod::start_with(settings).await;
    let grant = pod.grant(storage, serve(None));
    initialized(&grant).await;
    let (status, answer) = pod.hand_over(&grant).await;
    assert_eq!(status, 200, "{answer}");
    ledger.set_up(&target(&pod)).await;
    (pod, grant)
}

/// Another pod of it, after as many as a bad bucket needs.
async fn successor(before: &Grant, settings: &[(&str, &str)]) -> Pod {
    eventually("a pod takes over", async || {
        let pod = Pod::start_with(settings).await;
        let (status, answer) = pod.hand_over(&pod.grant_again(before, serve(None))).await;
        assert!(status == 200 || answer["code"] == "storage-unreachable", "{answer}");
        (status == 200).then_some(pod)
    })
    .await
}

async fn verify_bucket(grant: &Grant) {
    let path = storage::path(&grant.storage, &grant.tenant).unwrap();
    verify(storage::bucket(&grant.storage).unwrap(), &path).await;
}

/// Every byte that the bucket keeps is read.
async fn verify(store: Arc<dyn ObjectStore>, path: &TenantPath) {
    let report = walk(store, path, Environment::system(), History::Whole, Depth::Bytes(None)).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
}
