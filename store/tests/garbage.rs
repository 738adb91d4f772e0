//! Garbage collection: what it deletes, what it never does, and that it may die and race anywhere.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use roost_store::garbage::{CollectError, Collected, Policy};
use roost_store::object::fault::{FaultStore, Faults, Stop};
use roost_store::reachability::KnownManifests;
use roost_store::{
    BranchName, BranchSource, DatedPosition, Holder, ObjectStore, Owner, ShipError, Takeover, TenantError,
    TenantStore,
};
use support::whole_file::whole;
use support::world::{NOTHING_OF_THE_PAST, World, policy, ship};
use support::{Content, ModelDatabase, branch_object, owner, path};

#[tokio::test]
async fn the_past_beyond_the_window_goes_and_its_space_with_it() {
    let world = World::new().await;
    for chunk in 0..3 {
        world.write("main", chunk).await;
    }
    let before = world.keys();
    let kept = world.collect(&policy(SignedDuration::from_hours(1))).await;
    assert_eq!((kept.deleted.count, world.keys()), (0, before.clone()), "all of it is within the window");

    let looked = world.collect(&Policy { dry_run: true, ..policy(NOTHING_OF_THE_PAST) }).await;
    assert_eq!(world.keys(), before, "a dry run deletes nothing");
    let mut last = 0;
    let told = Mutex::new(&mut last);
    let freed = world
        .tenant()
        .collect(&policy(NOTHING_OF_THE_PAST), &world.known, &|progress| {
            **told.lock().unwrap() = progress.done;
        })
        .await
        .unwrap();
    assert_eq!((freed.deleted, &freed.keys), (looked.deleted, &looked.keys), "it said what it would do");
    assert_eq!(last, freed.deleted.count, "progress ends with all of them");
    assert_eq!((world.count("/manifests/"), world.count("/wal/"), world.count("/condemned/")), (1, 0, 0));
    assert_eq!(world.keys().len() as u64 + freed.deleted.count, before.len() as u64);
    assert!(freed.recoverable_from["main"] > kept.recoverable_from["main"]);

    let left = world.walk().await;
    assert!(left.is_clean() && left.leftovers.is_empty(), "{left:?}");
    let (owned, _) = world.open("main").await;
    let file = world.disk.path().join("again");
    whole(&owned, &file).await.unwrap();
    Content::read(&file);
    assert_eq!(world.collect(&policy(NOTHING_OF_THE_PAST)).await.deleted.count, 0);
}

#[tokio::test]
async fn any_moment_within_the_window_stays_readable() {
    let world = World::new().await;
    for chunk in 0..4 {
        world.write("main", chunk).await;
    }
    let main = BranchName::main();
    let now = world.environment.clock.now();
    let commits: Vec<u64> = world.ledger.lock().unwrap().states.keys().copied().collect();
    let middle = ModelDatabase::time_of(commits[commits.len() / 2]);
    let window = now.duration_since(middle);
    let collected = world.collect(&policy(window)).await;
    assert!(collected.deleted.count > 0, "{collected:?}");
    for commit in commits {
        let time = ModelDatabase::time_of(commit);
        let found = world.tenant().position_at(&main, time).await;
        if time >= collected.recoverable_from["main"] {
            let name = BranchName::new(format!("at-{commit}")).unwrap();
            let source = BranchSource::Moment(main.clone(), time);
            world.tenant().create_branch(&name, branch_object(name.as_str()), &source).await.unwrap();
            let (owned, _) = world.open(name.as_str()).await;
            let file = world.disk.path().join(name.as_str());
            whole(&owned, &file).await.unwrap();
            assert_eq!(Content::read(&file), world.ledger.lock().unwrap().states[&commit].0);
        } else {
            assert!(matches!(found, Err(TenantError::SourceExpired(_) | TenantError::BeforeHistory { .. })));
        }
    }
}

