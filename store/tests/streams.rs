//! WAL in the bucket: what is shipped survives its owner, whatever he was doing, and nothing else does.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use roost_store::stream::Lsn;
use roost_store::{
    Adoption, BranchName, BranchSource, CopySource, Creation, Holder, Hydrated, MemoryStore, ObjectStore,
    OwnedBranch, PublishError, ReadError, ShipError, TakeOverError, Takeover, TenantError, TenantStore,
};
use support::whole_file::whole;
use support::{Content, Ledger, ModelDatabase, branch_object, environment, owner, path};

struct World {
    memory: Arc<MemoryStore>,
    tenant: TenantStore,
    ledger: Arc<Mutex<Ledger>>,
    disk: tempfile::TempDir,
}

async fn world() -> World {
    let memory = Arc::new(MemoryStore::new());
    let tenant = TenantStore::new(memory.clone(), path(), owner(), environment(1).0);
    tenant.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    World { memory, tenant, ledger: Arc::default(), disk: tempfile::tempdir().unwrap() }
}

fn branch(name: &str) -> BranchName {
    BranchName::new(name).unwrap()
}

impl World {
    async fn take(&self, name: &str) -> Arc<OwnedBranch> {
        let holder = Holder { name: "pod".into(), id: "pod".into() };
        self.tenant.branch(&branch(name)).take_over(&holder, Takeover::PreviousGone).await.unwrap()
    }

    /// Opens the branch as a new owner; also returns the bytes of WAL that it found.
    async fn open(&self, name: &str) -> (Arc<OwnedBranch>, ModelDatabase, u64) {
        let owned = self.take(name).await;
        let (file, wal) = self.hydrated(&owned).await;
        let number = owned.head().number();
        (owned, ModelDatabase::open(self.ledger.clone(), file.as_deref(), number), wal)
    }

    async fn hydrated(&self, owned: &Arc<OwnedBranch>) -> (Option<PathBuf>, u64) {
        let file = self.disk.path().join(format!("{:?}", std::time::Instant::now()));
        match whole(owned, &file).await.unwrap() {
            Hydrated::Empty => (None, 0),
            Hydrated::Restored { wal, .. } => (Some(file), wal),
        }
    }

    async fn content(&self, owned: &Arc<OwnedBranch>) -> Content {
        Content::read(&self.hydrated(owned).await.0.unwrap())
    }

    /// An owner of main that has published once and may ship.
    async fn writer(&self) -> (Arc<OwnedBranch>, ModelDatabase) {
        let (owned, database, _) = self.open("main").await;
        database.commit(&[1, 2]);
        owned.publish(&database).await.unwrap();
        (owned, database)
    }

    fn state(&self, commit: u64) -> Content {
        self.ledger.lock().unwrap().states[&commit].0.clone()
    }

    fn slots(&self) -> Vec<String> {
        self.memory.contents().into_keys().filter(|key| key.contains("/wal/")).collect()
    }
}

async fn ship(owned: &OwnedBranch, database: &ModelDatabase) -> Result<Lsn, ShipError> {
    database.ship(u64::MAX, async |cut| owned.ship(&cut, database).await).await.unwrap()
}

#[tokio::test]
async fn what_was_shipped_survives_and_is_replayed_once() {
    let world = world().await;
    let (first, database) = world.writer().await;
    assert_eq!(first.durable(), Lsn { manifest: 1, offset: 0 });
    database.commit(&[2]);
    let (few, many): (Vec<u64>, Vec<u64>) = ((3..5).collect(), (5..12).collect());
    database.commit_with(&[1], &few);
    ship(&first, &database).await.unwrap();
    let shipped = database.commit_with(&[], &many);
    assert_eq!(ship(&first, &database).await.unwrap(), database.committed().1);
    assert_eq!(first.position().unwrap().sequence, 2);
    database.commit(&[3]);

    let (second, after, wal) = world.open("main").await;
    assert!(wal > 0 && second.must_publish_first());
    assert_eq!(world.content(&second).await, world.state(shipped));
    assert_eq!(second.position().unwrap().sequence, 2);
    // Its WAL is not the one that was left.
    assert_eq!(second.durable(), Lsn { manifest: 1, offset: 0 });
    let published = second.publish(&after).await.unwrap();
    // The chunks of the load are in packs already; what the WAL changed, and the header, are new.
    assert_eq!(published.read_chunks - published.uploaded_chunks, many.len() as u64);
    assert!(!second.must_publish_first());
    second.seal(&after).await.unwrap();
    let (third, _, wal) = world.open("main").await;
    assert_eq!((world.content(&third).await, wal), (world.state(shipped), 0));
}

