//! Callers and replicas that wake the same branch.

use std::{sync::Arc, time::Duration};

use roost_protocol::{problem::ErrorCode, wake::WakeRequest};
use tokio::time::Instant;

use super::world::{FakePod, fresh, request, serving, wake, waker, world};

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_flight() {
    let world = world(1, None);
    let waker = waker(&world);
    let callers = (0..200).map(|_| {
        let waker = Arc::clone(&waker);
        async move { waker.wake(&request()).await }
    });
    let routes = futures::future::join_all(callers).await;
    assert!(routes.iter().all(|route| route.as_ref().is_ok_and(|route| route.pod_uid == "uid-101")));
    let state = world.0.lock().unwrap();
    assert_eq!((state.creates, state.grants, state.slots_taken), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_serving_pod_is_named_without_a_grant() {
    let world = world(1, Some(serving(7)));
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-7");
    let state = world.0.lock().unwrap();
    assert_eq!((state.creates, state.grants), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn another_replica_was_first() {
    let world = world(2, None);
    // It created the pod and granted it; ours waits until it serves and keeps no slot.
    let rival = FakePod { granted: Some(Instant::now()), hydrate: Duration::from_secs(3), ..fresh(9) };
    world.0.lock().unwrap().rival = Some(rival);
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-9");
    let state = world.0.lock().unwrap();
    assert_eq!((state.creates, state.grants, state.slots_taken), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_creator_died_before_the_grant_is_granted() {
    let world = world(1, Some(FakePod { granted: None, ..serving(4) }));
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-4");
    assert_eq!(world.0.lock().unwrap().grants, 1);
}

#[tokio::test(start_paused = true)]
async fn already_granted_by_another_replica_is_waited_for() {
    let world = world(1, Some(FakePod { granted: None, ..serving(5) }));
    world.0.lock().unwrap().pod.as_mut().unwrap().grant_problem = Some(ErrorCode::AlreadyGranted);
    let (other, started) = (world.clone(), Instant::now());
    let rival = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        other.0.lock().unwrap().pod.as_mut().unwrap().granted = Some(Instant::now());
    });
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-5");
    rival.await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn patience_ends_before_the_flight_and_the_next_caller_joins_it() {
    let world = world(1, None);
    let waker = waker(&world);
    let impatient = WakeRequest { patience: Duration::from_millis(100), ..request() };
    assert_eq!(waker.wake(&impatient).await.unwrap_err().code, ErrorCode::WakeTimeout);
    assert_eq!(waker.wake(&request()).await.unwrap().pod_uid, "uid-101");
    assert_eq!(world.0.lock().unwrap().creates, 1);
}

#[tokio::test(start_paused = true)]
async fn only_if_running_starts_nothing() {
    let asleep = world(1, None);
    let looking = WakeRequest { only_if_running: true, ..request() };
    assert_eq!(waker(&asleep).wake(&looking).await.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(asleep.0.lock().unwrap().creates, 0);
    let awake = world(1, Some(serving(3)));
    assert_eq!(waker(&awake).wake(&looking).await.unwrap().pod_uid, "uid-3");
}
