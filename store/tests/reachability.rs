//! The walk tells what is reached, what ended attempts left, and what is missing, and changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};

use roost_store::object::fault::{FaultStore, Faults, Stop};
use roost_store::reachability::{self, Depth, History, Report, Standing, walk};
use roost_store::{
    Adoption, BranchName, BranchSource, Creation, Holder, MemoryStore, ObjectStore, Takeover, TenantPath,
    TenantStore,
};
use support::whole_file::whole;
use support::{Ledger, ModelDatabase, branch_object, environment, owner, path};

struct World {
    memory: Arc<MemoryStore>,
    ledger: Arc<Mutex<Ledger>>,
    disk: tempfile::TempDir,
}

impl World {
    async fn with_tenant() -> Self {
        let world =
            Self { memory: Arc::default(), ledger: Arc::default(), disk: tempfile::tempdir().unwrap() };
        world.tenant().initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        world
    }

    fn tenant(&self) -> TenantStore {
        // Names are random: another seed for each process.
        let seed = self.memory.contents().len() as u64 + 1;
        TenantStore::new(self.memory.clone(), path(), owner(), environment(seed).0)
    }

    /// Opens main in `store`, changes a chunk, and publishes or seals.
    async fn write(&self, store: Arc<dyn ObjectStore>, seed: u64, seal: bool) {
        self.write_to(&BranchName::main(), store, seed, seal).await;
    }

    async fn write_to(&self, branch: &BranchName, store: Arc<dyn ObjectStore>, seed: u64, seal: bool) {
        let tenant = TenantStore::new(store, path(), owner(), environment(seed).0);
        let holder = Holder { name: format!("pod-{seed}"), id: seed.to_string() };
        let owned = tenant.branch(branch).take_over(&holder, Takeover::PreviousGone).await.unwrap();
        let file = self.disk.path().join(seed.to_string());
        whole(&owned, &file).await.unwrap();
        let file = file.exists().then_some(file);
        let database = ModelDatabase::open(self.ledger.clone(), file.as_deref(), owned.head().number());
        database.commit(&[1, 2]);
        drop(if seal { owned.seal(&database).await } else { owned.publish(&database).await });
    }

    async fn walk(&self) -> Report {
        let before = self.memory.contents();
        let (path, environment) = (path(), environment(99).0);
        let report =
            walk(self.memory.clone(), &path, environment, History::Whole, Depth::Bytes(None)).await.unwrap();
        assert_eq!(self.memory.contents(), before, "a walk writes nothing");
        let told = report.reachable.count + report.leftovers.len() as u64;
        assert_eq!(told, before.len() as u64, "every object is told of once");
        report
    }

    fn key(&self, part: &str) -> String {
        self.memory.contents().into_keys().find(|key| key.contains(part)).unwrap()
    }
}

#[tokio::test]
async fn older_states_are_history_and_what_a_dropped_branch_wrote_is_left_over() {
    let world = World::with_tenant().await;
    world.write(world.memory.clone(), 1, true).await;
    let only = world.walk().await;
    assert_eq!(only.leftovers, []);

    world.tenant().snapshot("nightly", "s1", &BranchName::main(), None).await.unwrap();
    let dev = BranchName::new("dev").unwrap();
    world
        .tenant()
        .create_branch(&dev, branch_object("b1"), &BranchSource::Branch(BranchName::main()))
        .await
        .unwrap();
    world.write_to(&dev, world.memory.clone(), 2, true).await;
    world.write(world.memory.clone(), 3, true).await;
    let kept = world.walk().await;
    assert!(kept.is_clean() && kept.leftovers.is_empty(), "{kept:?}");
    assert_eq!(kept.branches, ["dev", "main"]);
    assert_eq!(kept.owner, Some(owner()));
    assert_eq!(kept.recoverable_from["main"], only.recoverable_from["main"]);
    assert!(kept.recoverable_from["dev"] > kept.recoverable_from["main"]);
    assert!(kept.verified.unwrap().count > only.verified.unwrap().count);

    world.tenant().delete_snapshot("nightly", "s1").await.unwrap();
    world.tenant().delete_branch(&dev, "b1").await.unwrap();
    let freed = world.walk().await;
    assert!(freed.ended.count >= 3 && freed.ended.bytes > 0, "{freed:?}");
    assert!(freed.leftovers.iter().all(|left| left.key.contains("dev")), "{freed:?}");
    assert_eq!((freed.under_way.count, freed.unknown.count), (0, 0));
}

