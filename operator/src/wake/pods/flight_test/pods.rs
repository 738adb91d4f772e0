//! Pods on their way up and down while a wake waits for them.

use std::time::Duration;

use roost_protocol::{problem::ErrorCode, wake::WakeRequest};
use tokio::time::Instant;

use super::world::{CHANGE, DEADLINE, FakePod, GRACE, fresh, request, serving, wake, waker, world};

#[tokio::test(start_paused = true)]
async fn a_pod_is_granted_at_the_change_that_gave_it_an_address() {
    let world = world(1, Some(FakePod { hydrate: Duration::ZERO, ..fresh(1) }));
    let begun = Instant::now();
    wake(&world).await.unwrap();
    let late = begun.elapsed().saturating_sub(fresh(1).address_after);
    assert!(late <= CHANGE + Duration::from_millis(25), "{late:?} after its address was known");
}

#[tokio::test(start_paused = true)]
async fn a_draining_pod_is_waited_for_and_followed_by_a_new_one() {
    let now = Instant::now();
    let draining = FakePod { drains: Some(now), ends: Some(now + Duration::from_secs(4)), ..serving(1) };
    let world = world(1, Some(draining));
    let route = wake(&world).await.unwrap();
    assert_eq!(route.pod_uid, "uid-101");
    assert!(now.elapsed() >= Duration::from_secs(4), "the new pod came before the old one had ended");
    assert_eq!(world.0.lock().unwrap().creates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_leaves_ends_the_wake_after_its_grace() {
    let stuck = FakePod { drains: Some(Instant::now()), ..serving(1) };
    let world = world(1, Some(stuck));
    let start = Instant::now();
    let problem = wake(&world).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::WakeTimeout);
    assert!(problem.detail.contains("rt-1"), "{problem}");
    assert!(start.elapsed() > GRACE && start.elapsed() < DEADLINE);
    assert_eq!(world.0.lock().unwrap().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_gets_an_address_ends_at_the_deadline() {
    let world = world(1, Some(FakePod { address_after: Duration::from_hours(1), ..fresh(1) }));
    let start = Instant::now();
    assert_eq!(wake(&world).await.unwrap_err().code, ErrorCode::WakeTimeout);
    assert!(start.elapsed() >= DEADLINE && start.elapsed() < DEADLINE + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_finished_pod_that_nobody_removes_is_removed() {
    let world = world(1, Some(FakePod { ends: Some(Instant::now()), ..serving(1) }));
    assert_eq!(wake(&world).await.unwrap().pod_uid, "uid-101");
    assert_eq!(world.0.lock().unwrap().slots_taken, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_start_is_told_and_left_to_those_who_may_mend_it() {
    let stuck = FakePod { obstacle: Some("ErrImagePull: no such image"), ..fresh(1) };
    let world = world(1, Some(stuck));
    let problem = wake(&world).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::WakeTimeout);
    assert!(problem.detail.contains("no such image"), "{problem}");
    let impatient = WakeRequest { patience: Duration::from_secs(1), ..request() };
    let problem = waker(&world).wake(&impatient).await.unwrap_err();
    assert!(problem.detail.contains("no such image"), "{problem}");
    assert_eq!(world.0.lock().unwrap().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_start_gives_way_to_one_that_is_made_of_something_else() {
    let stuck = FakePod { obstacle: Some("ErrImagePull: no such image"), template: "yesterday", ..fresh(1) };
    let changed = world(1, Some(stuck.clone()));
    assert_eq!(wake(&changed).await.unwrap().pod_uid, "uid-101");
    // One that starts is not replaced: it is of another release, and serves as well.
    let starts = world(1, Some(FakePod { obstacle: None, ..stuck }));
    assert_eq!(wake(&starts).await.unwrap().pod_uid, "uid-1");
}