#[tokio::test]
async fn what_snapshots_and_branches_keep_stays_until_they_go() {
    let world = World::new().await;
    world.write("main", 1).await;
    let tenant = world.tenant();
    tenant.snapshot("nightly", "s1", &BranchName::main(), None).await.unwrap();
    let dev = BranchName::new("dev").unwrap();
    tenant.create_branch(&dev, branch_object("b1"), &BranchSource::Branch(BranchName::main())).await.unwrap();
    world.write("dev", 2).await;
    world.write("main", 3).await;
    for gone in ["nothing", "snapshot", "branch"] {
        match gone {
            "snapshot" => tenant.delete_snapshot("nightly", "s1").await.unwrap(),
            "branch" => tenant.delete_branch(&dev, "b1").await.unwrap(),
            _ => {}
        }
        let deleted = world.collect(&policy(NOTHING_OF_THE_PAST)).await.deleted;
        // The branch still needs what the snapshot kept.
        assert_eq!(deleted.count > 0, gone != "snapshot", "{gone}");
        let walked = world.walk().await;
        assert!(walked.is_clean() && walked.leftovers.is_empty(), "{gone}: {walked:?}");
    }
    assert_eq!(world.count("dev"), 1, "its HEAD alone: {:?}", world.keys());
}

/// Pinning a position looks only for its manifest: a stream stays whole as long as that does, whatever else keeps it.
#[tokio::test]
async fn a_stream_stays_whole_while_its_manifest_does() {
    let world = World::new().await;
    let (owned, database) = world.open("main").await;
    database.commit(&[1, 2]);
    owned.publish(&database).await.unwrap();
    world.tenant().snapshot("base", "s1", &BranchName::main(), None).await.unwrap();
    database.commit(&[1]);
    ship(&owned, &database).await.unwrap();
    // Somebody chose this position, and comes to pin it only after it has left the window.
    let moment = world.environment.clock.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    let chosen = world.tenant().position_at(&BranchName::main(), moment).await.unwrap();
    assert_eq!(chosen.position.sequence, 1);
    database.commit(&[2]);
    owned.seal(&database).await.unwrap();
    world.collect(&policy(NOTHING_OF_THE_PAST)).await;
    let dev = BranchName::new("dev").unwrap();
    world.tenant().create_branch(&dev, branch_object("b"), &BranchSource::Position(chosen)).await.unwrap();
    world.open("dev").await;
    let walked = world.walk().await;
    assert!(walked.is_clean(), "{walked:?}");
}

/// A publisher that was frozen for long may still resume and win: nothing of its attempt is garbage before another owner
/// took over.
#[tokio::test]
async fn a_slow_publish_loses_nothing_to_a_collection() {
    for request in 0.. {
        let world = World::new().await;
        world.write("main", 1).await;
        let (ledger, file) = (world.ledger.clone(), world.disk.path().join("slow"));
        let stop = Stop::Freeze { request, after_effect: true };
        let publish = async move |tenant: TenantStore| {
            let holder = Holder { name: "slow".into(), id: "slow".into() };
            let branch = tenant.branch(&BranchName::main());
            let owned = branch.take_over(&holder, Takeover::PreviousGone).await.unwrap();
            whole(&owned, &file).await.unwrap();
            let database = ModelDatabase::open(ledger, Some(&file), owned.head().number());
            let free = database.free();
            database.commit_with(&[1], &(free..free + 6).collect::<Vec<_>>());
            ship(&owned, &database).await.unwrap();
            owned.publish(&database).await.unwrap();
        };
        let (slow, publishing) = world.begin(stop, publish).await;
        let frozen = slow.is_stopped();
        world.environment.clock.sleep(Duration::from_hours(24)).await;
        world.collect(&policy(NOTHING_OF_THE_PAST)).await;
        slow.thaw();
        publishing.await.unwrap();
        let walked = world.walk().await;
        assert!(walked.is_clean(), "{request}: {walked:?}");
        if !frozen {
            return;
        }
    }
}

