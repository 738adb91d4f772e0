//! The rules of trying again: whether a request may be sent once more, to the same pod, to another one or after a wake,
//! or which problem is the end of it. Nothing here waits, asks or reads a clock.

use super::wake::out_of_time;
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
    wake::Route,
};
use std::time::Duration;

/// Pause before the first search for another pod; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Properties of a request that decide what may be done with it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Asking twice is the same as asking once.
    pub idempotent: bool,
    /// Whoever asks may only read, so that nothing can have been committed.
    pub read_only: bool,
    /// All of the request is still there after it was sent.
    pub resendable: bool,
}

/// The end of one try, other than by an answer.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// No pod was found.
    NoPod(Problem),
    /// A pod was found, and gave no answer.
    Failed {
        /// The pod.
        pod: &'a Route,
        /// The reason.
        failure: Failure,
    },
}

/// Reason why a pod gave no answer.
#[derive(Debug)]
pub enum Failure {
    /// The connection had been used before, and was over when the request was to be sent. Not a byte was sent.
    StaleConnection,
    /// There is no connection. Not a byte was sent.
    NotReached(String),
    /// The pod says that it has executed nothing that stays, as [`executed_nothing`] tells.
    Refused(Problem),
    /// The connection broke after the request was sent, at least in part: it may have been executed.
    Broken(String),
    /// The connection stands, but there was no answer in time. What was not committed by then is rolled back.
    Late(String),
}

/// The next thing to do.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Send it to the same pod at once, over another connection.
    SamePod,
    /// Forget the pod; after a pause find one again, waking the branch if the request may, and send it there.
    FindPod {
        /// The pause.
        after: Duration,
        /// UID of a pod that is not to be named again.
        avoid: Option<String>,
        /// The reason, for the log.
        obstacle: String,
    },
    /// Tell the client.
    End(Problem),
}

/// The tries of one request so far.
#[derive(Debug)]
pub struct Retry<'a> {
    branch: &'a BranchKey,
    terms: Terms,
    /// UID of the pod that must not be named again.
    avoid: Option<String>,
    /// UID of the pod that could not be reached, or refused, the last time.
    refused_last: Option<String>,
    broken_before: bool,
    pause: Duration,
}

impl<'a> Retry<'a> {
    /// None yet.
    pub const fn new(branch: &'a BranchKey, terms: Terms) -> Self {
        Self { branch, terms, avoid: None, refused_last: None, broken_before: false, pause: FIRST_PAUSE }
    }

    /// Decides what follows from the last try, with so much time `left` for finding a pod.
    pub fn next(&mut self, outcome: Outcome<'_>, left: Duration) -> Step {
        let (obstacle, told) = match outcome {
            Outcome::NoPod(problem) if is_passing(problem.code) => (problem.to_string(), None),
            Outcome::NoPod(problem) => return Step::End(problem),
            Outcome::Failed { pod, failure } => match failure {
                Failure::StaleConnection => return Step::SamePod,
                // A pod that cannot be reached once may be named again: perhaps only this connection failed.
                Failure::NotReached(why) => {
                    let again = self.refused_last.as_ref() == Some(&pod.pod_uid);
                    self.refused_by(pod, again);
                    (why, None)
                }
                Failure::Refused(problem) => {
                    if !self.terms.resendable {
                        return Step::End(problem);
                    }
                    self.refused_by(pod, true);
                    (problem.to_string(), Some(problem))
                }
                Failure::Broken(why) | Failure::Late(why) if self.may_repeat() => {
                    self.broken_before = true;
                    (why, None)
                }
                Failure::Late(why) if self.terms.read_only => return Step::End(timed_out(pod, &why)),
                Failure::Broken(why) | Failure::Late(why) => return Step::End(outcome_unknown(pod, &why)),
            },
        };
        if self.pause >= left {
            // A pod that worked on it until now, say, and had to leave, has told more than that there is no time left.
            return Step::End(told.unwrap_or_else(|| out_of_time(self.branch, &obstacle)));
        }
        let after = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Step::FindPod { after, avoid: self.avoid.clone(), obstacle }
    }

    /// Whether what may have been executed may be sent once more.
    const fn may_repeat(&self) -> bool {
        self.terms.idempotent && self.terms.resendable && !self.broken_before
    }

    fn refused_by(&mut self, pod: &Route, avoid: bool) {
        if avoid {
            self.avoid = Some(pod.pod_uid.clone());
        }
        self.refused_last = Some(pod.pod_uid.clone());
    }
}