#[tokio::test]
async fn an_owner_that_was_replaced_cannot_ship() {
    let world = world().await;
    let (first, database) = world.writer().await;
    database.commit(&[2]);
    let (_second, _, _) = world.open("main").await;
    let before = world.memory.contents();
    assert!(matches!(ship(&first, &database).await, Err(ShipError::Fenced { .. })));
    database.commit(&[1]);
    assert!(matches!(ship(&first, &database).await, Err(ShipError::Ended(_))));
    assert!(matches!(first.publish(&database).await, Err(PublishError::Ended(_))));
    assert_eq!(world.memory.contents(), before);
}

#[tokio::test]
async fn owners_that_die_before_their_first_publish_lose_nothing_of_those_before() {
    let world = world().await;
    let (first, database) = world.writer().await;
    let shipped = database.commit(&[2]);
    ship(&first, &database).await.unwrap();
    for deaths in 1..4 {
        let (owned, after, _) = world.open("main").await;
        assert_eq!(world.content(&owned).await, world.state(shipped));
        after.commit(&[1]);
        assert!(ship(&owned, &after).await.is_err(), "it did not publish yet");
        assert_eq!(world.slots().len(), 1 + deaths, "one seal each");
    }
    // One that gives up leaves HEAD to the next.
    let owned = world.take("main").await;
    owned.relinquish().await.unwrap();
    assert!(!owned.head().sealed);
    let (last, after, _) = world.open("main").await;
    assert_eq!(world.content(&last).await, world.state(shipped));
    last.seal(&after).await.unwrap();
    assert!(world.tenant.head(&BranchName::main()).await.unwrap().sealed);
}

#[tokio::test]
async fn an_owner_that_finds_nothing_to_replay_ships_after_its_first_publish() {
    let world = world().await;
    let (_first, _) = world.writer().await;
    let (owned, database, wal) = world.open("main").await;
    assert!(wal == 0 && owned.must_publish_first());
    owned.publish(&database).await.unwrap();
    let commit = database.commit(&[2]);
    ship(&owned, &database).await.unwrap();
    let (next, _, _) = world.open("main").await;
    assert_eq!(world.content(&next).await, world.state(commit));
}

#[tokio::test]
async fn what_is_committed_during_a_publish_is_durable_when_head_names_its_stream() {
    let world = world().await;
    let (owned, database) = world.writer().await;
    database.commit(&[2]);
    ship(&owned, &database).await.unwrap();
    database.commit(&[1]);
    owned.publish(&database).await.unwrap();
    let later = database.commit(&[2]);
    let before = owned.durable();
    assert!(before < database.committed().1);
    assert_eq!(ship(&owned, &database).await.unwrap(), database.committed().1);
    let (next, _, _) = world.open("main").await;
    assert_eq!(world.content(&next).await, world.state(later));
}