/// A publish that dies at any request leaves what the walk calls under way while its owner might live, and ended as soon
/// as another took over: never something lost, never something unknown.
#[tokio::test]
async fn what_a_killed_publish_leaves_is_listed() {
    let mut left_something = 0;
    for request in 0.. {
        let world = World::with_tenant().await;
        world.write(world.memory.clone(), 1, true).await;
        let stop = Some(Stop::Kill { request, after_effect: true });
        let unlucky = Arc::new(FaultStore::new(world.memory.clone(), 1, Faults::default(), stop));
        tokio::select! {
            () = world.write(unlucky.clone(), 2, false) => {}
            () = async { while !unlucky.is_stopped() { tokio::task::yield_now().await } } => {}
        }
        let orphaned = world.walk().await;
        assert!(orphaned.is_clean(), "{request}: {orphaned:?}");
        left_something += orphaned.under_way.count;
        world.write(world.memory.clone(), 3, true).await;
        let settled = world.walk().await;
        assert!(settled.is_clean() && settled.under_way.count == 0, "{request}: {settled:?}");
        if !unlucky.is_stopped() {
            break;
        }
    }
    assert!(left_something >= 3, "no attempt left anything: {left_something}");
}

#[tokio::test]
async fn what_is_missing_or_damaged_is_found() {
    for part in ["/packs/", "/pages/", "/manifests/"] {
        let world = World::with_tenant().await;
        world.write(world.memory.clone(), 1, true).await;
        let key = world.key(part);
        world.memory.delete(&key).await.unwrap();
        let report = world.walk().await;
        assert!(!report.is_clean());
        assert_eq!(report.findings.len(), 1, "{report:?}");
        assert_eq!(report.findings[0].needed_by, "branch main");
        assert!(report.findings[0].problem.contains(&key), "{report:?}");
    }
    for part in ["/packs/", "/pages/", "/manifests/", "/HEAD", "/tenant.json"] {
        let world = World::with_tenant().await;
        world.write(world.memory.clone(), 1, true).await;
        let key = world.key(part);
        let mut bytes = world.memory.contents()[&key].to_vec();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        world.memory.overwrite(&key, bytes);
        let report = world.walk().await;
        assert!(report.findings.iter().any(|finding| finding.problem.contains(&key)), "{report:?}");
    }
    let world = World::with_tenant().await;
    let stray = format!("{}notes.txt", world.tenant().location());
    world.memory.overwrite(&stray, b"mine".to_vec());
    let report = world.walk().await;
    assert!(!report.is_clean());
    assert!(matches!(report.leftovers[0].standing, Standing::Unknown(_)), "{report:?}");
}

#[tokio::test]
async fn every_object_of_a_prefix_is_a_tenants_or_told_of() {
    let memory = Arc::new(MemoryStore::new());
    let tenants = [("a", "x-1"), ("a", "x"), ("a", "x0"), ("b", "x")];
    for (namespace, tenant) in tenants {
        for object in ["branches/main/HEAD", "tenant.json"] {
            memory.overwrite(&format!("prod/tenants/{namespace}/{tenant}/{object}"), b"{}".to_vec());
        }
    }
    let reachable = ["snapshots/a/x/done/metadata.json", "snapshots/a/x/done/t.parquet"];
    let under_way = [".roost/probe-1", "snapshots/a/x/half/owner.json"];
    let unknown = ["notes", "snapshots/stray", "tenants/UPPER/x/tenant.json", "tenants/stray"];
    for key in reachable.iter().chain(&under_way).chain(&unknown) {
        memory.overwrite(&format!("prod/{key}"), b"{}".to_vec());
    }
    memory.overwrite("other/tenants/c/x/tenant.json", b"{}".to_vec());
    let survey = reachability::survey(memory.clone(), "prod", environment(1).0).await.unwrap();
    let expected = tenants.map(|(namespace, tenant)| TenantPath::new("prod", namespace, tenant).unwrap());
    assert_eq!(survey.tenants, expected);
    let outside = survey.outside;
    assert_eq!((outside.reachable.count, outside.under_way.count, outside.unknown.count), (2, 2, 4));
    let whole = reachability::survey(memory.clone(), "", environment(1).0).await.unwrap();
    assert_eq!(whole.outside.unknown.count, memory.contents().len() as u64);
    let nothing = reachability::survey(memory, "nothing", environment(1).0).await.unwrap();
    assert!(nothing.tenants.is_empty() && nothing.outside.is_clean());
}
