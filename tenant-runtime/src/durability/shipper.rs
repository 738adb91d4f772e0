//! Ships commits: whatever was committed while a segment was on its way goes into the next one.

use crate::{
    durability::{group_commit::Group, put_budget::Puts},
    files::LocalFiles,
    metrics::ShipMetrics,
};
use roost_protocol::durability::{Durability, PutBudget, Terms};
use roost_store::{Environment, LocalDatabase, OwnedBranch, ShipError, step::stepped, stream::Lsn};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{MutexGuard as Turn, watch};

/// Bytes of WAL of a segment, about: below it, commits that came meanwhile share one PUT.
const SEGMENT_WAL: u64 = 4 * 1024 * 1024;

/// Time for which commits that nobody waits for may gather before a segment takes them.
const GATHERING: Duration = Duration::from_millis(750);

/// Pace at which segments are put.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Whether commits go at once, without anybody waiting for them.
    pub eager: bool,
    /// Budget of PUTs that all of them share.
    pub budget: PutBudget,
}

impl Pace {
    /// Pace for a tenant whose requests have these terms.
    pub fn new(terms: Terms, budget: PutBudget) -> Self {
        Self { eager: terms.default == Durability::Synchronous, budget }
    }
}

/// Ships one branch's WAL.
pub struct Shipper {
    branch: Arc<OwnedBranch>,
    files: LocalFiles,
    environment: Environment,
    eager: bool,
    metrics: ShipMetrics,
    /// Held from a cut until its segment is in the bucket.
    turn: tokio::sync::Mutex<()>,
    durable: watch::Sender<Lsn>,
    /// The last commit that an answer waits for.
    wanted: watch::Sender<Lsn>,
    /// Number of callers that wait until all is shipped: while there are any, no segment waits for more commits.
    hurried: watch::Sender<usize>,
    puts: Mutex<Puts>,
    /// Last commits of segments that are not durable yet, with the time of the oldest commit in each.
    on_their_way: Mutex<VecDeque<(Lsn, jiff::Timestamp)>>,
}

impl Shipper {
    /// Of a branch that was just taken over.
    pub fn new(
        branch: Arc<OwnedBranch>,
        files: LocalFiles,
        pace: Pace,
        metrics: ShipMetrics,
        environment: Environment,
    ) -> Self {
        let durable = watch::Sender::new(branch.durable());
        let wanted = watch::Sender::new(branch.durable());
        let puts = Mutex::new(Puts::new(pace.budget, environment.clock.monotonic()));
        Self {
            branch,
            files,
            environment,
            eager: pace.eager,
            metrics,
            turn: tokio::sync::Mutex::default(),
            durable,
            wanted,
            hurried: watch::Sender::new(0),
            puts,
            on_their_way: Mutex::default(),
        }
    }

    /// Ships until it fails: this process must go then.
    pub async fn run(&self, local: &dyn LocalDatabase) -> ShipError {
        let (mut commits, mut durable) = (self.files.commits(), self.durable.subscribe());
        let (mut wanted, mut hurried) = (self.wanted.subscribe(), self.hurried.subscribe());
        let mut group = Group::default();
        loop {
            commits.mark_unchanged();
            durable.mark_unchanged();
            wanted.mark_unchanged();
            hurried.mark_unchanged();
            // A commit, somebody who waits, or a publish that makes shipping possible. The senders live as long as
            // `self`.
            let changed = async {
                tokio::select! {
                    _ = commits.changed() => {}
                    _ = durable.changed() => {}
                    _ = wanted.changed() => {}
                    _ = hurried.changed() => {}
                }
            };
            match self.pause(group) {
                None => changed.await,
                Some(Duration::ZERO) => match self.ship_next(local).await {
                    Ok(Some(answered)) => group = answered,
                    Ok(None) => changed.await,
                    Err(error) => return error,
                },
                Some(pause) => tokio::select! {
                    () = changed => {}
                    () = self.environment.clock.sleep(pause) => {}
                },
            }
        }
    }

    /// Time for which the next segment waits for commits to share it with; none if there is nothing for one.
    fn pause(&self, group: Group) -> Option<Duration> {
        let uncut = self.files.uncut()?;
        if *self.hurried.borrow() > 0 {
            return Some(Duration::ZERO);
        }
        let awaited = *self.wanted.borrow() > *self.durable.borrow();
        let now = self.environment.clock.monotonic();
        let gathering = if uncut.wal_bytes >= SEGMENT_WAL {
            Duration::ZERO
        } else if self.eager || awaited {
            group.wait(uncut.commits, now)
        } else {
            let age = self.environment.clock.now().duration_since(uncut.since);
            GATHERING.saturating_sub(Duration::try_from(age).unwrap_or_default())
        };
        Some(self.puts().wait(now).max(gathering))
    }