#[tokio::test]
async fn a_branch_and_a_snapshot_of_a_running_tenant_hold_what_is_durable_then() {
    let world = world().await;
    let (owned, database) = world.writer().await;
    let shipped = database.commit_with(&[2], &[3]);
    ship(&owned, &database).await.unwrap();
    database.commit(&[1]);
    let main = BranchName::main();
    let source = BranchSource::Branch(main.clone());
    world.tenant.create_branch(&branch("dev"), branch_object("uid"), &source).await.unwrap();
    let entry = world.tenant.snapshot("s", "uid", &main, None).await.unwrap();
    assert!(entry.position.sequence == 1 && entry.last_commit.is_some());
    database.commit(&[2]);
    ship(&owned, &database).await.unwrap();
    owned.seal(&database).await.unwrap();

    let slots = world.slots();
    let (dev, after, wal) = world.open("dev").await;
    assert!(wal > 0);
    assert_eq!(world.slots(), slots, "the stream is not the branch's: it gets no seal");
    assert_eq!(world.content(&dev).await, world.state(shipped));
    assert!(dev.must_publish_first());
    let own = after.commit(&[1]);
    dev.seal(&after).await.unwrap();
    let (dev, _, wal) = world.open("dev").await;
    assert_eq!((world.content(&dev).await, wal), (world.state(own), 0));

    // Another tenant's copy shares nothing and opens at the same commit.
    let (store, root) = (world.memory.clone(), "prod/tenants/shop/acme/");
    let copy_path = roost_store::TenantPath::new("prod", "shop", "copy").unwrap();
    let copy = TenantStore::new(store.clone(), copy_path, owner(), environment(2).0);
    copy.source_copy("acme", &CopySource::Snapshot("s".into()), &Adoption::default(), &|_| {}).await.unwrap();
    for key in world.memory.contents().keys().filter(|key| key.starts_with(root)) {
        store.delete(key).await.unwrap();
    }
    let holder = Holder { name: "pod".into(), id: "pod".into() };
    let copied = copy.branch(&main).take_over(&holder, Takeover::OnlySealed).await.unwrap();
    assert_eq!(world.content(&copied).await, world.state(shipped));
}

/// As one that changes a column to an enum: it waits for a publish, and so does what comes after it.
#[tokio::test]
async fn a_commit_that_cannot_be_replayed_is_in_no_copy_before_its_publish() {
    let world = world().await;
    let (owned, database) = world.writer().await;
    let before = database.commit(&[2]);
    let held = database.commit_unproven(&[1]);
    let after = database.commit(&[2]);
    ship(&owned, &database).await.unwrap();
    let main = BranchName::main();
    let mut made = 0;
    for (published, expected_then) in [(false, before), (true, after)] {
        if published {
            owned.publish(&database).await.unwrap();
        }
        let moment = |commit| BranchSource::Moment(main.clone(), ModelDatabase::time_of(commit));
        for (source, expected) in [
            (BranchSource::Branch(main.clone()), expected_then),
            (moment(before), before),
            // A moment that is missing, also later.
            (moment(held), before),
            (moment(after), expected_then),
        ] {
            made += 1;
            let name = format!("b{made}");
            world.tenant.create_branch(&branch(&name), branch_object(&name), &source).await.unwrap();
            let (opened, _, _) = world.open(&name).await;
            assert_eq!(
                world.content(&opened).await,
                world.state(expected),
                "{source:?}, published: {published}"
            );
        }
        let entry = world.tenant.snapshot(&format!("s{made}"), "uid", &main, None).await.unwrap();
        assert_eq!(entry.last_commit, Some(ModelDatabase::time_of(expected_then)));
    }
}

