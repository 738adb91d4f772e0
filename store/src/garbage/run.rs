//! One run: look, condemn, look again, delete; and merge what the next run can then delete.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};

use super::condemned::{self, MAX_TO_DELETE};
use super::{CollectError, Collected, LISTED, Policy};
use crate::bucket::Bucket;
use crate::format::ReadError;
use crate::format::merged::MAX_MERGED_BYTES;
use crate::identity::BranchName;
use crate::keys::Keys;
use crate::mutation::{Mutation, broken};
use crate::object::ObjectError;
use crate::position::StreamId;
use crate::progress::Progress;
use crate::reachability::{
    Finding, History, KnownManifests, Pages, PastStream, Report, Standing, Tally, Walk, slot,
};
use crate::stream;
use crate::tenant::TenantStore;

/// DELETEs under way at a time.
const DELETES_IN_FLIGHT: usize = 16;
/// Streams that one run merges: each is read and written whole.
const MERGES_PER_RUN: usize = 500;

impl TenantStore {
    /// Deletes what nothing reaches and whose attempt ended. May be interrupted anywhere and repeated; several at a time
    /// do no harm. `known` spares it reading what an earlier run read. `progress` counts objects.
    ///
    /// # Errors
    /// [`CollectError::Damaged`] when anything that it reads or looks for and that is needed is missing: then nothing is
    /// deleted. What only states between the ends of a branch's past need, `fsck` looks for.
    pub async fn collect(
        &self,
        policy: &Policy,
        known: &KnownManifests,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Collected, CollectError> {
        self.prove_owner().await?;
        let run = Run { bucket: self.bucket(), keys: self.keys(), policy, known };
        run.collect(progress).await
    }
}

struct Run<'a> {
    bucket: &'a Bucket,
    keys: &'a Keys,
    policy: &'a Policy,
    known: &'a KnownManifests,
}