    /// Ships one segment, and tells who commits next; none if there is nothing to ship now.
    async fn ship_next(&self, local: &dyn LocalDatabase) -> Result<Option<Group>, ShipError> {
        if self.branch.must_publish_first() {
            return Ok(None);
        }
        let _turn = self.turn.lock().await;
        let Some(cut) = self.files.cut(SEGMENT_WAL) else { return Ok(None) };
        let last = Lsn { manifest: cut.manifest, offset: cut.wal.end };
        if let Some(first) = cut.commits.first() {
            self.on_their_way().push_back((last, first.time));
        }
        self.puts().spend();
        let started = self.environment.clock.monotonic();
        let durable =
            stepped("ship", format!("WAL to {}", cut.wal.end), self.branch.ship(&cut, local)).await?;
        let ended = self.environment.clock.monotonic();
        let took = ended.saturating_sub(started);
        let waiting = self.files.uncut().map_or(0, |uncut| uncut.commits);
        self.metrics.shipped(cut.commits.len(), cut.wal.end - cut.wal.start, took);
        self.advance(durable);
        Ok(Some(Group::after(cut.commits.len(), waiting, took, ended)))
    }

    /// Notes that all is durable up to here, by a segment or a publish.
    pub fn advance(&self, durable: Lsn) {
        let mut waiting = self.on_their_way();
        while waiting.front().is_some_and(|(last, _)| *last <= durable) {
            waiting.pop_front();
        }
        drop(waiting);
        self.durable.send_if_modified(|known| {
            let more = durable > *known;
            *known = durable.max(*known);
            more
        });
    }

    /// The last commit.
    pub fn committed(&self) -> Lsn {
        self.files.committed()
    }

    /// Waits until a commit is durable, however long that takes.
    pub async fn until_durable(&self, commit: Lsn) {
        self.wanted.send_if_modified(|wanted| {
            let more = commit > *wanted;
            *wanted = commit.max(*wanted);
            more
        });
        let mut durable = self.durable.subscribe();
        // The sender lives as long as `self`: this cannot fail.
        let _ = durable.wait_for(|durable| *durable >= commit).await;
    }

    /// Waits until all is shipped that can be, and keeps everything else from being shipped until what it returns is
    /// dropped. Call it with the write gate closed.
    pub async fn drained(&self) -> Turn<'_, ()> {
        loop {
            self.caught_up().await;
            let turn = self.turn.lock().await;
            if self.has_shipped(self.files.committed()) {
                return turn;
            }
        }
    }

    /// Waits until all is shipped that was committed before this call, and can be. Spends what that takes, whatever the
    /// budget.
    pub async fn caught_up(&self) {
        let committed = self.files.committed();
        let _hurry = Hurry::of(&self.hurried);
        let mut durable = self.durable.subscribe();
        loop {
            durable.mark_unchanged();
            if self.has_shipped(committed) {
                return;
            }
            // The sender lives as long as `self`: this cannot fail.
            let _ = durable.changed().await;
        }
    }

    /// Whether nothing up to this commit is left that a segment can make durable.
    fn has_shipped(&self, committed: Lsn) -> bool {
        // A publish that was finished by a later attempt made more durable.
        self.advance(self.branch.durable());
        self.branch.must_publish_first()
            || self.files.unpublished().needs_publish
            || *self.durable.borrow() >= committed
    }

    /// Time of the oldest commit that is not durable.
    pub fn oldest(&self) -> Option<jiff::Timestamp> {
        let shipping = self.on_their_way().front().map(|(_, time)| *time);
        shipping.or_else(|| self.files.uncut().map(|uncut| uncut.since))
    }

    fn puts(&self) -> MutexGuard<'_, Puts> {
        self.puts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_their_way(&self) -> MutexGuard<'_, VecDeque<(Lsn, jiff::Timestamp)>> {
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody waits until all is shipped, as long as this lives.
struct Hurry<'a>(&'a watch::Sender<usize>);

impl<'a> Hurry<'a> {
    fn of(hurried: &'a watch::Sender<usize>) -> Self {
        hurried.send_modify(|count| *count += 1);
        Self(hurried)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
