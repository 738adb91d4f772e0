//! A Tenant made again over kept data gets it only if its source is what the data came from.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use roost_store::format::json;
use roost_store::format::tenant::{Stage, TenantRecord};
use roost_store::object::fault::{FaultStore, Faults, Stop};
use roost_store::{
    Adoption, BranchName, CopySource, Creation, DataSource, Initialized, ObjectStore, Owner, TenantError,
    TenantPath, TenantStore,
};
use support::owner;
use support::world::World;

const COPY: &str = "prod/tenants/shop/copy/tenant.json";

/// The prefix of a Tenant object with this name and uid.
fn tenant(world: &World, name: &str, uid: &str) -> TenantStore {
    let path = TenantPath::new("prod", "shop", name).unwrap();
    let owner = Owner { tenant_uid: uid.into(), ..owner() };
    TenantStore::new(world.memory.clone(), path, owner, world.environment.clone())
}

/// The Tenant `copy` as a process sees it whose bucket this is.
fn tenant_in(world: &World, store: Arc<dyn ObjectStore>, uid: &str) -> TenantStore {
    let path = TenantPath::new("prod", "shop", "copy").unwrap();
    let owner = Owner { tenant_uid: uid.into(), ..owner() };
    TenantStore::new(store, path, owner, world.environment.clone())
}

/// Removes all of `copy`.
async fn forget(world: &World) {
    for key in world.keys().into_iter().filter(|key| key.contains("/copy/")) {
        world.memory.delete(&key).await.unwrap();
    }
}

fn script(hash: Option<&str>) -> DataSource {
    DataSource::InitScript { hash: hash.map(str::to_owned) }
}

fn snapshot(name: &str) -> DataSource {
    DataSource::Snapshot { tenant: Some("acme".into()), name: name.into(), position: None }
}

/// Does what the operator does for a Tenant that asks for `source`.
async fn make(tenant: &TenantStore, source: &DataSource) -> Result<Initialized, TenantError> {
    let none = Adoption::default();
    match source {
        DataSource::Snapshot { tenant: from, name, .. } => {
            let what = CopySource::Snapshot(name.clone());
            tenant.source_copy(from.as_deref().unwrap(), &what, &none, &|_| {}).await
        }
        DataSource::Moment { tenant: from, time } => {
            tenant.source_copy(from, &CopySource::Moment(*time), &none, &|_| {}).await
        }
        source => tenant.initialize_from(source, Creation::NewTenant, &none).await,
    }
}

fn record(world: &World) -> TenantRecord {
    json::decode(&world.memory.contents()[COPY]).unwrap()
}

/// `acme` with the snapshots `one` and `two`, a Tenant `copy` made from `source`, and something published in it.
async fn kept(source: &DataSource) -> World {
    let world = World::new().await;
    world.write("main", 1).await;
    world.tenant().snapshot("one", "s1", &BranchName::main(), None).await.unwrap();
    world.write("main", 2).await;
    world.tenant().snapshot("two", "s2", &BranchName::main(), None).await.unwrap();
    let copy = tenant(&world, "copy", "first");
    make(&copy, source).await.unwrap();
    if let DataSource::InitScript { hash: Some(hash) } = source {
        copy.note_script(hash).await.unwrap();
    }
    world.write_in(&copy, "main", 3).await;
    world
}

#[tokio::test]
async fn only_the_same_source_finds_what_was_kept() {
    let sources = [
        DataSource::Empty,
        script(Some("aa")),
        script(Some("bb")),
        snapshot("one"),
        snapshot("two"),
        DataSource::Moment { tenant: "acme".into(), time: "2100-01-01T00:00:00Z".parse().unwrap() },
    ];
    for of in &sources {
        let world = kept(of).await;
        let before = world.memory.contents();
        for asked in sources.iter().filter(|asked| *asked != of) {
            let refused = make(&tenant(&world, "copy", "second"), asked).await.unwrap_err();
            assert!(matches!(refused, TenantError::SourceDiffers { .. }), "{of} as {asked}: {refused}");
            let told = refused.to_string();
            assert!(told.contains(&of.to_string()) && told.contains(&asked.to_string()), "{told}");
            assert_eq!(world.memory.contents(), before, "{of} as {asked}");
        }
        let found = make(&tenant(&world, "copy", "second"), of).await.unwrap();
        assert!(!found.created && found.head.state().is_some(), "{of}");
        assert_eq!(record(&world).owner.tenant_uid, "second");
    }
}

#[tokio::test]
async fn a_source_that_is_gone_is_not_needed_and_one_that_was_taken_anew_is_another() {
    let world = kept(&snapshot("one")).await;
    let unsure = DataSource::Snapshot { tenant: None, name: "one".into(), position: None };
    let other = DataSource::Snapshot { tenant: None, name: "two".into(), position: None };
    let none = Adoption::default();
    world.tenant().delete_snapshot("one", "s1").await.unwrap();
    let refused = tenant(&world, "copy", "second").reattach(&other, &none).await.unwrap_err();
    assert!(matches!(refused, TenantError::SourceDiffers { .. }), "{refused}");
    let found = tenant(&world, "copy", "second").reattach(&unsure, &none).await.unwrap();
    assert!(found.unwrap().head.state().is_some());
    assert!(tenant(&world, "nobody", "uid").reattach(&unsure, &none).await.unwrap().is_none());

    world.tenant().snapshot("one", "s3", &BranchName::main(), None).await.unwrap();
    for anew in [
        make(&tenant(&world, "copy", "third"), &snapshot("one")).await.map(drop),
        tenant(&world, "copy", "third").reattach(&unsure, &none).await.map(drop),
    ] {
        let refused = anew.unwrap_err();
        assert!(refused.to_string().contains("taken anew"), "{refused}");
    }
}

