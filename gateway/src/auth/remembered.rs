//! Answers of the API server, remembered: grants for a while, longer while it is away; denials for a moment.

use super::unanswered::ReviewError;
use moka::future::Cache;
use roost_protocol::problem::Problem;
use std::{hash::Hash, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// Times for which answers are remembered.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// A grant is used this long without asking again.
    pub fresh: Duration,
    /// A denial is used this long without asking again.
    pub denial: Duration,
    /// While nobody answers, a grant is used until it is this old. Denials never are.
    pub stale: Duration,
    /// After a failure to ask, nobody is asked again for this long.
    pub failure: Duration,
    /// Most answers that are remembered.
    pub capacity: u64,
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Verdict<V> {
    /// Yes.
    Granted {
        /// The thing granted.
        value: V,
        /// Longest time from now that it holds, when that is known.
        for_at_most: Option<Duration>,
    },
    /// No, and why.
    Denied(Problem),
}

struct Slot<V> {
    answer: Option<(Instant, Verdict<V>)>,
    failure: Option<(Instant, ReviewError)>,
}

/// Remembered answers by question. The same question is asked by one caller at a time; the others wait for its answer.
pub struct Remembered<K, V> {
    slots: Cache<K, Arc<Mutex<Slot<V>>>>,
    memory: Memory,
}

impl<K, V> Remembered<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Remembers nothing yet.
    pub fn new(memory: Memory) -> Self {
        let slots = Cache::builder().max_capacity(memory.capacity).time_to_idle(memory.stale * 2).build();
        Self { slots, memory }
    }

    /// The remembered answer, or the one that `ask` brings.
    /// Errors: that of [`Verdict::Denied`], `access-unknown`, `internal`.
    pub async fn get<F>(&self, key: K, ask: impl FnOnce() -> F) -> Result<V, Problem>
    where
        F: Future<Output = Result<Verdict<V>, ReviewError>>,
    {
        let empty = async { Arc::new(Mutex::new(Slot { answer: None, failure: None })) };
        let slot = self.slots.get_with(key, empty).await;
        let mut slot = slot.lock().await;
        if let Some(answer) = slot.within(self.memory.fresh, self.memory.denial) {
            return answer;
        }
        let failed_now = slot
            .failure
            .as_ref()
            .filter(|(at, _)| at.elapsed() < self.memory.failure)
            .map(|(_, e)| e.clone());
        let error = match failed_now {
            Some(error) => error,
            None => match ask().await {
                Ok(verdict) => {
                    *slot = Slot { answer: Some((Instant::now(), verdict.clone())), failure: None };
                    return match verdict {
                        Verdict::Granted { value, .. } => Ok(value),
                        Verdict::Denied(problem) => Err(problem),
                    };
                }
                Err(error) => {
                    slot.failure = Some((Instant::now(), error.clone()));
                    error
                }
            },
        };
        match (error, slot.within(self.memory.stale, Duration::ZERO)) {
            (ReviewError::Unavailable(_), Some(answer)) => answer,
            (error, _) => Err(error.into()),
        }
    }
}

impl<V: Clone> Slot<V> {
    /// The answer, if it is young enough and its grant still holds.
    fn within(&self, grant: Duration, denial: Duration) -> Option<Result<V, Problem>> {
        let (at, verdict) = self.answer.as_ref()?;
        let age = at.elapsed();
        match verdict {
            Verdict::Granted { value, for_at_most } => {
                (age < for_at_most.map_or(grant, |most| most.min(grant))).then(|| Ok(value.clone()))
            }
            Verdict::Denied(problem) => (age < denial).then(|| Err(problem.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_protocol::problem::ErrorCode;
    use std::sync::atomic::{AtomicU32, Ordering};

    const MEMORY: Memory = Memory {
        fresh: Duration::from_mins(1),
        denial: Duration::from_secs(5),
        stale: Duration::from_mins(5),
        failure: Duration::from_secs(1),
        capacity: 10,
    };

    #[derive(Clone, Copy, Debug)]
    enum Server {
        Grants,
        GrantsFor(u64),
        Denies,
        Away,
        Refuses,
    }

    /// (seconds that pass, how the server answers, what the caller gets, whether the server was asked)
    type Step = (u64, Server, Result<(), ErrorCode>, bool);

    async fn play(steps: &[Step]) {
        let remembered = Remembered::new(MEMORY);
        let asked = AtomicU32::new(0);
        for (number, (seconds, server, expected, asks)) in steps.iter().enumerate() {
            tokio::time::advance(Duration::from_secs(*seconds)).await;
            let before = asked.load(Ordering::SeqCst);
            let answer = remembered
                .get("key", || async {
                    asked.fetch_add(1, Ordering::SeqCst);
                    match server {
                        Server::Grants => Ok(Verdict::Granted { value: (), for_at_most: None }),
                        Server::GrantsFor(seconds) => Ok(Verdict::Granted {
                            value: (),
                            for_at_most: Some(Duration::from_secs(*seconds)),
                        }),
                        Server::Denies => Ok(Verdict::Denied(Problem::new(ErrorCode::Forbidden, "no"))),
                        Server::Away => Err(ReviewError::Unavailable("away".into())),
                        Server::Refuses => Err(ReviewError::Misconfigured("refused".into())),
                    }
                })
                .await
                .map_err(|problem| problem.code);
            assert_eq!(answer, *expected, "step {number} of {steps:?}");
            assert_eq!(asked.load(Ordering::SeqCst) > before, *asks, "asked in step {number} of {steps:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_remembered_as_long_as_they_may_be() {
        use Server::{Away, Denies, Grants, GrantsFor, Refuses};
        let (denied, unknown) = (Err(ErrorCode::Forbidden), Err(ErrorCode::AccessUnknown));
        // A grant is fresh for a minute; then its loss is seen.
        play(&[(0, Grants, Ok(()), true), (59, Denies, Ok(()), false), (2, Denies, denied, true)]).await;
        // A denial for five seconds.
        play(&[(0, Denies, denied, true), (4, Grants, denied, false), (2, Grants, Ok(()), true)]).await;
        // A grant outlives the API server by five minutes in all; a failure is not repeated within a second.
        play(&[
            (0, Grants, Ok(()), true),
            (61, Away, Ok(()), true),
            (0, Grants, Ok(()), false),
            (230, Away, Ok(()), true),
            (20, Away, unknown, true),
        ])
        .await;
        // A denial does not become anything else.
        play(&[(0, Denies, denied, true), (6, Away, unknown, true), (2, Grants, Ok(()), true)]).await;
        // After a denial no older grant comes back.
        play(&[(0, Grants, Ok(()), true), (61, Denies, denied, true), (6, Away, unknown, true)]).await;
        // An answer that is a refusal to answer is not an absent server.
        play(&[(0, Grants, Ok(()), true), (61, Refuses, Err(ErrorCode::Internal), true)]).await;
        // What the token's expiry ends is not stretched, not even while the API server is away.
        play(&[(0, GrantsFor(10), Ok(()), true), (11, Away, unknown, true)]).await;
    }
}
