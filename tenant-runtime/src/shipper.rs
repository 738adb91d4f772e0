//! Ships commits: whatever was committed while a segment was on its way goes into the next one.

use crate::files::LocalFiles;
use roost_store::{LocalDatabase, OwnedBranch, ShipError, step::stepped, stream::Lsn};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{MutexGuard as Turn, watch};

/// Bytes of WAL of a segment, about: below it, commits that came meanwhile share one PUT.
const SEGMENT_WAL: u64 = 4 * 1024 * 1024;

/// Ships one branch's WAL.
pub struct Shipper {
    branch: Arc<OwnedBranch>,
    files: LocalFiles,
    /// Held from a cut until its segment is in the bucket.
    turn: tokio::sync::Mutex<()>,
    durable: watch::Sender<Lsn>,
    /// Last commits of segments that are not durable yet, with the time of the oldest commit in each.
    on_their_way: Mutex<VecDeque<(Lsn, jiff::Timestamp)>>,
}

impl Shipper {
    /// Of a branch that was just taken over.
    pub fn new(branch: Arc<OwnedBranch>, files: LocalFiles) -> Self {
        let durable = watch::Sender::new(branch.durable());
        Self { branch, files, turn: tokio::sync::Mutex::default(), durable, on_their_way: Mutex::default() }
    }

    /// Ships until it fails: this process must go then.
    pub async fn run(&self, local: &dyn LocalDatabase) -> ShipError {
        let (mut commits, mut durable) = (self.files.commits(), self.durable.subscribe());
        loop {
            commits.mark_unchanged();
            durable.mark_unchanged();
            match self.ship_next(local).await {
                Ok(true) => {}
                // A commit, or a publish that makes shipping possible. The senders live as long as `self`.
                Ok(false) => tokio::select! {
                    _ = commits.changed() => {}
                    _ = durable.changed() => {}
                },
                Err(error) => return error,
            }
        }
    }

    /// Ships one segment; false if there is nothing to ship now.
    async fn ship_next(&self, local: &dyn LocalDatabase) -> Result<bool, ShipError> {
        if self.branch.must_publish_first() {
            return Ok(false);
        }
        let _turn = self.turn.lock().await;
        let Some(cut) = self.files.cut(SEGMENT_WAL) else { return Ok(false) };
        let last = Lsn { manifest: cut.manifest, offset: cut.wal.end };
        if let Some(first) = cut.commits.first() {
            self.on_their_way().push_back((last, first.time));
        }
        let durable =
            stepped("ship", format!("WAL to {}", cut.wal.end), self.branch.ship(&cut, local)).await?;
        self.advance(durable);
        Ok(true)
    }

    /// What is durable by now; after a publish too.
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
        let mut durable = self.durable.subscribe();
        // The sender lives as long as `self`: this cannot fail.
        let _ = durable.wait_for(|durable| *durable >= commit).await;
    }

    /// Waits until all is shipped that can be, and keeps everything else from being shipped until what it returns is
    /// dropped. Call it with the write gate closed.
    pub async fn drained(&self) -> Turn<'_, ()> {
        let mut durable = self.durable.subscribe();
        loop {
            durable.mark_unchanged();
            if self.is_drained() {
                let turn = self.turn.lock().await;
                if self.is_drained() {
                    return turn;
                }
            } else {
                // The sender lives as long as `self`: this cannot fail.
                let _ = durable.changed().await;
            }
        }
    }

    /// Whether nothing is left that a segment can make durable.
    fn is_drained(&self) -> bool {
        // A publish that was finished by a later attempt made more durable.
        self.advance(self.branch.durable());
        self.branch.must_publish_first()
            || self.files.unpublished().needs_publish
            || *self.durable.borrow() >= self.files.committed()
    }

    /// Time of the oldest commit that is not durable.
    pub fn oldest(&self) -> Option<jiff::Timestamp> {
        let shipping = self.on_their_way().front().map(|(_, time)| *time);
        shipping.or_else(|| self.files.oldest_uncut())
    }

    fn on_their_way(&self) -> MutexGuard<'_, VecDeque<(Lsn, jiff::Timestamp)>> {
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
