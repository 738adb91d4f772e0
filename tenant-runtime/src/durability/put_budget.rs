//! Budget of the PUTs that bring WAL into the bucket: each costs money, so commits share them once a tenant has used up
//! what it saved.

use roost_protocol::durability::PutBudget;
use std::time::Duration;

/// A token bucket over monotonic time.
#[derive(Debug)]
pub struct Puts {
    budget: PutBudget,
    /// PUTs that are left; below zero after some that could not wait.
    left: f64,
    at: Duration,
}

impl Puts {
    /// A budget that is full.
    pub fn new(budget: PutBudget, now: Duration) -> Self {
        Self { budget, left: f64::from(budget.burst), at: now }
    }

    /// Time for which the next PUT has to wait; zero if it need not.
    pub fn wait(&mut self, now: Duration) -> Duration {
        let earned = now.saturating_sub(self.at).as_secs_f64() * f64::from(self.budget.per_second);
        self.left = (self.left + earned).min(f64::from(self.budget.burst));
        self.at = self.at.max(now);
        let missing = 1.0 - self.left;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(missing / f64::from(self.budget.per_second.max(1)))
    }

    /// Counts a PUT that was sent, whether it had to wait or not.
    pub fn spend(&mut self) {
        // A debt is bounded: who publishes often does not pay for it for ever.
        self.left = (self.left - 1.0).max(-f64::from(self.budget.burst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_goes_at_once_and_then_each_waits() {
        let mut puts = Puts::new(PutBudget { burst: 3, per_second: 2 }, SECOND);
        for _ in 0..3 {
            assert_eq!(puts.wait(SECOND), Duration::ZERO);
            puts.spend();
        }
        assert_eq!(puts.wait(SECOND), SECOND / 2);
        assert_eq!(puts.wait(SECOND + SECOND / 4), SECOND / 4);
        assert_eq!(puts.wait(SECOND + SECOND / 2), Duration::ZERO);
        puts.spend();
        assert_eq!(puts.wait(SECOND + SECOND / 2), SECOND / 2);
    }

    #[test]
    fn no_more_is_saved_than_the_burst_and_no_more_owed() {
        let mut puts = Puts::new(PutBudget { burst: 2, per_second: 1 }, Duration::ZERO);
        for _ in 0..10 {
            puts.spend();
        }
        assert_eq!(puts.wait(Duration::ZERO), 3 * SECOND);
        assert_eq!(puts.wait(100 * SECOND), Duration::ZERO);
        puts.spend();
        puts.spend();
        assert_eq!(puts.wait(100 * SECOND), SECOND);
    }
}