/// Whether a runtime that answers with this problem has executed nothing that stays.
pub fn executed_nothing(problem: &Problem) -> bool {
    is_refusal(problem.code) && problem.committed_statements().is_none()
}

/// Whether a runtime that answers with this code, and tells of no statement that is committed, has executed nothing that
/// stays.
const fn is_refusal(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Draining | ErrorCode::NotServing | ErrorCode::Fenced)
}

/// Whether the operator's answer is of a moment between two pods.
const fn is_passing(code: ErrorCode) -> bool {
    is_refusal(code) || matches!(code, ErrorCode::AlreadyGranted | ErrorCode::NotSealed)
}

fn outcome_unknown(pod: &Route, why: &str) -> Problem {
    Problem::new(
        ErrorCode::OutcomeUnknown,
        format!(
            "the connection to pod {} broke after the request was sent ({why}): its transactions may be committed, \
             some of them, or none; look before sending them again",
            pod.pod
        ),
    )
}

/// The problem of a late answer to whoever may only read: nothing was committed, and the query is stopped.
fn timed_out(pod: &Route, why: &str) -> Problem {
    Problem::new(ErrorCode::StatementTimeout, format!("pod {} was too slow ({why})", pod.pod))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::samples::{branch, route};

    const LONG: Duration = Duration::from_mins(1);
    const WRITE: Terms = Terms { idempotent: false, read_only: false, resendable: true };
    const READ: Terms = Terms { read_only: true, ..WRITE };
    const LOOKUP: Terms = Terms { idempotent: true, ..WRITE };
    const WRITE_ONCE: Terms = Terms { resendable: false, ..WRITE };
    const LOOKUP_ONCE: Terms = Terms { resendable: false, ..LOOKUP };

    /// One try: the pod that was found, and how it failed, or the operator's answer.
    #[derive(Clone, Copy, Debug)]
    enum Try {
        No(ErrorCode),
        Stale(&'static str),
        Unreached(&'static str),
        Refused(&'static str, ErrorCode),
        Broken(&'static str),
        Late(&'static str),
    }

    #[derive(Debug, PartialEq)]
    enum Next {
        Same,
        Find(Option<&'static str>),
        End(ErrorCode),
    }

    fn take(retry: &mut Retry<'_>, tried: Try, left: Duration) -> Step {
        let (uid, failure) = match tried {
            Try::No(code) => return retry.next(Outcome::NoPod(Problem::new(code, "no")), left),
            Try::Stale(uid) => (uid, Failure::StaleConnection),
            Try::Unreached(uid) => (uid, Failure::NotReached("refused".into())),
            Try::Refused(uid, code) => (uid, Failure::Refused(Problem::new(code, "told"))),
            Try::Broken(uid) => (uid, Failure::Broken("reset".into())),
            Try::Late(uid) => (uid, Failure::Late("no answer".into())),
        };
        retry.next(Outcome::Failed { pod: &route(uid), failure }, left)
    }

    #[test]
    fn each_try_has_its_next_step() {
        use ErrorCode::{
            AlreadyGranted, Draining, Fenced, NotFound, NotSealed, NotServing, OutcomeUnknown,
            StatementTimeout, Suspended, WakeTimeout,
        };
        let find = |uid| Next::Find(Some(uid));
        for (terms, tries) in [
            // Between two pods the operator is asked again; what it says otherwise is the client's.
            (
                WRITE,
                vec![(Try::No(NotSealed), Next::Find(None)), (Try::No(AlreadyGranted), Next::Find(None))],
            ),
            (WRITE, vec![(Try::No(Fenced), Next::Find(None)), (Try::No(Suspended), Next::End(Suspended))]),
            (WRITE, vec![(Try::No(WakeTimeout), Next::End(WakeTimeout))]),
            (LOOKUP, vec![(Try::No(NotFound), Next::End(NotFound))]),
            // An idle connection that ended says nothing of the pod.
            (WRITE, vec![(Try::Stale("a"), Next::Same), (Try::Stale("a"), Next::Same)]),
            (WRITE_ONCE, vec![(Try::Stale("a"), Next::Same), (Try::Unreached("a"), Next::Find(None))]),
            // A pod that cannot be reached twice in a row is avoided, another one is not.
            (WRITE, vec![(Try::Unreached("a"), Next::Find(None)), (Try::Unreached("a"), find("a"))]),
            (WRITE, vec![(Try::Unreached("a"), Next::Find(None)), (Try::Unreached("b"), Next::Find(None))]),
            (WRITE_ONCE, vec![(Try::Unreached("a"), Next::Find(None)), (Try::Unreached("a"), find("a"))]),
            // One that refuses is avoided at once.
            (WRITE, vec![(Try::Refused("a", Draining), find("a")), (Try::Unreached("b"), find("a"))]),
            (WRITE, vec![(Try::Refused("a", NotServing), find("a")), (Try::Refused("b", Fenced), find("b"))]),
            (WRITE, vec![(Try::Refused("a", Draining), find("a")), (Try::Unreached("a"), find("a"))]),
            (READ, vec![(Try::Refused("a", Draining), find("a"))]),
            (LOOKUP, vec![(Try::Refused("a", Draining), find("a"))]),
            // A body that is gone cannot be sent to another pod.
            (WRITE_ONCE, vec![(Try::Refused("a", Draining), Next::End(Draining))]),
            (LOOKUP_ONCE, vec![(Try::Broken("a"), Next::End(OutcomeUnknown))]),
            // What may have been executed is not sent again, unless that is harmless, and then once.
            (WRITE, vec![(Try::Broken("a"), Next::End(OutcomeUnknown))]),
            (WRITE, vec![(Try::Late("a"), Next::End(OutcomeUnknown))]),
            (READ, vec![(Try::Broken("a"), Next::End(OutcomeUnknown))]),
            (READ, vec![(Try::Late("a"), Next::End(StatementTimeout))]),
            (
                LOOKUP,
                vec![(Try::Broken("a"), Next::Find(None)), (Try::Broken("a"), Next::End(OutcomeUnknown))],
            ),
            (LOOKUP, vec![(Try::Late("a"), Next::Find(None)), (Try::Late("a"), Next::End(OutcomeUnknown))]),
            (LOOKUP, vec![(Try::Late("a"), Next::Find(None)), (Try::Refused("a", Draining), find("a"))]),
        ] {
            let branch = branch();
            let mut retry = Retry::new(&branch, terms);
            for (tried, expected) in &tries {
                let next = match take(&mut retry, *tried, LONG) {
                    Step::SamePod => Next::Same,
                    Step::FindPod { avoid, .. } => {
                        Next::Find(avoid.map(|uid| if uid == "a" { "a" } else { "b" }))
                    }
                    Step::End(problem) => Next::End(problem.code),
                };
                assert_eq!(next, *expected, "{tried:?} of {terms:?} in {tries:?}");
            }
        }
    }

    #[test]
    fn pauses_grow_and_end_with_the_time_that_is_left() {
        let branch = branch();
        let mut retry = Retry::new(&branch, WRITE);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let Step::FindPod { after, .. } = take(&mut retry, Try::No(ErrorCode::NotSealed), LONG) else {
                panic!("it ends");
            };
            pauses.push(after.as_millis());
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        for (tried, code, detail) in [
            (Try::No(ErrorCode::NotSealed), ErrorCode::WakeTimeout, "shop/acme did not wake in time"),
            (Try::Unreached("a"), ErrorCode::WakeTimeout, "(refused)"),
            (Try::Refused("a", ErrorCode::Draining), ErrorCode::Draining, "told"),
        ] {
            for left in [Duration::ZERO, LONGEST_PAUSE] {
                let Step::End(problem) = take(&mut retry, tried, left) else { panic!("{tried:?}: no end") };
                assert_eq!(problem.code, code);
                assert!(problem.detail.contains(detail), "{problem}");
            }
        }
    }

    #[test]
    fn only_a_refusal_of_the_whole_request_executed_nothing() {
        for (problem, expected) in [
            (Problem::new(ErrorCode::Draining, ""), true),
            (Problem::new(ErrorCode::NotServing, ""), true),
            (Problem::new(ErrorCode::Fenced, ""), true),
            (Problem::new(ErrorCode::Draining, "").after_commit(1), false),
            (Problem::new(ErrorCode::Draining, "").after_commit(0), false),
            (Problem::new(ErrorCode::NotSealed, ""), false),
            (Problem::new(ErrorCode::WritesPaused, ""), false),
            (Problem::new(ErrorCode::OutcomeUnknown, ""), false),
        ] {
            assert_eq!(executed_nothing(&problem), expected, "{problem}");
        }
    }
}