#[tokio::test]
async fn a_script_that_cannot_be_read_is_not_taken_for_the_one_that_ran() {
    let world = kept(&script(Some("aa"))).await;
    let unknown = make(&tenant(&world, "copy", "second"), &script(None)).await.unwrap_err();
    assert!(matches!(&unknown, TenantError::ScriptUnknown { hash, .. } if hash == "aa"), "{unknown}");
    tenant(&world, "copy", "first").note_script("bb").await.unwrap();
    assert_eq!(record(&world).source, Some(script(Some("aa"))), "what ran is not written down again");
    make(&tenant(&world, "copy", "second"), &script(Some("aa"))).await.unwrap();
}

#[tokio::test]
async fn before_anything_is_published_the_script_may_change() {
    let world = World::new().await;
    let attempts =
        [DataSource::Empty, script(Some("aa")), script(Some("bb")), script(None), DataSource::Empty];
    for (uid, asked) in attempts.iter().enumerate() {
        let copy = tenant(&world, "copy", &uid.to_string());
        make(&copy, asked).await.unwrap();
        assert_eq!(record(&world).source.as_ref(), Some(asked));
        if let DataSource::InitScript { hash: Some(hash) } = asked {
            copy.note_script(hash).await.unwrap();
        }
    }
    let refused = make(&tenant(&world, "copy", "last"), &snapshot("one")).await.unwrap_err();
    assert!(matches!(refused, TenantError::SourceDiffers { .. }), "{refused}");
}

#[tokio::test]
async fn what_was_never_published_is_told_from_what_was() {
    let world = World::new().await;
    let (tenant, main) = (world.tenant(), BranchName::main());
    let waits = tenant.check_published(&main).await.unwrap_err();
    assert!(matches!(waits, TenantError::NothingPublished(_)), "{waits}");
    world.write("main", 1).await;
    tenant.check_published(&main).await.unwrap();
}

#[tokio::test]
async fn what_an_interrupted_restore_left_is_no_data() {
    let world = kept(&DataSource::Empty).await;
    forget(&world).await;
    let mut ended = 0;
    for request in 0.. {
        let stop = Stop::Kill { request, after_effect: true };
        let store = Arc::new(FaultStore::new(world.memory.clone(), 1, Faults::default(), Some(stop)));
        let interrupted = tenant_in(&world, store.clone(), &format!("a{request}"));
        let begun = tokio::spawn(async move { make(&interrupted, &snapshot("one")).await.map(drop) });
        while !begun.is_finished() && !store.is_stopped() {
            tokio::task::yield_now().await;
        }
        let finished = begun.is_finished();
        begun.abort();
        let head = world.memory.contents().contains_key("prod/tenants/shop/copy/branches/main/HEAD");
        let next = tenant(&world, "copy", &format!("b{request}"));
        let answer = make(&next, &snapshot("two")).await;
        if head {
            // The restore came to its end: this is what it restored.
            assert!(matches!(answer, Err(TenantError::SourceDiffers { .. })), "{request}: {answer:?}");
            ended += 1;
        } else {
            answer.unwrap();
            let Some(DataSource::Snapshot { name, .. }) = record(&world).source else { panic!("{request}") };
            assert_eq!((name.as_str(), record(&world).restoring), ("two", None), "{request}");
        }
        assert!(matches!(record(&world).stage, Stage::Created | Stage::Creating));
        forget(&world).await;
        if finished {
            break;
        }
    }
    assert!(ended > 1, "the restore was interrupted after it ended");
}

#[tokio::test]
async fn what_no_release_wrote_down_is_believed_and_a_named_owner_is_enough() {
    for asked in [DataSource::Empty, script(None), snapshot("two")] {
        let world = kept(&snapshot("one")).await;
        let old = TenantRecord { source: None, ..record(&world) };
        world.memory.overwrite(COPY, json::encode(&old));
        make(&tenant(&world, "copy", "second"), &asked).await.unwrap();
        assert_eq!(record(&world).source, None, "nobody knows");
    }
    let world = kept(&snapshot("one")).await;
    let stranger = Owner { namespace_uid: "other".into(), ..owner() };
    let path = TenantPath::new("prod", "shop", "copy").unwrap();
    let moved = TenantStore::new(world.memory.clone(), path, stranger, world.environment.clone());
    let named = Adoption { from: Some(("cluster".into(), "namespace".into())), clusters: Vec::new() };
    let found = moved.initialize(Creation::NewTenant, &named).await.unwrap();
    assert!(found.adopted_from.is_some() && record(&world).source.is_some());
}