/// Every moment of a history with publishes, takeovers and a branch gives exactly the last commit at or before it.
#[tokio::test]
async fn every_past_moment_can_be_branched() {
    let world = world().await;
    let mut commits = Vec::new();
    let (owned, database) = world.writer().await;
    for round in 0..4 {
        commits.push(database.commit(&[2]));
        commits.push(database.commit(&[1]));
        ship(&owned, &database).await.unwrap();
        commits.push(database.commit(&[2]));
        ship(&owned, &database).await.unwrap();
        if round % 2 == 0 {
            owned.publish(&database).await.unwrap();
        }
    }
    // A crash, and another life.
    let (owned, database, _) = world.open("main").await;
    owned.publish(&database).await.unwrap();
    commits.push(database.commit(&[1]));
    ship(&owned, &database).await.unwrap();

    let main = BranchName::main();
    let latest = world.tenant.position_at(&main, ModelDatabase::time_of(u64::MAX >> 20)).await.unwrap();
    assert_eq!(latest.last_commit, Some(ModelDatabase::time_of(*commits.last().unwrap())));
    for (number, commit) in commits.iter().enumerate() {
        let moment = BranchSource::Moment(main.clone(), ModelDatabase::time_of(*commit));
        let name = format!("at-{number}");
        world.tenant.create_branch(&branch(&name), branch_object(&name), &moment).await.unwrap();
        let (at, after, _) = world.open(&name).await;
        assert_eq!(world.content(&at).await, world.state(*commit), "moment of commit {commit}");
        // A branch's own past reaches back into its source's.
        after.commit(&[1]);
        at.publish(&after).await.unwrap();
        let early = world.tenant.position_at(&branch(&name), ModelDatabase::time_of(commits[0])).await;
        assert_eq!(early.unwrap().last_commit, Some(ModelDatabase::time_of(commits[0])));
    }
    // The same moments are snapshots and other tenants' beginnings.
    let (middle, none) = (commits[commits.len() / 2], Adoption::default());
    let time = ModelDatabase::time_of(middle);
    let entry = world.tenant.snapshot("then", "uid", &main, Some(time)).await.unwrap();
    assert_eq!(entry.last_commit, Some(time));
    for (name, what) in [("one", CopySource::Moment(time)), ("two", CopySource::Snapshot("then".into()))] {
        let path = roost_store::TenantPath::new("prod", "shop", name).unwrap();
        let copy = TenantStore::new(world.memory.clone(), path, owner(), environment(9).0);
        copy.source_copy("acme", &what, &none, &|_| {}).await.unwrap();
        let holder = Holder { name: "pod".into(), id: "pod".into() };
        let copied = copy.branch(&main).take_over(&holder, Takeover::OnlySealed).await.unwrap();
        assert_eq!(world.content(&copied).await, world.state(middle), "{what:?}");
        let nobody = copy.source_copy("nobody", &what, &none, &|_| {}).await;
        assert!(nobody.is_ok(), "it is made already");
    }
    let path = roost_store::TenantPath::new("prod", "shop", "three").unwrap();
    let lost = TenantStore::new(world.memory.clone(), path, owner(), environment(9).0);
    let nobody = lost.source_copy("nobody", &CopySource::Moment(time), &none, &|_| {}).await.unwrap_err();
    assert!(matches!(nobody, TenantError::SourceTenantNotFound(_)), "{nobody}");
    let before = world.tenant.position_at(&main, jiff::Timestamp::MIN).await.unwrap_err();
    assert!(matches!(before, TenantError::BeforeHistory { .. }), "{before}");
}

#[tokio::test]
async fn a_stream_with_a_gap_or_a_foreign_segment_is_refused_and_changes_nothing() {
    for damage in ["missing", "other number", "flipped"] {
        let world = world().await;
        let (owned, database) = world.writer().await;
        for _ in 0..3 {
            database.commit(&[2]);
            ship(&owned, &database).await.unwrap();
        }
        let (slots, contents) = (world.slots(), world.memory.contents());
        match damage {
            "missing" => world.memory.delete(&slots[1]).await.unwrap(),
            "other number" => world.memory.overwrite(&slots[1], contents[&slots[0]].clone()),
            _ => {
                let mut bytes = contents[&slots[1]].to_vec();
                bytes[60] ^= 1;
                world.memory.overwrite(&slots[1], bytes);
            }
        }
        let holder = Holder { name: "pod".into(), id: "pod".into() };
        let main = world.tenant.branch(&BranchName::main());
        let error = main.take_over(&holder, Takeover::PreviousGone).await.unwrap_err();
        assert!(
            matches!(error, TakeOverError::Read(ReadError::Mismatch { .. } | ReadError::Content { .. })),
            "{damage}: {error}"
        );
        assert!(error.to_string().contains(&slots[1]), "{damage}: {error}");
        let head = world.tenant.head(&BranchName::main()).await.unwrap();
        assert!(!head.sealed && head.stream.unwrap().epoch == 1, "the stream stays the branch's");
        assert!(world.slots().len() <= 3, "it was not sealed");
    }
}
