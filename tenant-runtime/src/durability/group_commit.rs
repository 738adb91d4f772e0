//! Group commit: how long a segment waits for commits that are about to come, so that they share its PUT.
//!
//! Whoever was answered is likely to commit again at once. Without a wait the first of them takes a PUT for itself, and
//! all the others wait for its end and for another one.

use std::time::Duration;

/// A segment waits for at most this part of the time that a PUT takes.
const PART: u32 = 10;
/// It waits no longer, however slow PUTs are.
const LONGEST: Duration = Duration::from_millis(10);
/// Less is not waited: timers tick once a millisecond.
const SHORTEST: Duration = Duration::from_millis(1);

/// Those who are expected to commit now. Nobody by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    commits: usize,
    /// Monotonic time until which they are waited for.
    until: Duration,
}

impl Group {
    /// A PUT that took so long made `answered` commits durable; while it was under way `waiting` others came.
    pub fn after(answered: usize, waiting: usize, took: Duration, now: Duration) -> Self {
        let patience = (took / PART).min(LONGEST);
        if patience < SHORTEST {
            return Self::default();
        }
        Self { commits: answered + waiting, until: now + patience }
    }

    /// Time for which a segment of `waiting` commits still waits for the others.
    pub fn wait(self, waiting: usize, now: Duration) -> Duration {
        if waiting >= self.commits { Duration::ZERO } else { self.until.saturating_sub(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_waits_for_who_was_answered_and_no_longer_than_a_part_of_a_put() {
        for (answered, came, took, waiting, later, waits) in [
            // Nobody else is about.
            (1, 0, 30 * MS, 1, MS, Duration::ZERO),
            // Seven were answered, one came meanwhile: all eight are expected.
            (7, 1, 30 * MS, 1, Duration::ZERO, 3 * MS),
            (7, 1, 30 * MS, 7, MS, 2 * MS),
            (7, 1, 30 * MS, 8, MS, Duration::ZERO),
            // They did not come.
            (7, 1, 30 * MS, 2, 4 * MS, Duration::ZERO),
            // A bucket close by: a timer would take longer than another PUT.
            (7, 1, 2 * MS, 1, Duration::ZERO, Duration::ZERO),
            // One that hardly answers.
            (7, 1, 5_000 * MS, 1, Duration::ZERO, LONGEST),
        ] {
            let now = 1_000 * MS;
            let group = Group::after(answered, came, took, now);
            assert_eq!(group.wait(waiting, now + later), waits, "{answered} {came} {took:?} {waiting}");
        }
        assert_eq!(Group::default().wait(1, MS), Duration::ZERO, "before the first segment");
    }

    /// Clients who each commit again `pause` after their answer, over PUTs of `put`. Returns the commits of each
    /// segment.
    fn segments(clients: u32, pause: Duration, put: Duration) -> Vec<usize> {
        // When each commits next; they began one after the other.
        let mut next: Vec<Duration> = (0..clients).map(|client| client * MS).collect();
        let (mut now, mut group, mut segments) = (Duration::ZERO, Group::default(), Vec::new());
        while segments.len() < 20 {
            let waiting = next.iter().filter(|at| **at <= now).count();
            let wait = group.wait(waiting, now);
            if waiting == 0 || !wait.is_zero() {
                let next = next.iter().filter(|at| **at > now).min().copied().unwrap_or(now + wait);
                now = if waiting == 0 { next } else { next.min(now + wait) };
                continue;
            }
            let end = now + put;
            for at in next.iter_mut().filter(|at| **at <= now) {
                *at = end + pause;
            }
            now = end;
            segments.push(waiting);
            let came = next.iter().filter(|at| **at <= now).count();
            group = Group::after(waiting, came, put, now);
        }
        segments
    }

    #[test]
    fn clients_that_commit_again_at_once_share_every_put() {
        for clients in [1, 2, 8, 32] {
            let shared = segments(clients, 2 * MS, 30 * MS);
            let all = usize::try_from(clients).unwrap();
            assert!(shared[2..].iter().all(|commits| *commits == all), "{clients}: {shared:?}");
        }
    }
}
