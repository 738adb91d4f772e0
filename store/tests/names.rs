//! A copy of a tenant knows under which names its data was before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::{Arc, Mutex};

use roost_store::{
    Adoption, BranchName, BranchSource, CopySource, Creation, Holder, MemoryStore, Owner, PinKind, Takeover,
    TenantPath, TenantStore,
};
use support::{Ledger, ModelDatabase, branch_object, environment, owner, path};

struct World {
    memory: Arc<MemoryStore>,
}

impl World {
    fn tenant(&self, name: &str, uid: &str) -> TenantStore {
        let path = TenantPath { tenant: name.into(), ..path() };
        let owner = Owner { tenant_uid: uid.into(), ..owner() };
        TenantStore::new(self.memory.clone(), path, owner, environment(1).0)
    }

    /// Copies a snapshot of `from` into the new tenant `to`.
    async fn copy(&self, from: &str, to: &str) -> TenantStore {
        let snapshot = format!("for-{to}");
        let main = BranchName::main();
        self.tenant(from, from).snapshot(&snapshot, "uid", &main, None).await.unwrap();
        let copy = self.tenant(to, to);
        let what = CopySource::Snapshot(snapshot);
        copy.source_copy(from, &what, &Adoption::default(), &|_| {}).await.unwrap();
        copy
    }
}

/// Opens the branch; returns the former names that its owner is told.
async fn former_names(tenant: &TenantStore, branch: &BranchName) -> Vec<String> {
    let holder = Holder { name: "pod".into(), id: "pod".into() };
    let owned = tenant.branch(branch).take_over(&holder, Takeover::OnlySealed).await.unwrap();
    let names = owned.former_names().to_vec();
    owned.relinquish().await.unwrap();
    names
}

#[tokio::test]
async fn a_copy_and_what_is_made_of_it_know_the_names_that_the_data_had() {
    let world = World { memory: Arc::new(MemoryStore::new()) };
    let main = BranchName::main();
    let acme = world.tenant("acme", "acme");
    acme.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let holder = Holder { name: "pod".into(), id: "pod".into() };
    let owned = acme.branch(&main).take_over(&holder, Takeover::OnlySealed).await.unwrap();
    let database = ModelDatabase::open(Arc::new(Mutex::new(Ledger::default())), None, 0);
    database.commit(&[1]);
    owned.seal(&database).await.unwrap();
    assert!(former_names(&acme, &main).await.is_empty(), "it is no copy");

    let beta = world.copy("acme", "beta").await;
    assert_eq!(former_names(&beta, &main).await, ["acme"]);
    let gamma = world.copy("beta", "gamma").await;
    acme.delete_all().await.unwrap();
    let back = world.copy("gamma", "acme").await;
    assert_eq!(former_names(&gamma, &main).await, ["acme", "beta"]);
    assert_eq!(former_names(&back, &main).await, ["acme", "beta", "gamma"]);
    let again = world.copy("acme", "delta").await;
    assert_eq!(former_names(&again, &main).await, ["beta", "gamma", "acme"]);

    let dev = BranchName::new("dev").unwrap();
    gamma.create_branch(&dev, branch_object("uid"), &BranchSource::Branch(main.clone())).await.unwrap();
    assert_eq!(former_names(&gamma, &dev).await, ["acme", "beta"]);
    let pinned = gamma.pin(PinKind::Reader, "export", "uid", &main, None).await.unwrap();
    let reader = gamma.branch(&main).open_position(&pinned.position, &pinned.pin).await.unwrap();
    assert_eq!(reader.former_names(), ["acme", "beta"]);

    // Its Tenant was deleted and is there again.
    let recreated = world.tenant("gamma", "another uid");
    let what = CopySource::Snapshot("for-gamma".into());
    recreated.source_copy("beta", &what, &Adoption::default(), &|_| {}).await.unwrap();
    assert_eq!(former_names(&recreated, &main).await, ["acme", "beta"]);
}
