//! Tenants with a data key: what is in the bucket, who can read it, and how its class's keys change.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use roost_store::format::{json, tenant::TenantRecord};
use roost_store::reachability::{Depth, History, Report, walk};
use roost_store::{
    Adoption, BranchName, BranchSource, ClassKeys, CopySource, Creation, DataKey, Holder, HydrateError,
    Hydrated, KeyError, MemoryStore, OwnedBranch, Owner, PinKind, TakeOverError, Takeover, TenantError,
    TenantPath, TenantStore,
};
use support::whole_file::{whole, whole_of};
use support::{Content, Ledger, ModelDatabase, branch_object, class_keys, environment, owner, path};

struct World {
    memory: Arc<MemoryStore>,
    ledger: Arc<Mutex<Ledger>>,
    disk: tempfile::TempDir,
}

fn world() -> World {
    World { memory: Arc::default(), ledger: Arc::default(), disk: tempfile::tempdir().unwrap() }
}

impl World {
    /// As the operator has it.
    fn tenant(&self, keys: Option<Arc<ClassKeys>>) -> TenantStore {
        TenantStore::new(self.memory.clone(), path(), owner(), environment(1).0).with_class_keys(keys)
    }

    /// As its runtime has it.
    async fn unlocked(&self) -> TenantStore {
        let tenant = self.tenant(Some(class_keys()));
        let key = tenant.data_key().await.unwrap();
        tenant.with_data_key(key.as_ref())
    }

    async fn created(&self, keys: Option<Arc<ClassKeys>>) -> TenantStore {
        let tenant = self.tenant(keys);
        tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
        self.unlocked().await
    }

    async fn open(&self, tenant: &TenantStore, branch: &str) -> (Arc<OwnedBranch>, ModelDatabase) {
        let branch = tenant.branch(&BranchName::new(branch).unwrap());
        let owned = branch.take_over(&holder(), Takeover::PreviousGone).await.unwrap();
        let file = self.file();
        let restored = whole(&owned, &file).await.unwrap();
        let file = matches!(restored, Hydrated::Restored { .. }).then_some(&*file);
        let database = ModelDatabase::open(self.ledger.clone(), file, owned.head().number());
        (owned, database)
    }

    fn file(&self) -> std::path::PathBuf {
        self.disk.path().join(format!("{:?}.db", std::time::Instant::now()))
    }

    fn state(&self, commit: u64) -> Content {
        self.ledger.lock().unwrap().states[&commit].0.clone()
    }

    async fn walk(&self, keys: Option<&ClassKeys>) -> Report {
        let history = History::Whole;
        walk(self.memory.clone(), &path(), environment(2).0, history, Depth::Bytes(keys)).await.unwrap()
    }

    /// The encryption byte of each pack and segment.
    fn encryptions(&self, tenant: &str) -> Vec<u8> {
        let contents = self.memory.contents();
        let of_tenant = contents.iter().filter(|(key, _)| key.contains(&format!("/{tenant}/")));
        // Seals hold nothing: 2 is their kind.
        let holding = of_tenant
            .filter(|(key, bytes)| key.contains("/packs/") || (key.contains("/wal/") && bytes[12] != 2));
        holding.map(|(_, bytes)| bytes[10]).collect()
    }
}

fn holder() -> Holder {
    Holder { name: "pod".into(), id: "pod".into() }
}

async fn ship(owned: &OwnedBranch, database: &ModelDatabase) {
    database.ship(u64::MAX, async |cut| owned.ship(&cut, database).await.unwrap()).await.unwrap();
}

async fn content(owned: &Arc<OwnedBranch>, file: &Path) -> Content {
    whole(owned, file).await.unwrap();
    Content::read(file)
}