impl Run<'_> {
    async fn collect(&self, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Collected, CollectError> {
        let now = self.bucket.environment.clock.now();
        let history = History::within(self.policy.recovery_window, now);
        let walk = self.walk();
        let earlier = condemned::earlier(self.bucket, self.keys).await?;
        let first = self.look(&walk, history).await?;
        let mut to_delete = self.to_delete(&first);
        let more = to_delete.len() > MAX_TO_DELETE;
        to_delete.truncate(MAX_TO_DELETE);
        if self.policy.dry_run {
            return Ok(report(first, &to_delete, self.policy, more));
        }
        let checked = self.check_merged(&first).await?;
        to_delete.retain(|(name, _)| replaced(name, &first).is_none_or(|stream| checked.contains(&stream)));
        let lists = condemned::write(self.bucket, self.keys, &names(&to_delete)).await?;
        if !lists.is_empty() {
            self.bucket.environment.clock.sleep(self.policy.grace).await;
        }
        let second = match self.look(&walk, history).await {
            Ok(_) if broken(Mutation::CollectAtOnce) => first,
            Ok(second) => second,
            Err(error) => {
                // Nothing of it was deleted, so it promises nothing away.
                condemned::remove(self.bucket, &lists).await?;
                return Err(error);
            }
        };
        let still: BTreeSet<String> = names(&self.to_delete(&second)).into_iter().collect();
        to_delete.retain(|(name, _)| still.contains(name));
        self.delete(&to_delete, progress).await?;
        condemned::remove(self.bucket, &lists).await?;
        self.remove_spent(&earlier).await?;
        let (merged, more_to_merge) = self.merge(&second).await?;
        let report = report(second, &to_delete, self.policy, more || more_to_merge);
        Ok(Collected { merged, ..report })
    }

    /// Reads the merged objects whose slots are about to go: those that hold their stream.
    async fn check_merged(&self, walked: &Report) -> Result<BTreeSet<(BranchName, StreamId)>, CollectError> {
        let (mut checked, mut findings) = (BTreeSet::new(), Vec::new());
        for PastStream { branch, end, .. } in &walked.streams {
            let stream = (branch.clone(), end.stream);
            if !walked.replaced.contains(&stream) {
                continue;
            }
            match stream::check_merged(self.bucket, self.keys, branch, end).await {
                Ok(()) => drop(checked.insert(stream)),
                // Another run collected it.
                Err(ReadError::Object(ObjectError::NotFound { .. })) => {}
                Err(ReadError::Object(error)) => return Err(ReadError::from(error).into()),
                Err(damage) => {
                    findings
                        .push(Finding { needed_by: format!("branch {branch}"), problem: damage.to_string() });
                }
            }
        }
        if findings.is_empty() {
            return Ok(checked);
        }
        Err(CollectError::Damaged { location: walked.location.clone(), findings })
    }

    /// Puts long streams that are over into one object each; how many, and whether more are left.
    async fn merge(&self, walked: &Report) -> Result<(u64, bool), ReadError> {
        let mut long = walked.streams.iter().filter(|past| {
            !past.is_merged
                && past.end.sequence > self.policy.merge_above
                && past.slots < MAX_MERGED_BYTES / 2
        });
        let mut merged = 0;
        for PastStream { branch, end, .. } in long.by_ref().take(MERGES_PER_RUN) {
            match stream::merge(self.bucket, self.keys, branch, end).await {
                Ok(fits) => merged += u64::from(fits),
                // Another run collected it.
                Err(ReadError::Object(ObjectError::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((merged, long.next().is_some()))
    }

    fn walk(&self) -> Walk {
        Walk::new(self.bucket.clone(), self.keys.clone(), Pages::OfEnds, self.known.clone())
    }

    async fn look(&self, walk: &Walk, history: History) -> Result<Report, CollectError> {
        let report = walk.report(history).await?;
        if report.findings.is_empty() {
            return Ok(report);
        }
        Err(CollectError::Damaged { location: report.location, findings: report.findings })
    }

    /// Lists the garbage, by name and size, manifests first. A manifest whose packs are gone would be worse than packs
    /// whose manifest is.
    fn to_delete(&self, report: &Report) -> Vec<(String, u64)> {
        let ended = report.leftovers.iter().filter(|left| {
            matches!(left.standing, Standing::Ended(_))
                || (broken(Mutation::CollectByAge) && matches!(left.standing, Standing::UnderWay(_)))
        });
        let mut to_delete: Vec<(String, u64)> =
            ended.filter_map(|left| Some((self.keys.within(&left.key)?.to_owned(), left.size))).collect();
        to_delete.sort_by_key(|(name, _)| !name.contains("/manifests/"));
        to_delete
    }

    async fn delete(
        &self,
        to_delete: &[(String, u64)],
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), ReadError> {
        let mut so_far = Progress { done: 0, total: to_delete.len() as u64, bytes: 0 };
        let rate = self.policy.deletes_per_second.get();
        for second in to_delete.chunks(usize::try_from(rate).unwrap_or(usize::MAX)) {
            let started = self.bucket.environment.clock.monotonic();
            // Manifests are all gone before anything else goes.
            for batch in
                second.chunk_by(|(a, _), (b, _)| a.contains("/manifests/") == b.contains("/manifests/"))
            {
                futures::stream::iter(batch.to_vec())
                    .map(|(name, size)| async move {
                        self.bucket.delete(&self.keys.relative(&name)).await.map(|()| size)
                    })
                    .buffer_unordered(DELETES_IN_FLIGHT)
                    .try_for_each(|size| {
                        so_far.done += 1;
                        so_far.bytes += size;
                        progress(so_far);
                        std::future::ready(Ok(()))
                    })
                    .await?;
            }
            let taken = self.bucket.environment.clock.monotonic().saturating_sub(started);
            if so_far.done < so_far.total && second.len() == rate as usize {
                self.bucket.environment.clock.sleep(Duration::from_secs(1).saturating_sub(taken)).await;
            }
        }
        Ok(())
    }

    async fn remove_spent(&self, earlier: &[condemned::Earlier]) -> Result<(), CollectError> {
        if earlier.is_empty() {
            return Ok(());
        }
        let listed = self.bucket.list_all(self.keys.root(), crate::reachability::MAX_OBJECTS).await;
        let listed = listed.map_err(ReadError::from)?.into_iter();
        let left = listed.filter_map(|left| self.keys.within(&left.key).map(str::to_owned)).collect();
        Ok(condemned::remove_spent(self.bucket, earlier, &left).await?)
    }
}

/// The stream of a slot that goes because a merged object has what it holds.
fn replaced(name: &str, walked: &Report) -> Option<(BranchName, StreamId)> {
    let (branch, stream, _) = slot(name)?;
    Some((branch, stream)).filter(|stream| walked.replaced.contains(stream))
}

fn names(to_delete: &[(String, u64)]) -> Vec<String> {
    to_delete.iter().map(|(name, _)| name.clone()).collect()
}

fn report(walked: Report, to_delete: &[(String, u64)], policy: &Policy, more: bool) -> Collected {
    let deleted =
        Tally { count: to_delete.len() as u64, bytes: to_delete.iter().map(|(_, size)| size).sum() };
    let there = [walked.reachable, walked.ended, walked.under_way, walked.unknown].into_iter();
    let all = there.fold(Tally::default(), |all, part| Tally {
        count: all.count + part.count,
        bytes: all.bytes + part.bytes,
    });
    let mut keys: Vec<String> = to_delete.iter().take(LISTED).map(|(name, _)| name.clone()).collect();
    keys.sort();
    Collected {
        kept: Tally { count: all.count - deleted.count, bytes: all.bytes - deleted.bytes },
        location: walked.location,
        deleted,
        keys,
        next_expiry: walked.next_past.and_then(|since| since.checked_add(policy.recovery_window).ok()),
        recoverable_from: walked.recoverable_from,
        merged: 0,
        dry_run: policy.dry_run,
        more,
    }
}