/// The bucket refuses the frozen owner's segment for ever, however much was collected meanwhile.
#[tokio::test]
async fn a_zombie_is_fenced_even_after_collections() {
    let world = World::new().await;
    world.write("main", 1).await;
    let (zombie, database) = world.open("main").await;
    database.commit(&[1]);
    ship(&zombie, &database).await.unwrap();
    for _ in 0..3 {
        world.write("main", 2).await;
        world.environment.clock.sleep(Duration::from_hours(24)).await;
        world.collect(&policy(NOTHING_OF_THE_PAST)).await;
    }
    assert_eq!(world.count("/wal/"), 2, "the seal and the segment before it stay: {:?}", world.keys());
    database.commit(&[2]);
    assert!(matches!(ship(&zombie, &database).await, Err(ShipError::Fenced { .. })));
    world.write("main", 3).await;
    let walked = world.walk().await;
    assert!(walked.is_clean(), "{walked:?}");
}

/// Keeps nothing of the past.
async fn collect(tenant: TenantStore) -> Result<Collected, CollectError> {
    tenant.collect(&policy(NOTHING_OF_THE_PAST), &KnownManifests::default(), &|_| {}).await
}

/// A tenant with something to collect, and a position that goes with it.
async fn with_past() -> (World, DatedPosition) {
    let world = World::new().await;
    world.write("main", 1).await;
    let now = world.environment.clock.now();
    let old = world.tenant().position_at(&BranchName::main(), now).await.unwrap();
    world.write("main", 2).await;
    (world, old)
}

/// A run that dies at any request leaves a bucket that is whole; the next one finishes and leaves no list behind.
#[tokio::test]
async fn a_collection_may_die_anywhere() {
    for request in 0.. {
        let mut reached = false;
        for after_effect in [false, true] {
            let world = World::new().await;
            for chunk in 0..2 {
                world.write("main", chunk).await;
            }
            let stop = Stop::Kill { request, after_effect };
            let (unlucky, victim) = world.begin(stop, collect).await;
            victim.abort();
            reached |= unlucky.is_stopped();
            let walked = world.walk().await;
            assert!(walked.is_clean(), "{request}: {walked:?}");
            world.collect(&policy(NOTHING_OF_THE_PAST)).await;
            assert_eq!((world.count("/manifests/"), world.count("/condemned/")), (1, 0), "{request}");
        }
        if !reached {
            assert!(request > 10, "{request}");
            return;
        }
    }
}

