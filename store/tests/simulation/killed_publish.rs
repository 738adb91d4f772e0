//! Death at every request of one publish.

use std::sync::{Arc, Mutex};

use roost_store::object::fault::{FaultStore, Faults, Stop};
use roost_store::{Adoption, BranchName, Creation, Holder, MemoryStore, Takeover, TenantStore};

use crate::support::whole_file::whole;
use crate::support::{Content, Ledger, ModelDatabase, environment, owner, path};

/// Every request of one publish is a place to die at, before and after it took effect: the branch opens at exactly
/// the state that HEAD names then, the old or the new.
#[test]
fn a_publish_killed_at_every_await_leaves_old_or_new() {
    let (mut old, mut new) = (0, 0);
    for request in 0.. {
        let mut reached = false;
        for after_effect in [false, true] {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (stopped, kept) = runtime.block_on(killed_publish(request, after_effect));
            reached |= stopped;
            *(if kept { &mut new } else { &mut old }) += 1;
        }
        if !reached {
            assert!(old >= 8 && new >= 2, "{old} {new}");
            return;
        }
    }
}

async fn killed_publish(request: u64, after_effect: bool) -> (bool, bool) {
    let (environment, _) = environment(1);
    let memory = Arc::new(MemoryStore::new());
    let disk = tempfile::tempdir().unwrap();
    let healthy = TenantStore::new(memory.clone(), path(), owner(), environment.clone());
    healthy.initialize(Creation::NewTenant, &Adoption::default()).await.unwrap();
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let holder = Holder { name: "pod".into(), id: "pod".into() };
    let main = healthy.branch(&BranchName::main());
    let first = main.take_over(&holder, Takeover::OnlySealed).await.unwrap();
    let database = ModelDatabase::open(ledger.clone(), None, 0);
    let before = database.commit(&[1, 2]);
    first.seal(&database).await.unwrap();

    let stop = Some(Stop::Kill { request, after_effect });
    let unlucky = Arc::new(FaultStore::new(memory.clone(), 1, Faults::default(), stop));
    let tenant = TenantStore::new(unlucky.clone(), path(), owner(), environment);
    let victim = tokio::spawn({
        let (ledger, file) = (ledger.clone(), disk.path().join("victim"));
        async move {
            let main = tenant.branch(&BranchName::main());
            let owned = main.take_over(&holder, Takeover::OnlySealed).await.unwrap();
            whole(&owned, &file).await.unwrap();
            let database = ModelDatabase::open(ledger, Some(&file), owned.head().number());
            database.commit(&[2]);
            owned.publish(&database).await.unwrap();
        }
    });
    while !victim.is_finished() && !unlucky.is_stopped() {
        tokio::task::yield_now().await;
    }
    let stopped = unlucky.is_stopped();
    victim.abort();
    let holder = Holder { name: "next".into(), id: "next".into() };
    let owned = main.take_over(&holder, Takeover::PreviousGone).await.unwrap();
    let file = disk.path().join("next");
    whole(&owned, &file).await.unwrap();
    let content = Content::read(&file);
    assert_eq!(content, ledger.lock().unwrap().states[&content.commit()].0);
    (stopped, content.commit() != before)
}