#[tokio::test]
async fn a_whole_life_is_encrypted() {
    let world = world();
    let tenant = world.created(Some(class_keys())).await;
    let (owned, database) = world.open(&tenant, "main").await;
    database.commit(&[1, 2]);
    owned.publish(&database).await.unwrap();
    // A segment with chunks of its own, and one whose chunks are in a pack.
    database.commit_with(&[1], &[3]);
    ship(&owned, &database).await;
    let last = database.commit_with(&[2], &[4, 5, 6, 7, 8, 9]);
    ship(&owned, &database).await;
    drop(owned);
    let (owned, _) = world.open(&tenant, "main").await;
    assert_eq!(content(&owned, &world.file()).await, world.state(last), "replayed after a takeover");

    let entry = tenant.snapshot("nightly", "uid", &BranchName::main(), None).await.unwrap();
    let source = BranchSource::Snapshot("nightly".into());
    tenant.create_branch(&BranchName::new("dev").unwrap(), branch_object("uid"), &source).await.unwrap();
    let (branched, database) = world.open(&tenant, "dev").await;
    assert_eq!(content(&branched, &world.file()).await, world.state(last));
    database.commit(&[1]);
    branched.seal(&database).await.unwrap();
    let pinned = tenant.pin(PinKind::Reader, "export", "uid", &entry.position.branch, None).await.unwrap();
    let main = tenant.branch(&BranchName::main());
    let reader = main.open_position(&pinned.position, &pinned.pin).await.unwrap();
    let file = world.file();
    whole_of(&reader, &file).await.unwrap();
    assert_eq!(Content::read(&file), world.state(last));

    let bytes = world.encryptions("acme");
    assert!(bytes.len() > 4 && bytes.iter().all(|byte| *byte == 1), "{bytes:?}");
    let report = world.walk(Some(&class_keys())).await;
    assert!(report.is_clean() && report.verified.is_some(), "{report:?}");
    // Without keys one sees what is there, and that nothing can be said of its content.
    let blind = world.walk(None).await;
    assert_eq!(blind.findings.len(), 1, "{blind:?}");
    assert_eq!(blind.findings[0].problem, KeyError::NotGiven.to_string());
    assert_eq!(blind.branches, report.branches);
    assert_eq!(blind.encryption_key.as_deref(), Some("2026"));
}

#[tokio::test]
async fn a_copy_has_a_key_of_its_own() {
    let world = world();
    let tenant = world.created(Some(class_keys())).await;
    let (owned, database) = world.open(&tenant, "main").await;
    database.commit(&[1, 2]);
    owned.publish(&database).await.unwrap();
    let last = database.commit_with(&[1], &[3]);
    ship(&owned, &database).await;
    tenant.snapshot("nightly", "uid", &BranchName::main(), None).await.unwrap();

    let target = |keys| {
        let target_path = TenantPath::new(&*path().prefix, &*path().namespace, "copy").unwrap();
        let target_owner = Owner { tenant_uid: "copy".into(), ..owner() };
        TenantStore::new(world.memory.clone(), target_path, target_owner, environment(9).0)
            .with_class_keys(keys)
    };
    let source = CopySource::Snapshot("nightly".into());
    let refused = target(None).source_copy("acme", &source, &Adoption::default(), &|_| {}).await;
    assert!(matches!(refused, Err(TenantError::Key(KeyError::NotGiven))), "{refused:?}");
    target(None).delete_all().await.unwrap();

    let copy = target(Some(class_keys()));
    copy.source_copy("acme", &source, &Adoption::default(), &|_| {}).await.unwrap();
    let key = copy.data_key().await.unwrap().unwrap();
    assert_ne!(Some(&key), tenant.data_key().await.unwrap().as_ref());
    tenant.delete_all().await.unwrap();
    let copy = copy.with_data_key(Some(&key));
    let owned = copy.branch(&BranchName::main()).take_over(&holder(), Takeover::OnlySealed).await.unwrap();
    assert_eq!(content(&owned, &world.file()).await, world.state(last));
    assert!(world.encryptions("copy").iter().all(|byte| *byte == 1));
}