/// A pin that comes while a collection is under way is kept, or refused: never a promise of what is gone.
#[tokio::test]
async fn a_pin_beside_a_collection_is_kept_or_refused() {
    let (mut kept, mut refused) = (0, 0);
    for request in 0.. {
        let (world, old) = with_past().await;
        let (slow, run) = world.begin(Stop::Freeze { request, after_effect: false }, collect).await;
        let frozen = slow.is_stopped();
        let dev = BranchName::new("dev").unwrap();
        let created =
            world.tenant().create_branch(&dev, branch_object("b"), &BranchSource::Position(old)).await;
        slow.thaw();
        run.await.unwrap().unwrap();
        let walked = world.walk().await;
        assert!(walked.is_clean(), "{request}: {walked:?}");
        match created {
            Ok(_) => {
                kept += 1;
                world.open("dev").await;
            }
            Err(TenantError::SourceExpired(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        if !frozen {
            assert!(kept > 3 && refused > 3, "{kept} {refused}");
            return;
        }
    }
}

/// A process that pins what a collection is about to delete finds out, and takes the pin back. If it dies before that,
/// its pin names what is gone, and was never a promise.
#[tokio::test]
async fn a_pin_whose_maker_died_stops_no_collection() {
    let mut dangling = 0;
    for (request, death) in (0..40).flat_map(|request| (0..10).map(move |death| (request, death))) {
        let (world, old) = with_past().await;
        let (slow, run) = world.begin(Stop::Freeze { request, after_effect: false }, collect).await;
        let make = async move |tenant: TenantStore| {
            let dev = BranchName::new("dev").unwrap();
            tenant.create_branch(&dev, branch_object("b"), &BranchSource::Position(old)).await
        };
        let (_, making) = world.begin(Stop::Kill { request: death, after_effect: true }, make).await;
        making.abort();
        slow.thaw();
        run.await.unwrap().unwrap();
        dangling += u32::from(world.count("/manifests/") == 1 && world.count("/pins/") == 1);
        world.collect(&policy(NOTHING_OF_THE_PAST)).await;
        let walked = world.walk().await;
        assert!(walked.is_clean(), "{request} {death}: {walked:?}");
    }
    assert!(dangling > 0, "no pin was left");
}

#[tokio::test]
async fn next_to_damage_nothing_is_deleted() {
    for part in ["/packs/", "/pages/", "/HEAD", "/pins/"] {
        let world = World::new().await;
        world.write("main", 1).await;
        world.tenant().snapshot("nightly", "s1", &BranchName::main(), None).await.unwrap();
        world.write("main", 2).await;
        let needed = world.collect(&Policy { dry_run: true, ..policy(NOTHING_OF_THE_PAST) }).await.keys;
        let key = world
            .keys()
            .into_iter()
            .find(|key| key.contains(part) && !needed.iter().any(|name| key.ends_with(name.as_str())));
        let key = key.unwrap();
        if part == "/packs/" {
            world.memory.delete(&key).await.unwrap();
        } else {
            world.memory.overwrite(&key, b"{}".to_vec());
        }
        let before = world.keys();
        let refused =
            world.tenant().collect(&policy(NOTHING_OF_THE_PAST), &KnownManifests::default(), &|_| {}).await;
        assert!(matches!(refused, Err(CollectError::Damaged { .. })), "{part}: {refused:?}");
        assert!(refused.unwrap_err().to_string().contains(&key), "it names what is wrong");
        assert_eq!(world.keys(), before, "{part}");
    }
}

/// The needs of a state that cannot be read are not known: they may be anything.
#[tokio::test]
async fn next_to_a_damaged_past_nothing_is_deleted() {
    let world = World::new().await;
    for chunk in 0..2 {
        world.write("main", chunk).await;
    }
    let mut past: Vec<_> = world.keys().into_iter().filter(|key| key.contains("/manifests/")).collect();
    past.pop();
    assert!(past.len() > 1);
    for key in past {
        let whole = world.memory.contents()[&key].clone();
        world.memory.overwrite(&key, b"{}".to_vec());
        let before = world.keys();
        let all = policy(SignedDuration::from_hours(1));
        let refused = world.tenant().collect(&all, &KnownManifests::default(), &|_| {}).await;
        assert!(matches!(refused, Err(CollectError::Damaged { .. })), "{key}: {refused:?}");
        assert!(refused.unwrap_err().to_string().contains(&key), "it names what is wrong");
        assert_eq!(world.keys(), before, "{key}");
        world.memory.overwrite(&key, whole);
    }
}

/// A run reads what is new since the one before, and only looks for the rest: a week's past costs what a day's does.
#[tokio::test]
async fn a_long_past_is_read_once() {
    let asks = async |publishes: u64| {
        let world = World::new().await;
        for chunk in 0..publishes {
            world.write("main", chunk % 4).await;
        }
        let all = policy(SignedDuration::from_hours(1));
        let mut runs = Vec::new();
        for _ in 0..2 {
            let store = Arc::new(FaultStore::new(world.memory.clone(), 1, Faults::default(), None));
            world.tenant_in(store.clone()).collect(&all, &world.known, &|_| {}).await.unwrap();
            runs.push(store.requests());
        }
        (runs[0], runs[1])
    };
    let (short, long) = (asks(3).await, asks(12).await);
    assert_eq!(short.1, long.1, "{short:?} {long:?}");
    assert!(long.0 > long.1, "{long:?}");
}

#[tokio::test]
async fn only_the_owner_collects() {
    let world = World::new().await;
    world.write("main", 1).await;
    let before = world.keys();
    let other = Owner { tenant_uid: "another".into(), ..owner() };
    let stranger = TenantStore::new(world.memory.clone(), path(), other, world.environment.clone());
    let refused = stranger.collect(&policy(NOTHING_OF_THE_PAST), &KnownManifests::default(), &|_| {}).await;
    assert!(matches!(refused, Err(CollectError::Tenant(TenantError::OwnedElsewhere { .. }))), "{refused:?}");
    assert_eq!(world.keys(), before);
}
