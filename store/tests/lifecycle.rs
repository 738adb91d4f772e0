//! A tenant's life in the bucket, without faults: what is written, what is counted, what is refused.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use roost_store::object::fault::{FaultStore, Faults};
use roost_store::object::{Changed, Condition, ETag, Listing, Object};
use roost_store::{
    Adoption, BranchName, BranchObject, BranchSource, Claim, CopySource, Creation, FolderError, Head, Holder,
    HydrateError, Hydrated, MemoryStore, ObjectError, ObjectStore, OwnedBranch, Owner, PinKind, ProbeError,
    Progress, PublishError, ReadError, ShipError, SnapshotFolder, TakeOverError, Takeover, TenantError,
    TenantPath, TenantStore, probe,
};
use support::whole_file::{whole, whole_of};
use support::{Content, Ledger, ModelDatabase, branch_object, environment, owner, path};

struct World {
    memory: Arc<MemoryStore>,
    counted: Arc<FaultStore>,
    tenant: TenantStore,
    ledger: Arc<Mutex<Ledger>>,
    disk: tempfile::TempDir,
}

fn world() -> World {
    let memory = Arc::new(MemoryStore::new());
    let counted = Arc::new(FaultStore::new(memory.clone(), 0, Faults::default(), None));
    let tenant = TenantStore::new(counted.clone(), path(), owner(), environment(1).0);
    World { memory, counted, tenant, ledger: Arc::default(), disk: tempfile::tempdir().unwrap() }
}

fn holder(name: &str) -> Holder {
    Holder { name: name.into(), id: name.into() }
}

fn quiet(_: Progress) {}

fn name(name: &str) -> BranchName {
    BranchName::new(name).unwrap()
}

impl World {
    /// HEAD as releases wrote it that did not record the name of the Branch object.
    async fn forget_object(&self, branch: &str) -> Head {
        let key = self.keys(&format!("/branches/{branch}/HEAD")).remove(0);
        let etag = self.memory.get(&key, 1 << 20).await.unwrap().etag;
        let head = Head { object: None, ..self.tenant.head(&name(branch)).await.unwrap() };
        let bytes = roost_store::format::json::encode(&head).into();
        self.memory.put(&key, bytes, Condition::IfMatch(etag)).await.unwrap();
        head
    }

    async fn initialize(&self) {
        self.tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    }

    async fn open(&self, branch: &str, takeover: Takeover) -> (Arc<OwnedBranch>, ModelDatabase) {
        let owned = self.tenant.branch(&name(branch)).take_over(&holder("pod"), takeover).await.unwrap();
        let file = self.hydrated(&owned).await;
        let database = ModelDatabase::open(self.ledger.clone(), file.as_deref(), owned.head().number());
        (owned, database)
    }

    async fn hydrated(&self, owned: &Arc<OwnedBranch>) -> Option<PathBuf> {
        let file = self.disk.path().join(format!("{:?}.db", std::time::Instant::now()));
        match whole(owned, &file).await.unwrap() {
            Hydrated::Empty => None,
            Hydrated::Restored { .. } => Some(file),
        }
    }

    async fn content(&self, owned: &Arc<OwnedBranch>) -> Option<Content> {
        self.hydrated(owned).await.map(|file| Content::read(&file))
    }

    /// Writes some chunks to main and seals it.
    async fn filled(&self, chunks: &[u64]) -> Content {
        self.initialize().await;
        let (owned, database) = self.open("main", Takeover::OnlySealed).await;
        let commit = database.commit(chunks);
        owned.seal(&database).await.unwrap();
        self.ledger.lock().unwrap().states[&commit].0.clone()
    }

    fn keys(&self, part: &str) -> Vec<String> {
        self.memory.contents().into_keys().filter(|key| key.contains(part)).collect()
    }
}

#[tokio::test]
async fn initialize_is_idempotent_and_wakes_find_an_empty_database() {
    let world = world();
    let first = world.tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    assert!(first.created && first.head.sealed && first.head.epoch == 0 && first.head.state().is_none());
    let again = world.tenant.initialize(Creation::KnownTenant, &Adoption::default()).await.unwrap();
    assert!(!again.created);
    assert_eq!(again.head, first.head);
    let (owned, _) = world.open("main", Takeover::OnlySealed).await;
    assert!(!owned.has_data());
    owned.relinquish().await.unwrap();
    let (owned, _) = world.open("main", Takeover::OnlySealed).await;
    assert_eq!(owned.epoch(), 2);
}

