//! Long streams that are over become one object each, and read as they did before.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use jiff::SignedDuration;
use roost_store::format::segment::{self, Seal, Slot};
use roost_store::garbage::{CollectError, MERGE_ABOVE};
use roost_store::object::fault::Stop;
use roost_store::reachability::KnownManifests;
use roost_store::{BranchName, BranchSource, OwnedBranch, ShipError, TenantStore};
use support::whole_file::whole;
use support::world::{NOTHING_OF_THE_PAST, World, policy, ship};
use support::{Content, ModelDatabase, branch_object};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Commits so often, each in a segment of its own.
async fn write(owned: &OwnedBranch, database: &ModelDatabase, commits: u64) {
    for commit in 0..commits {
        database.commit(&[commit % 3]);
        ship(owned, database).await.unwrap();
    }
}

/// Three manifests: a long stream between the first two, a short one before the last.
async fn written() -> World {
    let world = World::new().await;
    let (owned, database) = world.open("main").await;
    database.commit(&[1, 2]);
    owned.publish(&database).await.unwrap();
    write(&owned, &database, MERGE_ABOVE + 3).await;
    owned.publish(&database).await.unwrap();
    write(&owned, &database, MERGE_ABOVE).await;
    owned.seal(&database).await.unwrap();
    world
}

/// Branches of main at each commit hold what it held then.
async fn check_moments(world: &World, when: &str) {
    let main = BranchName::main();
    let states = world.ledger.lock().unwrap().states.clone();
    for (commit, state) in states {
        let name = BranchName::new(format!("at-{commit}-{when}")).unwrap();
        let source = BranchSource::Moment(main.clone(), ModelDatabase::time_of(commit));
        world.tenant().create_branch(&name, branch_object(name.as_str()), &source).await.unwrap();
        let (owned, _) = world.open(name.as_str()).await;
        let file = world.disk.path().join(name.as_str());
        whole(&owned, &file).await.unwrap();
        assert_eq!(Content::read(&file), state.0, "{commit}");
        owned.relinquish().await.unwrap();
        world.tenant().delete_branch(&name, name.as_str()).await.unwrap();
    }
}

#[tokio::test]
async fn a_long_stream_that_is_over_becomes_one_object() {
    let world = written().await;
    let slots = world.count("/wal/");
    let first = world.collect(&policy(HOUR)).await;
    assert_eq!((first.merged, first.deleted.count, first.more), (1, 0, false), "{first:?}");
    assert_eq!((world.count("/merged/"), world.count("/wal/")), (1, slots), "both are there for a while");
    check_moments(&world, "before").await;
    let second = world.collect(&policy(HOUR)).await;
    assert_eq!((second.merged, second.more), (0, false), "{second:?}");
    assert_eq!(world.count("/wal/") as u64, MERGE_ABOVE, "the short stream stays as it is");
    check_moments(&world, "after").await;
    let walked = world.walk().await;
    assert!(walked.is_clean(), "{walked:?}");
    // With the past it goes as all of it does.
    world.collect(&policy(NOTHING_OF_THE_PAST)).await;
    assert_eq!((world.count("/merged/"), world.count("/wal/")), (0, 0), "{:?}", world.keys());
}

/// An owner that read the stream before it was merged may seal a number of it that is free now.
#[tokio::test]
async fn what_comes_late_into_a_merged_stream_changes_nothing() {
    let world = written().await;
    let first = world.keys().into_iter().find(|key| key.ends_with("/0000000001")).unwrap();
    let segment = world.memory.contents()[&first].to_vec();
    let seal = segment::encode(&Slot::Seal(Seal {
        put_id: "0".repeat(32).parse().unwrap(),
        branch: BranchName::main(),
        stream: first.rsplit('/').nth(1).unwrap().parse().unwrap(),
        sequence: 1,
        epoch: 9,
        last_commit: None,
    }));
    for _ in 0..2 {
        world.collect(&policy(HOUR)).await;
    }
    assert!(!world.keys().contains(&first));
    // A late repetition of what was there, or what is no segment of it.
    for (what, late) in [("segment", segment), ("seal", seal.unwrap())] {
        world.memory.overwrite(&first, late);
        check_moments(&world, what).await;
        world.collect(&policy(HOUR)).await;
        // Any seal may keep a late write out.
        assert_eq!(world.keys().contains(&first), what == "seal");
        let walked = world.walk().await;
        assert!(walked.is_clean(), "{walked:?}");
    }
}

#[tokio::test]
async fn a_damaged_merged_object_replaces_nothing() {
    let world = written().await;
    world.collect(&policy(HOUR)).await;
    let merged = world.keys().into_iter().find(|key| key.contains("/merged/")).unwrap();
    let mut bytes = world.memory.contents()[&merged].to_vec();
    bytes[100] ^= 1;
    world.memory.overwrite(&merged, bytes);
    let before = world.keys();
    let refused = world.tenant().collect(&policy(HOUR), &KnownManifests::default(), &|_| {}).await;
    assert!(matches!(refused, Err(CollectError::Damaged { .. })), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains(&merged));
    assert_eq!(world.keys(), before);
    let walked = world.walk_back().await;
    assert!(walked.findings.iter().any(|finding| finding.problem.contains(&merged)), "{walked:?}");
    check_moments(&world, "damaged").await;
}

/// Whoever took over an owner keeps it out for ever: the seal and the segment before it are not merged away.
#[tokio::test]
async fn a_zombie_stays_fenced_from_its_merged_stream() {
    let world = World::new().await;
    let (zombie, database) = world.open("main").await;
    database.commit(&[1]);
    zombie.publish(&database).await.unwrap();
    write(&zombie, &database, MERGE_ABOVE + 3).await;
    world.write("main", 2).await;
    for _ in 0..2 {
        world.collect(&policy(HOUR)).await;
    }
    assert_eq!(world.count("/merged/"), 1);
    database.commit(&[2]);
    assert!(matches!(ship(&zombie, &database).await, Err(ShipError::Fenced { .. })));
    let walked = world.walk().await;
    assert!(walked.is_clean(), "{walked:?}");
}

#[tokio::test]
async fn merging_may_die_anywhere() {
    for request in 0.. {
        let mut reached = false;
        for after_effect in [false, true] {
            let world = written().await;
            for _ in 0..2 {
                let stop = Stop::Kill { request, after_effect };
                let collect = async |tenant: TenantStore| {
                    tenant.collect(&policy(HOUR), &KnownManifests::default(), &|_| {}).await
                };
                let (unlucky, victim) = world.begin(stop, collect).await;
                victim.abort();
                reached |= unlucky.is_stopped();
                let walked = world.walk().await;
                assert!(walked.is_clean(), "{request}: {walked:?}");
            }
            while world.collect(&policy(HOUR)).await.merged > 0 {}
            world.collect(&policy(HOUR)).await;
            assert_eq!((world.count("/merged/"), world.count("/wal/") as u64), (1, MERGE_ABOVE), "{request}");
        }
        if !reached {
            assert!(request > 20, "{request}");
            return;
        }
    }
}
