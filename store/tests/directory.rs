//! The store over a local directory: the same conditions as a bucket, across threads and processes.
#![allow(clippy::disallowed_methods, reason = "tests have real time and real threads")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use roost_store::object::{Changed, Condition, ETag};
use roost_store::{DirectoryStore, Environment, ObjectError, ObjectStore, probe};

const ROUNDS: u64 = 150;
const RACER: &str = "ROOST_RACE_IN";

fn put(bytes: &str) -> Bytes {
    Bytes::copy_from_slice(bytes.as_bytes())
}

#[tokio::test]
async fn it_behaves_as_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(folder.path()).unwrap();
    probe(&store, "prod", &Environment::system()).await.unwrap();
    let etag = store.put("a/b/c", put("one"), Condition::IfAbsent).await.unwrap();
    let again = store.put("a/b/c", put("two"), Condition::IfAbsent).await;
    assert!(matches!(again, Err(ObjectError::PreconditionFailed { .. })));
    let newer = store.put("a/b/c", put("two"), Condition::IfMatch(etag.clone())).await.unwrap();
    assert!(store.put("a/b/c", put("three"), Condition::IfMatch(etag.clone())).await.is_err());
    assert!(store.put("a/x", put(""), Condition::IfMatch(ETag("x".into()))).await.is_err());
    assert!(matches!(store.get_if_changed("a/b/c", &newer, 9).await.unwrap(), Changed::Same));
    assert!(matches!(store.get_if_changed("a/b/c", &etag, 9).await.unwrap(), Changed::Changed(_)));
    assert!(matches!(store.get("a/b/c", 2).await, Err(ObjectError::TooLarge { .. })));
    assert!(matches!(
        store.get("a/b", 2).await,
        Err(ObjectError::Rejected { .. } | ObjectError::NotFound { .. })
    ));
    assert_eq!(store.get_range("a/b/c", 1..3).await.unwrap(), "wo");
    assert!(matches!(store.get_range("a/b/c", 1..4).await, Err(ObjectError::TooShort { .. })));
    let file = folder.path().join("file");
    std::fs::write(&file, "from a file").unwrap();
    store.put_file("a.b", &file, Condition::IfAbsent).await.unwrap();
    store.put("a/b/d", put("x"), Condition::Always).await.unwrap();
    let keys = |listing: roost_store::object::Listing| {
        listing.objects.into_iter().map(|listed| listed.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(store.list("", None, 9).await.unwrap()), ["a.b", "a/b/c", "a/b/d"]);
    assert_eq!(keys(store.list("a/b", None, 1).await.unwrap()), ["a/b/c"]);
    assert_eq!(keys(store.list("a/b/", Some("a/b/c"), 9).await.unwrap()), ["a/b/d"]);
    for key in ["../x", "a//b", "/a", "a/", "", "a b", "a/../b", "a\0"] {
        assert!(
            matches!(store.put(key, put("x"), Condition::Always).await, Err(ObjectError::InvalidKey { .. })),
            "{key:?}"
        );
    }
    for key in ["a/b/c", "a/b/d", "a.b", "a/b/c"] {
        store.delete(key).await.unwrap();
    }
    assert!(store.list("", None, 9).await.unwrap().objects.is_empty());
    assert_eq!(DirectoryStore::open(folder.path()).unwrap().id(), store.id());
}

/// Adds one to a counter, `ROUNDS` times, by compare-and-swap.
async fn race(store: &dyn ObjectStore) {
    let mut done = 0;
    while done < ROUNDS {
        let object = store.get("counter", 100).await.unwrap();
        let next = std::str::from_utf8(&object.bytes).unwrap().parse::<u64>().unwrap() + 1;
        match store.put("counter", put(&next.to_string()), Condition::IfMatch(object.etag)).await {
            Ok(_) => done += 1,
            Err(ObjectError::PreconditionFailed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Two processes swap one object: no swap is lost. The second process is this test binary itself.
#[tokio::test]
async fn no_swap_is_lost_between_processes() {
    if let Some(folder) = std::env::var_os(RACER) {
        return race(&DirectoryStore::open(folder).unwrap()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(DirectoryStore::open(folder.path()).unwrap());
    store.put("counter", put("0"), Condition::IfAbsent).await.unwrap();
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "no_swap_is_lost_between_processes"])
        .env(RACER, folder.path())
        .spawn()
        .unwrap();
    race(&*store).await;
    let status = tokio::task::spawn_blocking(move || other.wait()).await.unwrap().unwrap();
    assert!(status.success());
    assert_eq!(store.get("counter", 100).await.unwrap().bytes, (2 * ROUNDS).to_string());
}