#[tokio::test]
async fn a_publish_reads_and_uploads_only_what_changed() {
    let world = world();
    world.initialize().await;
    let (owned, database) = world.open("main", Takeover::OnlySealed).await;
    database.commit(&(0..40).collect::<Vec<_>>());
    let first = owned.publish(&database).await.unwrap();
    assert_eq!((first.read_chunks, first.uploaded_chunks), (40, 40));
    database.commit(&[7, 21]);
    // Written, but with the bytes it had: read, not uploaded.
    database.touch(30);
    let before = (database.reads.load(Ordering::SeqCst), world.counted.requests());
    let second = owned.publish(&database).await.unwrap();
    assert_eq!((second.read_chunks, second.uploaded_chunks), (4, 3));
    assert_eq!(database.reads.load(Ordering::SeqCst) - before.0, 4);
    // One pack, one page, the manifest, HEAD.
    assert_eq!(world.counted.requests() - before.1, 4);
    let clean = owned.publish(&database).await.unwrap();
    assert!(!clean.changed);
    assert_eq!((clean.read_chunks, clean.position), (0, second.position));
    let requests = world.counted.requests();
    owned.seal(&database).await.unwrap();
    assert_eq!(world.counted.requests() - requests, 1, "a clean seal is one write");
    assert!(matches!(owned.publish(&database).await, Err(PublishError::Ended(_))));
    let (reopened, _) = world.open("main", Takeover::OnlySealed).await;
    let content = world.content(&reopened).await.unwrap();
    assert_eq!(content, world.ledger.lock().unwrap().states[&content.commit()].0);
    assert_eq!(content.versions[7], content.commit());
}