/// A data key for one that is not encrypted, none or another for one that is: nothing is read, and nothing written.
#[tokio::test]
async fn a_wrong_key_changes_nothing() {
    let other = DataKey::from_hex("other", &"77".repeat(32)).unwrap();
    for encrypted in [false, true] {
        let world = world();
        let tenant = world.created(encrypted.then(class_keys)).await;
        let (owned, database) = world.open(&tenant, "main").await;
        database.commit(&[1, 2]);
        owned.seal(&database).await.unwrap();
        let before = world.memory.contents();
        let wrong = world.tenant(None).with_data_key((!encrypted).then_some(&other));
        let main = wrong.branch(&BranchName::main());
        let refused = main.take_over(&holder(), Takeover::OnlySealed).await.unwrap_err();
        let expected = if encrypted { KeyError::NotGiven } else { KeyError::NotEncrypted };
        assert!(matches!(&refused, TakeOverError::Key(error) if *error == expected), "{refused}");
        assert_eq!(world.memory.contents(), before);
        let pinned = tenant.pin(PinKind::Reader, "export", "uid", &BranchName::main(), None).await.unwrap();
        let refused = main.open_position(&pinned.position, &pinned.pin).await.unwrap_err();
        assert!(matches!(&refused, HydrateError::Key(error) if *error == expected), "{refused}");
    }
    let world = world();
    let tenant = world.created(Some(class_keys())).await;
    let (owned, database) = world.open(&tenant, "main").await;
    database.commit(&[1, 2]);
    owned.seal(&database).await.unwrap();
    let main = world.tenant(None).with_data_key(Some(&other)).branch(&BranchName::main());
    let owned = main.take_over(&holder(), Takeover::OnlySealed).await.unwrap();
    let unread = whole(&owned, &world.file()).await.unwrap_err();
    assert!(unread.to_string().contains("cannot be decrypted"), "{unread}");
}

#[tokio::test]
async fn a_class_changes_its_key_and_nothing_else_changes() {
    let world = world();
    let tenant = world.created(Some(class_keys())).await;
    let (owned, database) = world.open(&tenant, "main").await;
    let commit = database.commit(&[1, 2]);
    owned.seal(&database).await.unwrap();
    let (old, new) = (("2026", &*"5a".repeat(32)), ("2027", &*"6b".repeat(32)));
    let key = tenant.data_key().await.unwrap();

    let only_new = Arc::new(ClassKeys::new("2027", [new]).unwrap());
    let early = world.tenant(Some(only_new.clone())).data_key().await.unwrap_err();
    assert!(matches!(&early, TenantError::Key(KeyError::Unknown(name)) if name == "2026"), "{early}");
    let both = Arc::new(ClassKeys::new("2027", [old, new]).unwrap());
    let rotated = world.tenant(Some(both));
    assert_eq!(rotated.rewrap_data_key().await.unwrap().as_deref(), Some("2027"));
    let record = world.memory.contents()[&format!("{}tenant.json", rotated.location())].clone();
    assert!(json::decode::<TenantRecord>(&record).unwrap().data_key.unwrap().starts_with("2027:"));
    let after = world.tenant(Some(only_new));
    assert_eq!(after.data_key().await.unwrap(), key);
    let main = after.with_data_key(key.as_ref()).branch(&BranchName::main());
    let owned = main.take_over(&holder(), Takeover::OnlySealed).await.unwrap();
    assert_eq!(content(&owned, &world.file()).await, world.state(commit));
}

#[tokio::test]
async fn a_class_that_begins_to_encrypt_leaves_its_tenants_as_they_are() {
    let world = world();
    world.created(None).await;
    let tenant = world.created(Some(class_keys())).await;
    assert_eq!(tenant.data_key().await.unwrap(), None);
    let (owned, database) = world.open(&tenant, "main").await;
    database.commit(&[1]);
    owned.seal(&database).await.unwrap();
    assert!(world.encryptions("acme").iter().all(|byte| *byte == 0));
    assert!(world.walk(Some(&class_keys())).await.is_clean());
}
