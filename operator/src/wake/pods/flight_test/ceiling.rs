//! Wakes at a class's ceiling: they wait for a place, and idle tenants make room.

use std::time::Duration;

use roost_protocol::{problem::ErrorCode, wake::WakeRequest};
use tokio::time::Instant;

use super::world::{SEAL, full, request, wake, waker, world};

#[tokio::test(start_paused = true)]
async fn the_ceiling_holds_until_a_place_is_free() {
    let world = world(0, None);
    let (other, start) = (world.clone(), Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        other.0.lock().unwrap().ceiling = 1;
    });
    wake(&world).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn at_the_ceiling_the_deadline_says_so() {
    let world = world(0, None);
    let problem = waker(&world).wake(&request()).await.unwrap_err();
    assert!(matches!(problem.code, ErrorCode::CapacityReached | ErrorCode::WakeTimeout), "{problem}");
    assert!(problem.particulars().retry_after.is_some());
    assert_eq!(world.0.lock().unwrap().creates, 0);
}

#[tokio::test(start_paused = true)]
async fn at_the_ceiling_the_longest_idle_tenant_makes_room() {
    let world = full(&[("busy", 900, 1), ("recent", 30, 0), ("oldest", 600, 0)]).await;
    let start = Instant::now();
    wake(&world).await.unwrap();
    assert!(start.elapsed() >= SEAL, "the new pod came before the old one had sealed");
    let state = world.0.lock().unwrap();
    assert_eq!(
        (state.drained.as_slice(), state.slots_taken, state.told),
        (&["oldest".to_owned()][..], 3, None)
    );
}

#[tokio::test(start_paused = true)]
async fn several_wakes_make_room_one_after_another() {
    let world = full(&[("a", 100, 0), ("b", 200, 0), ("c", 300, 1)]).await;
    let waker = waker(&world);
    let key = |tenant: &str| WakeRequest { tenant: tenant.into(), ..request() };
    let (one, two) = (key("one"), key("two"));
    let watching = world.clone();
    let watcher = tokio::spawn(async move {
        loop {
            let leaving = watching.0.lock().unwrap().others.iter().filter(|o| o.leaves.is_some()).count();
            assert!(leaving <= 1, "two leave at once");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let (one, two) = tokio::join!(waker.wake(&one), waker.wake(&two));
    one.unwrap();
    two.unwrap();
    assert!(!watcher.is_finished(), "two left at once");
    watcher.abort();
    assert_eq!(world.0.lock().unwrap().drained, ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_works_or_was_active_a_moment_ago_makes_room() {
    let world = full(&[("busy", 900, 1), ("recent", 1, 0)]).await;
    let start = Instant::now();
    wake(&world).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(19), "it was idle for less than the class's least");
    assert_eq!(world.0.lock().unwrap().drained, ["recent"]);
}

#[tokio::test(start_paused = true)]
async fn status_tells_of_a_wake_that_waits_for_a_place_and_takes_it_back() {
    let world = full(&[("busy", 900, 1)]).await;
    let waker = waker(&world);
    let impatient = WakeRequest { patience: Duration::from_secs(30), ..request() };
    let problem = waker.wake(&impatient).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::CapacityReached);
    assert!(problem.particulars().retry_after.is_some());
    assert_eq!(world.0.lock().unwrap().told, Some(ErrorCode::CapacityReached));
    world.0.lock().unwrap().others[0].running = 0;
    waker.wake(&request()).await.unwrap();
    assert_eq!(world.0.lock().unwrap().told, None);
    // A refusal is told as well, and taken back by the next success.
    let full = full(&[("busy", 900, 1)]).await;
    wake(&full).await.unwrap_err();
    assert_eq!(full.0.lock().unwrap().told, Some(ErrorCode::CapacityReached));
    full.0.lock().unwrap().others[0].running = 0;
    wake(&full).await.unwrap();
    assert_eq!(full.0.lock().unwrap().told, None);
}
