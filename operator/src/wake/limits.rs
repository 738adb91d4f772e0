//! Bounds of waking: how fast pods are created, and how long failures are remembered.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use roost_protocol::problem::Problem;
use tokio::time::Instant;

use roost_protocol::BranchKey;

/// Failures remembered at most; beyond it those that are over are forgotten, or all if that does not make room.
const MAX_FAILURES: usize = 10_000;
/// Time for which the first failure is remembered; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest that a failure is remembered.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// A token bucket: pods created per second, with a burst.
#[derive(Debug)]
pub struct StartRate {
    per_second: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

impl StartRate {
    /// A full bucket.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_second: f64::from(per_second.max(1)), burst, state: Mutex::new((burst, Instant::now())) }
    }

    /// Takes a token, and says how long to wait before using it.
    fn take(&self, now: Instant) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (tokens, at) = *state;
        let tokens = (tokens + now.duration_since(at).as_secs_f64() * self.per_second).min(self.burst) - 1.0;
        *state = (tokens, now);
        if tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-tokens / self.per_second) }
    }

    /// Waits for a token.
    pub async fn acquire(&self) {
        let wait = self.take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[derive(Debug, Clone)]
struct Failure {
    problem: Problem,
    generation: i64,
    since: Instant,
    backoff: Duration,
}

/// Failures of the last moments, so that a broken tenant costs no pod per request.
#[derive(Debug, Default)]
pub struct FailureMemory(Mutex<HashMap<BranchKey, Failure>>);

impl FailureMemory {
    /// The failure that still holds for this generation of the spec.
    pub fn recall(&self, key: &BranchKey, generation: i64) -> Option<Problem> {
        let failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let failure = failures.get(key).filter(|failure| failure.generation == generation)?;
        let left = failure.backoff.checked_sub(failure.since.elapsed()).filter(|left| !left.is_zero())?;
        let seconds = u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX);
        Some(failure.problem.clone().retry_after(seconds))
    }

    /// Remembers a failure; longer each time it repeats.
    pub fn remember(&self, key: &BranchKey, generation: i64, problem: &Problem) {
        let mut failures = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if failures.len() >= MAX_FAILURES {
            failures.retain(|_, failure| failure.since.elapsed() < failure.backoff * 2);
        }
        if failures.len() >= MAX_FAILURES {
            failures.clear();
        }
        let backoff = match failures.get(key) {
            Some(before) if before.generation == generation => (before.backoff * 2).min(MAX_BACKOFF),
            _ => FIRST_BACKOFF,
        };
        let failure = Failure { problem: problem.clone(), generation, since: Instant::now(), backoff };
        failures.insert(key.clone(), failure);
    }

    /// Forgets after a success.
    pub fn forget(&self, key: &BranchKey) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::ErrorCode;

    #[tokio::test(start_paused = true)]
    async fn pods_are_created_no_faster_than_the_rate() {
        let rate = StartRate::new(10, 2);
        let start = Instant::now();
        for _ in 0..12 {
            rate.acquire().await;
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1100), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_longer_each_time_and_not_for_another_spec() {
        let memory = FailureMemory::default();
        let key = BranchKey { namespace: "n".into(), tenant: "t".into(), branch: "main".into() };
        let problem = Problem::new(ErrorCode::InitScriptFailed, "line 3");
        memory.remember(&key, 1, &problem);
        assert_eq!(memory.recall(&key, 1).unwrap().code, ErrorCode::InitScriptFailed);
        assert!(memory.recall(&key, 2).is_none());
        tokio::time::advance(FIRST_BACKOFF).await;
        assert!(memory.recall(&key, 1).is_none());
        for _ in 0..20 {
            memory.remember(&key, 1, &problem);
        }
        tokio::time::advance(MAX_BACKOFF.checked_sub(Duration::from_secs(1)).unwrap()).await;
        assert!(memory.recall(&key, 1).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(memory.recall(&key, 1).is_none());
    }
}
