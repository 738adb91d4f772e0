//! Wakes that end in a problem, and what is remembered of it.

use std::time::Duration;

use roost_protocol::problem::ErrorCode;
use tokio::time::Instant;

use super::world::{FakePod, request, serving, wake, waker, world};

#[tokio::test(start_paused = true)]
async fn a_failed_init_script_is_remembered_for_a_moment() {
    let world = world(1, Some(FakePod { granted: None, ..serving(1) }));
    world.0.lock().unwrap().pod.as_mut().unwrap().grant_problem = Some(ErrorCode::InitScriptFailed);
    let waker = waker(&world);
    assert_eq!(waker.wake(&request()).await.unwrap_err().code, ErrorCode::InitScriptFailed);
    let again = waker.wake(&request()).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::InitScriptFailed);
    assert!(again.particulars().retry_after.is_some());
    assert_eq!(world.0.lock().unwrap().grants, 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_wake_starts_nothing() {
    for code in [ErrorCode::Suspended, ErrorCode::NotFound, ErrorCode::TenantNotReady] {
        let world = world(1, None);
        world.0.lock().unwrap().refusal = Some(code);
        assert_eq!(wake(&world).await.unwrap_err().code, code);
        assert_eq!(world.0.lock().unwrap().creates, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_while_it_wakes_is_not_started_again() {
    let world = world(1, None);
    let deleter = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let mut state = deleter.0.lock().unwrap();
        state.pod = None;
        state.refusal = Some(ErrorCode::NotFound);
    });
    let start = Instant::now();
    assert_eq!(wake(&world).await.unwrap_err().code, ErrorCode::NotFound);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(world.0.lock().unwrap().creates, 1);
}

#[tokio::test(start_paused = true)]
async fn pods_that_end_before_they_serve_are_not_created_for_ever() {
    let world = world(1, None);
    let killer = world.clone();
    let killer = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            killer.0.lock().unwrap().pod = None;
            killer.0.lock().unwrap().slots_taken = 0;
        }
    });
    let problem = wake(&world).await.unwrap_err();
    killer.abort();
    assert_eq!(problem.code, ErrorCode::EngineFailed);
    assert_eq!(world.0.lock().unwrap().creates, 2);
}

#[tokio::test(start_paused = true)]
async fn a_wal_that_no_pod_can_replay_costs_one_pod_a_wake_and_wakes_are_backed_off() {
    let world = world(1, None);
    world.0.lock().unwrap().unreplayable = true;
    let waker = waker(&world);
    for pods in 1..=8 {
        assert_eq!(waker.wake(&request()).await.unwrap_err().code, ErrorCode::ReplayFailed);
        let refused = waker.wake(&request()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::ReplayFailed);
        assert_eq!(world.0.lock().unwrap().creates, pods);
        tokio::time::advance(Duration::from_secs(refused.particulars().retry_after.unwrap().into())).await;
    }
    // A newer engine.
    world.0.lock().unwrap().unreplayable = false;
    tokio::time::advance(Duration::from_mins(1)).await;
    assert!(waker.wake(&request()).await.is_ok());
    assert_eq!(world.0.lock().unwrap().told, None);
}