#[tokio::test]
async fn an_unsealed_branch_opens_only_when_its_holder_is_gone() {
    let world = world();
    world.initialize().await;
    let (first, database) = world.open("main", Takeover::OnlySealed).await;
    let published = database.commit(&[1]);
    first.publish(&database).await.unwrap();
    database.commit(&[2]);
    let branch = world.tenant.branch(&BranchName::main());
    let refused = branch.take_over(&holder("second"), Takeover::OnlySealed).await.unwrap_err();
    assert!(matches!(refused, TakeOverError::NotSealed { .. }));
    let (second, after) = world.open("main", Takeover::PreviousGone).await;
    assert_eq!(world.content(&second).await.unwrap().commit(), published);
    assert!(first.prove().await.is_err());
    assert!(matches!(first.publish(&database).await, Err(PublishError::Ended(_))));
    second.prove().await.unwrap();
    second.seal(&after).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_the_published_one_is_refused() {
    let world = world();
    world.filled(&[1]).await;
    let (owned, mut database) = world.open("main", Takeover::OnlySealed).await;
    database.id = roost_store::DatabaseId::from_bytes([2; 16]);
    database.commit(&[1]);
    let before = world.memory.contents();
    assert!(matches!(owned.publish(&database).await, Err(PublishError::ForeignDatabase { .. })));
    assert_eq!(world.memory.contents(), before);
}

#[tokio::test]
async fn a_branch_takes_five_operations_and_shares_nothing_it_writes() {
    let world = world();
    let content = world.filled(&[1, 2, 3]).await;
    let before = world.counted.requests();
    let source = BranchSource::Branch(BranchName::main());
    let made = world.tenant.create_branch(&name("dev"), branch_object("uid"), &source).await.unwrap();
    assert_eq!(world.counted.requests() - before, 5);
    let again = world.tenant.create_branch(&name("dev"), branch_object("uid"), &source).await.unwrap();
    assert_eq!(again.head, made.head);
    assert_eq!(world.keys("/pins/").len(), 1, "the second attempt removed its pin");
    let taken = world.tenant.create_branch(&name("dev"), branch_object("other"), &source).await.unwrap_err();
    assert!(matches!(&taken, TenantError::BranchNameTaken { uid: Some(uid), .. } if uid == "uid"), "{taken}");
    let (owned, database) = world.open("dev", Takeover::OnlySealed).await;
    assert_eq!(world.content(&owned).await.unwrap(), content);
    let commit = database.commit(&[2]);
    let published = owned.seal(&database).await.unwrap();
    assert_eq!(published.uploaded_chunks, 2);
    // A branch of a branch reads packs of both.
    let source = BranchSource::Branch(name("dev"));
    world.tenant.create_branch(&name("dev2"), branch_object("uid2"), &source).await.unwrap();
    let (second, database) = world.open("dev2", Takeover::OnlySealed).await;
    assert_eq!(world.content(&second).await.unwrap().commit(), commit);
    let unchanged = second.seal(&database).await.unwrap();
    assert!(unchanged.changed, "the first publish makes a manifest of its own");
    assert_eq!(unchanged.uploaded_chunks, 0);
    let (main, _) = world.open("main", Takeover::OnlySealed).await;
    assert_eq!(world.content(&main).await.unwrap(), content);
    world.tenant.delete_branch(&name("dev"), "stranger").await.unwrap();
    assert!(world.tenant.head(&name("dev")).await.is_ok());
    world.tenant.delete_branch(&name("dev"), "uid").await.unwrap();
    world.tenant.delete_branch(&name("dev"), "uid").await.unwrap();
    assert!(matches!(world.tenant.head(&name("dev")).await, Err(TenantError::BranchNotFound(_))));
    assert_eq!(world.keys("/pins/branch-dev-").len(), 0);
    assert_eq!(world.keys("/pins/branch-dev2-").len(), 1);
    assert!(owned.prove().await.is_err());
}

/// A request that was sent long ago and arrives now changes nothing: neither the creation of a branch that was deleted
/// since, nor the deletion of one whose name was taken again.
#[tokio::test]
async fn a_branchs_name_is_free_after_it_and_its_late_requests_find_it_taken() {
    let world = world();
    world.filled(&[1, 2]).await;
    let source = BranchSource::Branch(BranchName::main());
    let first = world.tenant.create_branch(&name("dev"), branch_object("first"), &source).await.unwrap().head;
    let head = world.keys("/branches/dev/HEAD").remove(0);
    let created = world.memory.contents()[&head].clone();
    world.tenant.delete_branch(&name("dev"), "first").await.unwrap();
    let late = world.memory.put(&head, created.clone(), Condition::IfAbsent).await;
    assert!(matches!(late, Err(ObjectError::PreconditionFailed { .. })), "{late:?}");
    let gone = world.tenant.branch(&name("dev")).take_over(&holder("pod"), Takeover::PreviousGone).await;
    assert!(matches!(gone, Err(TakeOverError::NotFound(_))), "{gone:?}");

    // One that was deleted before its creation arrived: its pin is gone, so it must not come to be.
    world.tenant.delete_branch(&name("never"), "third").await.unwrap();
    let late = world.tenant.create_branch(&name("never"), branch_object("third"), &source).await;
    assert!(matches!(late, Err(TenantError::BranchNotFound(_))), "{late:?}");
    assert!(world.tenant.create_branch(&name("never"), branch_object("fourth"), &source).await.is_ok());
    world.tenant.delete_branch(&name("never"), "third").await.unwrap();
    assert!(world.tenant.head(&name("never")).await.is_ok());

    let second =
        world.tenant.create_branch(&name("dev"), branch_object("second"), &source).await.unwrap().head;
    assert!(second.lineage != first.lineage && !second.deleted);
    world.tenant.delete_branch(&name("dev"), "first").await.unwrap();
    let again = world.tenant.create_branch(&name("dev"), branch_object("first"), &source).await;
    assert!(matches!(again, Err(TenantError::BranchNameTaken { .. })), "{again:?}");
    assert_eq!(world.tenant.head(&name("dev")).await.unwrap(), second);
    assert_eq!(world.keys("/pins/branch-dev-").len(), 1);
}

#[tokio::test]
async fn the_writer_of_a_deleted_branch_is_told_by_its_next_segment() {
    let world = world();
    world.filled(&[1, 2]).await;
    let source = BranchSource::Branch(BranchName::main());
    world.tenant.create_branch(&name("dev"), branch_object("uid"), &source).await.unwrap();
    let (owned, database) = world.open("dev", Takeover::OnlySealed).await;
    owned.publish(&database).await.unwrap();
    world.tenant.delete_branch(&name("dev"), "uid").await.unwrap();
    database.commit(&[1]);
    let shipped = database.ship(u64::MAX, async |cut| owned.ship(&cut, &database).await).await.unwrap();
    assert!(matches!(shipped, Err(ShipError::Fenced { .. })), "{shipped:?}");
}

#[tokio::test]
async fn a_branch_left_behind_goes_to_the_object_made_again() {
    let world = world();
    world.filled(&[1, 2]).await;
    let from_main = BranchSource::Branch(BranchName::main());
    world.tenant.create_branch(&name("dev"), branch_object("old"), &from_main).await.unwrap();
    let (owned, database) = world.open("dev", Takeover::OnlySealed).await;
    let commit = database.commit(&[1]);
    owned.seal(&database).await.unwrap();
    let head = world.tenant.head(&name("dev")).await.unwrap();

    let elsewhere = BranchSource::Branch(name("other"));
    let differs = world
        .tenant
        .reattach_branch(&name("dev"), "old", branch_object("new"), &elsewhere)
        .await
        .unwrap_err();
    assert!(matches!(differs, TenantError::BranchDiffers { began: Some(_), .. }), "{differs}");
    let third = world
        .tenant
        .reattach_branch(&name("dev"), "older", branch_object("new"), &from_main)
        .await
        .unwrap_err();
    assert!(matches!(third, TenantError::BranchNameTaken { .. }), "{third}");
    assert_eq!(world.tenant.head(&name("dev")).await.unwrap(), head, "what is refused changes nothing");

    for _ in 0..2 {
        let found = world
            .tenant
            .reattach_branch(&name("dev"), "old", branch_object("new"), &from_main)
            .await
            .unwrap();
        assert_eq!((found.head.uid.as_deref(), &found.head.manifest), (Some("new"), &head.manifest));
    }
    assert_eq!(world.keys("/pins/branch-dev-").len(), 1);
    // The earlier object's deletion, come late, is not the later one's.
    world.tenant.delete_branch(&name("dev"), "old").await.unwrap();
    let (again, _) = world.open("dev", Takeover::OnlySealed).await;
    assert_eq!(world.content(&again).await.unwrap().commit(), commit);
    world.tenant.delete_branch(&name("dev"), "new").await.unwrap();
    assert!(matches!(world.tenant.head(&name("dev")).await, Err(TenantError::BranchNotFound(_))));
    assert!(world.keys("/pins/").is_empty());
}

/// Rights are rights on the name of an object: another name does not come to the data, whatever its branchName is.
#[tokio::test]
async fn a_branch_left_behind_goes_to_no_object_of_another_name() {
    let world = world();
    world.filled(&[1, 2]).await;
    let from_main = BranchSource::Branch(BranchName::main());
    let object = |name, uid| BranchObject { name, uid };
    world.tenant.create_branch(&name("dev"), object("secret", "old"), &from_main).await.unwrap();
    let (owned, database) = world.open("dev", Takeover::OnlySealed).await;
    let commit = database.commit(&[1]);
    owned.seal(&database).await.unwrap();
    let head = world.tenant.head(&name("dev")).await.unwrap();
    assert_eq!(head.object_name(), "secret", "its pods keep the name");

    for other in ["dev", "secret-dev", "secre"] {
        let taken = world.tenant.create_branch(&name("dev"), object(other, "new"), &from_main).await;
        assert!(matches!(taken, Err(TenantError::BranchNameTaken { .. })), "{taken:?}");
        let kept = world.tenant.reattach_branch(&name("dev"), "old", object(other, "new"), &from_main).await;
        let kept = kept.unwrap_err();
        assert!(matches!(&kept, TenantError::BranchKept { object, .. } if object == "secret"), "{kept}");
        assert_eq!(world.tenant.head(&name("dev")).await.unwrap(), head, "what is refused changes nothing");
    }
    let found = world.tenant.reattach_branch(&name("dev"), "old", object("secret", "new"), &from_main).await;
    assert_eq!(found.unwrap().head.object_name(), "secret");
    let (again, _) = world.open("dev", Takeover::OnlySealed).await;
    assert_eq!(world.content(&again).await.unwrap().commit(), commit);
}

/// Releases before recorded no object's name. The branch's own is the one that an object had unless it said otherwise.
#[tokio::test]
async fn a_branch_of_an_earlier_release_goes_to_the_object_of_its_own_name() {
    let world = world();
    world.filled(&[1, 2]).await;
    let from_main = BranchSource::Branch(BranchName::main());
    world.tenant.create_branch(&name("dev"), branch_object("old"), &from_main).await.unwrap();
    world.forget_object("dev").await;
    let object = |name| BranchObject { name, uid: "new" };
    let other = world.tenant.reattach_branch(&name("dev"), "old", object("other"), &from_main).await;
    assert!(matches!(other, Err(TenantError::BranchKept { .. })), "{other:?}");
    let found = world.tenant.reattach_branch(&name("dev"), "old", object("dev"), &from_main).await.unwrap();
    assert_eq!(found.head.object.as_deref(), Some("dev"), "from now on it is recorded");
}

/// While its object is there, the name that it has is recorded later.
#[tokio::test]
async fn the_object_of_a_branch_of_an_earlier_release_is_recorded() {
    let world = world();
    world.filled(&[1, 2]).await;
    let from_main = BranchSource::Branch(BranchName::main());
    let object = |name, uid| BranchObject { name, uid };
    world.tenant.create_branch(&name("dev"), object("acme-dev", "old"), &from_main).await.unwrap();
    let forgotten = world.forget_object("dev").await;
    world.tenant.record_object(&name("dev"), object("other", "another")).await.unwrap();
    assert_eq!(world.tenant.head(&name("dev")).await.unwrap(), forgotten, "it is not that object's");
    for _ in 0..2 {
        world.tenant.record_object(&name("dev"), object("acme-dev", "old")).await.unwrap();
        let head = world.tenant.head(&name("dev")).await.unwrap();
        assert_eq!(head, Head { put_id: head.put_id, object: Some("acme-dev".into()), ..forgotten.clone() });
    }
    world.tenant.record_object(&name("never"), object("acme-never", "old")).await.unwrap();
    world.tenant.delete_branch(&name("dev"), "old").await.unwrap();
    world.tenant.record_object(&name("dev"), object("acme-dev", "old")).await.unwrap();
    assert!(matches!(world.tenant.head(&name("dev")).await, Err(TenantError::BranchNotFound(_))));
}

#[tokio::test]
async fn a_snapshot_left_behind_goes_to_the_object_made_again() {
    let world = world();
    world.filled(&[1]).await;
    let main = BranchName::main();
    let taken = world.tenant.snapshot("nightly", "old", &main, None).await.unwrap();
    for (branch, native) in [(name("dev"), true), (main.clone(), false)] {
        let refused =
            world.tenant.reattach_snapshot("nightly", "old", "new", &branch, native).await.unwrap_err();
        assert!(matches!(refused, TenantError::SnapshotExists { .. }), "{refused}");
    }
    for _ in 0..2 {
        let found = world.tenant.reattach_snapshot("nightly", "old", "new", &main, true).await.unwrap();
        assert_eq!((found.uid.as_str(), &found.position), ("new", &taken.position));
    }
    assert_eq!(world.keys("/pins/").len(), 1);
    world.tenant.delete_snapshot("nightly", "old").await.unwrap();
    assert_eq!(world.tenant.snapshot("nightly", "new", &main, None).await.unwrap().position, taken.position);
    world.tenant.delete_snapshot("nightly", "new").await.unwrap();
    assert!(world.keys("/pins/").is_empty() && world.keys("/catalogue/").is_empty());
}

#[tokio::test]
async fn a_snapshot_folder_left_behind_goes_to_the_object_made_again() {
    let world = world();
    let store: Arc<dyn ObjectStore> = world.memory.clone();
    let environment = environment(1).0;
    let claim = async |owner: &Owner, uid: &str| {
        SnapshotFolder::claim(store.clone(), environment.clone(), &path(), "nightly", owner, uid).await
    };
    let Claim::Ready(folder) = claim(&owner(), "old").await.unwrap() else { panic!("it is new") };
    folder.finish(b"{}".to_vec()).await.unwrap();
    let location = SnapshotFolder::location(&path(), "nightly").unwrap();
    // A Tenant made again has another uid; the namespace is the same.
    let later = Owner { tenant_uid: "later".into(), ..owner() };
    let stranger = Owner { namespace_uid: "elsewhere".into(), ..owner() };
    for (whose, from) in [(&stranger, "old"), (&later, "older")] {
        let refused = SnapshotFolder::reattach(&store, &environment, &location, whose, from, "new").await;
        assert!(matches!(refused, Err(FolderError::SnapshotExists { .. })), "{refused:?}");
    }
    for _ in 0..2 {
        SnapshotFolder::reattach(&store, &environment, &location, &later, "old", "new").await.unwrap();
    }
    let found = SnapshotFolder::claimed_by(&store, &environment, &location).await.unwrap().unwrap();
    assert_eq!((found.uid.as_str(), found.owner), ("new", later.clone()));
    assert!(matches!(claim(&later, "new").await.unwrap(), Claim::Finished(_)));
    assert!(claim(&owner(), "old").await.is_err());
}

#[tokio::test]
async fn a_condemned_or_missing_source_is_refused_and_leaves_no_pin() {
    use roost_store::format::json;
    use roost_store::format::pin::Condemned;
    let world = world();
    world.filled(&[1]).await;
    let head = world.tenant.head(&BranchName::main()).await.unwrap();
    let manifest = world.keys("/manifests/")[0].clone();
    let relative = manifest.strip_prefix(world.tenant.location()).unwrap().to_owned();
    let list = Condemned { put_id: head.put_id, keys: vec![relative] };
    let list_key = format!("{}condemned/run", world.tenant.location());
    world.memory.overwrite(&list_key, json::encode(&list));
    let source = BranchSource::Branch(BranchName::main());
    let refused = world.tenant.create_branch(&name("dev"), branch_object("uid"), &source).await.unwrap_err();
    assert!(matches!(refused, TenantError::SourceExpired(_)), "{refused}");
    roost_store::ObjectStore::delete(&*world.memory, &list_key).await.unwrap();
    roost_store::ObjectStore::delete(&*world.memory, &manifest).await.unwrap();
    let refused = world.tenant.create_branch(&name("dev"), branch_object("uid"), &source).await.unwrap_err();
    assert!(matches!(refused, TenantError::SourceExpired(_)), "{refused}");
    assert!(world.keys("/pins/").is_empty() && world.keys("/branches/dev/").is_empty());
}

#[tokio::test]
async fn a_snapshot_outlives_later_writes_and_restores_into_a_new_tenant() {
    let world = world();
    let content = world.filled(&[1, 2]).await;
    let entry = world.tenant.snapshot("nightly", "uid", &BranchName::main(), None).await.unwrap();
    assert_eq!(world.tenant.snapshot("nightly", "uid", &BranchName::main(), None).await.unwrap(), entry);
    let other = world.tenant.snapshot("nightly", "other", &BranchName::main(), None).await.unwrap_err();
    assert!(matches!(other, TenantError::SnapshotExists { .. }));
    assert_eq!(world.tenant.snapshots(None, 10).await.unwrap(), ["nightly"]);
    let (owned, database) = world.open("main", Takeover::OnlySealed).await;
    database.commit(&[1]);
    owned.seal(&database).await.unwrap();

    let target_path = TenantPath::new("prod", "shop", "copy").unwrap();
    let target_owner = Owner { tenant_uid: "copy".into(), ..owner() };
    let target = TenantStore::new(world.memory.clone(), target_path, target_owner, environment(9).0);
    let done = Mutex::new(0);
    let watch = |progress: Progress| *done.lock().unwrap() = progress.done;
    let copied = target
        .source_copy("acme", &CopySource::Snapshot("nightly".into()), &Adoption::default(), &watch)
        .await
        .unwrap();
    assert!(copied.created && copied.head.sealed && copied.head.number() == 1);
    assert_eq!(*done.lock().unwrap(), 3);
    let again = target
        .source_copy("acme", &CopySource::Snapshot("nightly".into()), &Adoption::default(), &quiet)
        .await
        .unwrap();
    assert_eq!((again.created, again.head), (false, copied.head));
    assert!(world.keys("/pins/reader-").is_empty());
    world.tenant.delete_all().await.unwrap();
    assert!(world.keys("tenants/shop/acme/").is_empty());
    let main = target.branch(&BranchName::main());
    let owned = main.take_over(&holder("pod"), Takeover::OnlySealed).await.unwrap();
    assert_eq!(world.content(&owned).await.unwrap(), content);

    target.snapshot("own", "uid", &BranchName::main(), None).await.unwrap();
    target.delete_snapshot("own", "uid").await.unwrap();
    target.delete_snapshot("own", "uid").await.unwrap();
    assert!(world.keys("/pins/").is_empty() && world.keys("/catalogue/").is_empty());
}

#[tokio::test]
async fn a_pinned_position_is_read_while_the_writer_goes_on() {
    let world = world();
    let content = world.filled(&[1]).await;
    let main = BranchName::main();
    let pinned = world.tenant.pin(PinKind::Reader, "export", "uid", &main, None).await.unwrap();
    let (owned, database) = world.open("main", Takeover::OnlySealed).await;
    database.commit(&[1]);
    owned.publish(&database).await.unwrap();
    let reader = world.tenant.branch(&main).open_position(&pinned.position, &pinned.pin).await.unwrap();
    let file = world.disk.path().join("reader.db");
    whole_of(&reader, &file).await.unwrap();
    assert_eq!(Content::read(&file), content);
    owned.prove().await.unwrap();
    let exists = whole_of(&reader, &file).await.unwrap_err();
    assert!(matches!(exists, HydrateError::Local { .. }));
    assert_eq!(Content::read(&file), content, "an existing file is not touched");
    world.tenant.unpin(&pinned.pin).await.unwrap();
    let gone = world.tenant.branch(&main).open_position(&pinned.position, &pinned.pin).await.unwrap_err();
    assert!(matches!(gone, HydrateError::NotPinned(_)));
}

#[tokio::test]
async fn nothing_is_written_or_deleted_under_another_owners_prefix() {
    let world = world();
    world.filled(&[1]).await;
    world.tenant.snapshot("nightly", "uid", &BranchName::main(), None).await.unwrap();
    let source = BranchSource::Branch(BranchName::main());
    world.tenant.create_branch(&name("dev"), branch_object("uid"), &source).await.unwrap();
    let before = world.memory.contents();
    let stranger = Owner { namespace_uid: "other".into(), ..owner() };
    let foreign = || TenantStore::new(world.memory.clone(), path(), stranger.clone(), environment(5).0);
    let main = BranchName::main();
    let mut answers: Vec<TenantError> = Vec::new();
    for creation in [Creation::NewTenant, Creation::KnownTenant] {
        answers.push(foreign().initialize(creation, &Adoption::default()).await.unwrap_err());
    }
    answers.push(foreign().create_branch(&name("b"), branch_object("uid"), &source).await.unwrap_err());
    answers.push(foreign().delete_branch(&name("dev"), "uid").await.unwrap_err());
    answers.push(foreign().snapshot("s", "uid", &main, None).await.unwrap_err());
    answers.push(foreign().delete_snapshot("nightly", "uid").await.unwrap_err());
    answers.push(foreign().pin(PinKind::Reader, "r", "uid", &main, None).await.unwrap_err());
    answers.push(foreign().delete_all().await.unwrap_err());
    answers.push(
        foreign()
            .source_copy("acme", &CopySource::Snapshot("nightly".into()), &Adoption::default(), &quiet)
            .await
            .unwrap_err(),
    );
    for answer in answers {
        assert!(matches!(answer, TenantError::OwnedElsewhere { .. }), "{answer}");
    }
    let taken = foreign().branch(&main).take_over(&holder("x"), Takeover::PreviousGone).await.unwrap_err();
    assert!(matches!(taken, TakeOverError::OwnedElsewhere(_)));
    assert_eq!(world.memory.contents(), before);
}

#[tokio::test]
async fn data_is_adopted_only_from_whom_is_named() {
    let world = world();
    world.filled(&[1]).await;
    let moved = Owner { cluster_id: "new".into(), namespace_uid: "new".into(), tenant_uid: "new".into() };
    let tenant = TenantStore::new(world.memory.clone(), path(), moved, environment(6).0);
    let wrong = Adoption { from: Some(("cluster".into(), "else".into())), clusters: vec!["else".into()] };
    assert!(tenant.initialize(Creation::KnownTenant, &wrong).await.is_err());
    let right = Adoption { from: Some(("cluster".into(), "namespace".into())), clusters: Vec::new() };
    let adopted = tenant.initialize(Creation::NewTenant, &right).await.unwrap();
    assert_eq!(adopted.adopted_from, Some(owner()));
    assert!(adopted.head.state().is_some());
    let later = tenant.initialize(Creation::KnownTenant, &right).await.unwrap();
    assert_eq!(later.adopted_from, None, "it ceases to apply");
    // The same namespace's next Tenant re-attaches without being named.
    let recreated =
        Owner { cluster_id: "new".into(), namespace_uid: "new".into(), tenant_uid: "newer".into() };
    let tenant = TenantStore::new(world.memory.clone(), path(), recreated, environment(7).0);
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
}

#[tokio::test]
async fn missing_data_is_a_loss_and_never_an_empty_database() {
    let world = world();
    let none = world.tenant.initialize(Creation::KnownTenant, &Adoption::default()).await.unwrap_err();
    assert!(matches!(none, TenantError::DataMissing { .. }));
    assert!(world.memory.contents().is_empty());
    world.filled(&[1]).await;
    let head = world.keys("main/HEAD").remove(0);
    roost_store::ObjectStore::delete(&*world.memory, &head).await.unwrap();
    let before = world.memory.contents();
    let recreated = Owner { tenant_uid: "newer".into(), ..owner() };
    for owner in [owner(), recreated] {
        let tenant = TenantStore::new(world.memory.clone(), path(), owner, environment(8).0);
        let lost = tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap_err();
        assert!(matches!(lost, TenantError::DataMissing { .. }), "{lost}");
    }
    assert_eq!(world.memory.contents(), before);
}

#[tokio::test]
async fn damage_is_named_and_overwrites_nothing() {
    for part in ["/packs/", "/pages/", "/manifests/"] {
        for damage in ["flip", "truncate", "remove"] {
            let world = world();
            world.filled(&[1, 2]).await;
            let key = world.keys(part).remove(0);
            let mut bytes = world.memory.contents()[&key].to_vec();
            let middle = bytes.len() / 3;
            match damage {
                "flip" => bytes[middle] ^= 1,
                _ => bytes.truncate(middle),
            }
            if damage == "remove" {
                roost_store::ObjectStore::delete(&*world.memory, &key).await.unwrap();
            } else {
                world.memory.overwrite(&key, bytes);
            }
            let kept = |world: &World| {
                let mut contents = world.memory.contents();
                contents.retain(|key, _| !key.ends_with("HEAD"));
                contents
            };
            let before = kept(&world);
            let file = world.disk.path().join("broken.db");
            let branch = world.tenant.branch(&BranchName::main());
            let said = match branch.take_over(&holder("pod"), Takeover::OnlySealed).await {
                Ok(owned) => {
                    let error = whole(&owned, &file).await.unwrap_err();
                    owned.relinquish().await.unwrap();
                    error.to_string()
                }
                Err(error) => error.to_string(),
            };
            assert!(said.contains(&key), "{part} {damage}: {said}");
            assert!(!file.exists());
            assert_eq!(kept(&world), before);
            let head = world.tenant.head(&BranchName::main()).await.unwrap();
            assert!(head.sealed && head.number() == 1, "HEAD still names the same state, sealed");
        }
    }
}

#[tokio::test]
async fn an_object_of_another_lineage_is_refused() {
    use roost_store::format::{json, manifest::Manifest};
    let world = world();
    world.filled(&[1]).await;
    let key = world.keys("/manifests/").remove(0);
    let mut manifest: Manifest = json::decode(&world.memory.contents()[&key]).unwrap();
    let foreign = roost_store::Lineage::from_bytes([9; 16]);
    let own = std::mem::replace(&mut manifest.lineage, foreign);
    manifest.lineages = vec![foreign];
    world.memory.overwrite(&key, json::encode(&manifest));
    let branch = world.tenant.branch(&BranchName::main());
    let error = branch.take_over(&holder("pod"), Takeover::OnlySealed).await.unwrap_err();
    assert!(matches!(error, TakeOverError::Read(ReadError::WrongLineage { .. })), "{error}");
    // A manifest that lists another ancestor than its pages have.
    manifest.lineage = own;
    manifest.lineages = vec![own];
    manifest.pages[0].name.lineage = foreign;
    world.memory.overwrite(&key, json::encode(&manifest));
    let error = branch.take_over(&holder("pod"), Takeover::OnlySealed).await.unwrap_err();
    assert!(matches!(error, TakeOverError::Read(ReadError::WrongLineage { .. })), "{error}");
}

#[tokio::test]
async fn of_two_takers_exactly_one_keeps_the_branch() {
    let world = world();
    world.filled(&[1]).await;
    let branch = world.tenant.branch(&BranchName::main());
    let (a, b) = (holder("a"), holder("b"));
    let (first, second) =
        tokio::join!(branch.take_over(&a, Takeover::OnlySealed), branch.take_over(&b, Takeover::OnlySealed));
    assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
}

#[tokio::test]
async fn deletion_leaves_nothing_of_its_own_and_everything_else() {
    let world = world();
    world.filled(&[1]).await;
    world.memory.overwrite("prod/tenants/shop/acme2/tenant.json", "another tenant's");
    world.memory.overwrite("prod/snapshots/shop/acme/s/metadata.json", "a Parquet snapshot's");
    let (owned, database) = world.open("main", Takeover::OnlySealed).await;
    database.commit(&[1]);
    world.tenant.delete_all().await.unwrap();
    assert_eq!(world.memory.contents().len(), 2);
    assert!(owned.publish(&database).await.is_err(), "whoever held the branch is fenced");
    let tenant = TenantStore::new(world.memory.clone(), path(), owner(), environment(3).0);
    assert!(matches!(tenant.delete_all().await, Err(TenantError::OwnerUnknown { .. })), "packs came late");
}

#[tokio::test]
async fn a_snapshot_folder_belongs_to_one_snapshot() {
    let world = world();
    let store: Arc<dyn roost_store::ObjectStore> = world.memory.clone();
    let environment = environment(2).0;
    let file = world.disk.path().join("part");
    std::fs::write(&file, vec![7; 100_000]).unwrap();
    let path = path();
    let location = SnapshotFolder::location(&path, "s").unwrap();
    let own = owner();
    let claim = async |uid: &str| {
        SnapshotFolder::claim(store.clone(), environment.clone(), &path, "s", &own, uid).await
    };
    let Claim::Ready(folder) = claim("one").await.unwrap() else { panic!("finished already") };
    let part = folder.put_part("orders/0.parquet", &file).await.unwrap();
    assert_eq!(part.bytes, 100_000);
    assert_eq!(folder.put_part("orders/0.parquet", &file).await.unwrap(), part, "equal content is its own");
    std::fs::write(&file, vec![8; 100_000]).unwrap();
    let other = folder.put_part("orders/0.parquet", &file).await.unwrap_err();
    assert!(matches!(other, FolderError::PartExists { .. }));
    assert!(matches!(folder.put_bytes("owner.json", Vec::new()).await, Err(FolderError::InvalidPart(_))));
    assert!(matches!(folder.put_bytes("../x", Vec::new()).await, Err(FolderError::InvalidPart(_))));
    assert!(matches!(claim("two").await, Err(FolderError::SnapshotExists { .. })));
    // A second attempt of the same snapshot starts over.
    let Claim::Ready(folder) = claim("one").await.unwrap() else { panic!("finished already") };
    assert_eq!(world.memory.contents().len(), 1);
    folder.put_bytes("schema.sql", b"create table t(i int);".to_vec()).await.unwrap();
    folder.finish(b"{}".to_vec()).await.unwrap();
    assert!(matches!(claim("one").await.unwrap(), Claim::Finished(metadata) if metadata == b"{}"));
    let delete = async |uid: &str| SnapshotFolder::delete(&store, &environment, &location, &own, uid).await;
    assert!(matches!(delete("two").await, Err(FolderError::SnapshotExists { .. })));
    assert_eq!(world.memory.contents().len(), 3);
    delete("one").await.unwrap();
    delete("one").await.unwrap();
    assert!(world.memory.contents().is_empty());
}

#[tokio::test]
async fn the_probe_accepts_what_keeps_its_promises_and_cleans_up() {
    let world = world();
    probe(&*world.memory, "prod", &environment(4).0).await.unwrap();
    assert!(world.memory.contents().is_empty());
}

/// The conditions of PUTs that an endpoint ignores.
#[derive(Debug)]
enum Ignores {
    /// It ignores all of them.
    All,
    /// It compares versions, but only with objects that are there.
    IfMatchOfNothing,
}

/// An endpoint that takes the requests and ignores some of their conditions.
#[derive(Debug)]
struct Careless(MemoryStore, Ignores);

impl Careless {
    fn heeded(&self, key: &str, condition: Condition) -> Condition {
        match (&self.1, condition) {
            (Ignores::IfMatchOfNothing, condition)
                if !matches!(condition, Condition::IfMatch(_)) || self.0.contents().contains_key(key) =>
            {
                condition
            }
            _ => Condition::Always,
        }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Careless {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        self.0.get(key, limit).await
    }
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        self.0.get_if_changed(key, etag, limit).await
    }
    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<bytes::Bytes, ObjectError> {
        self.0.get_range(key, range).await
    }
    async fn put(&self, key: &str, bytes: bytes::Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        self.0.put(key, bytes, self.heeded(key, condition)).await
    }
    async fn put_file(
        &self,
        key: &str,
        path: &std::path::Path,
        condition: Condition,
    ) -> Result<ETag, ObjectError> {
        self.0.put_file(key, path, self.heeded(key, condition)).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        self.0.list(prefix, after, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.0.delete(key).await
    }
}

#[tokio::test]
async fn the_probe_refuses_an_endpoint_without_conditional_writes_or_answers() {
    let careless = Careless(MemoryStore::new(), Ignores::All);
    let refused = probe(&careless, "prod", &environment(4).0).await.unwrap_err();
    assert!(
        matches!(refused, ProbeError::ConditionalWritesUnsupported { header: "If-None-Match", .. }),
        "{refused}"
    );
    assert!(careless.0.contents().is_empty());
    // A publish would bring back the HEAD of a tenant that was deleted.
    let half = Careless(MemoryStore::new(), Ignores::IfMatchOfNothing);
    let refused = probe(&half, "prod", &environment(4).0).await.unwrap_err();
    assert!(
        matches!(refused, ProbeError::ConditionalWritesUnsupported { header: "If-Match", .. }),
        "{refused}"
    );
    assert!(half.0.contents().is_empty(), "what the probe wrote is gone");
    let faults = Faults { lost: 1_000, ..Faults::default() };
    let away = FaultStore::new(Arc::new(MemoryStore::new()), 0, faults, None);
    let unreachable = probe(&away, "prod", &environment(4).0).await.unwrap_err();
    assert!(matches!(unreachable, ProbeError::Unreachable(_)), "{unreachable}");
}
