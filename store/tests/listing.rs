//! A listing is complete, or an error: never shorter than what is there.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use roost_store::garbage::CollectError;
use roost_store::object::{Changed, Condition, ETag, Listing, Object};
use roost_store::{BranchName, MemoryStore, ObjectError, ObjectStore, ReadError, TenantError};
use support::listing_server::{Page, listing};
use support::world::{NOTHING_OF_THE_PAST, World, policy};

#[tokio::test]
async fn empty_pages_are_followed_to_what_they_hide() {
    let store = listing(|token| match token {
        None => Page::truncated(&[], "one"),
        Some("one") => Page::truncated(&[], "two"),
        Some("two") => Page::truncated(&["a/b", "a/c"], "three"),
        Some(token) => panic!("{token} was asked for"),
    });
    let page = store.list("a/", None, 2).await.unwrap();
    assert_eq!(page.objects.iter().map(|o| &*o.key).collect::<Vec<_>>(), ["a/b", "a/c"]);
    assert!(page.truncated);
    let nothing = listing(|token| match token {
        None => Page::truncated(&[], "one"),
        Some(_) => Page::last(&[]),
    });
    let page = nothing.list("a/", None, 2).await.unwrap();
    assert!(page.objects.is_empty() && !page.truncated);
}

#[tokio::test]
async fn pages_that_prove_nothing_are_refused() {
    let pages: [(&str, Page); 7] = [
        ("a token sent twice", Page::truncated(&[], "again")),
        ("no token", Page { truncated: Some(true), ..Page::default() }),
        ("nothing about what follows", Page { keys: vec!["a/b"], ..Page::default() }),
        ("an empty answer", Page::default()),
        ("keys out of order", Page::last(&["a/c", "a/b"])),
        ("a key before the one to begin after", Page::last(&["a/a"])),
        ("a key of another prefix", Page::last(&["b/b"])),
    ];
    for (what, page) in pages {
        let answer = listing(move |_| page.clone()).list("a/", Some("a/a"), 9).await;
        assert!(matches!(answer, Err(ObjectError::ListingIncomplete { .. })), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn empty_pages_without_end_are_given_up() {
    let pages = AtomicU64::new(0);
    let store = listing(move |_| Page::truncated(&[], &pages.fetch_add(1, Ordering::SeqCst).to_string()));
    let answer = store.list("a/", None, 9).await;
    assert!(matches!(answer, Err(ObjectError::ListingIncomplete { .. })), "{answer:?}");
}

/// A store whose listings of one prefix begin with an empty page, which nobody can go on from.
#[derive(Debug)]
struct Gap {
    memory: Arc<MemoryStore>,
    at: String,
}

#[async_trait::async_trait]
impl ObjectStore for Gap {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        self.memory.get(key, limit).await
    }
    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        self.memory.get_if_changed(key, etag, limit).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.memory.get_range(key, range).await
    }
    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put(key, bytes, condition).await
    }
    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        self.memory.put_file(key, path, condition).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        if prefix == self.at && after.is_none() {
            return Ok(Listing { objects: Vec::new(), truncated: true });
        }
        self.memory.list(prefix, after, limit).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.memory.delete(key).await
    }
}

const ROOT: &str = "prod/tenants/shop/acme/";

/// A tenant with a native snapshot of a state that only the snapshot keeps, and a branch.
async fn world() -> World {
    let world = World::new().await;
    world.write("main", 1).await;
    let tenant = world.tenant();
    tenant.snapshot("nightly", "s1", &BranchName::main(), None).await.unwrap();
    world.write("main", 2).await;
    world
}

#[tokio::test]
async fn a_collection_that_cannot_see_everything_deletes_nothing() {
    for below in ["pins/", "branches/", "catalogue/", "condemned/", ""] {
        let world = world().await;
        let before = world.memory.contents();
        let at = format!("{ROOT}{below}");
        let gap = world.tenant_in(Arc::new(Gap { memory: world.memory.clone(), at }));
        let answer = gap.collect(&policy(NOTHING_OF_THE_PAST), &world.known, &|_| {}).await;
        assert!(
            matches!(
                answer,
                Err(CollectError::Read(ReadError::Object(ObjectError::ListingIncomplete { .. })))
            ),
            "{below}: {answer:?}"
        );
        assert_eq!(world.memory.contents(), before, "{below}");
        world.collect(&policy(NOTHING_OF_THE_PAST)).await;
        assert!(world.walk().await.is_clean(), "{below}");
    }
}

#[tokio::test]
async fn a_deletion_that_cannot_see_everything_does_not_claim_to_be_done() {
    for below in ["branches/", ""] {
        let world = world().await;
        let at = format!("{ROOT}{below}");
        let gap = world.tenant_in(Arc::new(Gap { memory: world.memory.clone(), at }));
        let answer = gap.delete_all().await;
        assert!(
            matches!(
                answer,
                Err(TenantError::Read(ReadError::Object(ObjectError::ListingIncomplete { .. })))
            ),
            "{below}: {answer:?}"
        );
        assert!(world.keys().contains(&format!("{ROOT}tenant.json")), "who may go on must stay known");
        world.tenant().delete_all().await.unwrap();
        assert!(world.keys().is_empty(), "{below}: {:?}", world.keys());
    }
}
