//! Becoming the owner of a branch.

use std::sync::Arc;

use super::error::TakeOverError;
use super::owned::OwnedBranch;
use super::proof::Proof;
use super::store::BranchStore;
use crate::bucket::Settled;
use crate::format::ReadError;
use crate::format::head::Head;
use crate::format::tenant::TenantRecord;
use crate::identity::{Holder, PutId};
use crate::object::{Condition, ETag, ObjectError};
use crate::position::StreamId;
use crate::state::{self, LoadedState, LoadedWal};
use crate::stream::{self, SealError};
use roost_protocol::grant::Takeover;

/// Most writes of HEAD in one takeover. One fails if the previous holder publishes between our read and our write.
const MAX_RACES: usize = 16;

impl BranchStore {
    /// Takes the branch over: HEAD {epoch + 1, holder}. Checks that the prefix has this owner.
    ///
    /// When the branch's state turns out to be unreadable, HEAD is sealed again (at the new epoch) before the
    /// error is returned, so that a later attempt needs no proof about this process.
    pub async fn take_over(
        &self,
        holder: &Holder,
        takeover: Takeover,
    ) -> Result<Arc<OwnedBranch>, TakeOverError> {
        let key = self.keys.head(&self.name);
        let tenant_key = self.keys.tenant();
        let (tenant, found) =
            futures::join!(self.bucket.read::<TenantRecord>(&tenant_key), self.bucket.find::<Head>(&key));
        let (tenant, _) = tenant?;
        if tenant.owner != self.owner {
            return Err(TakeOverError::OwnedElsewhere(tenant.owner));
        }
        // A mistake here would write in the clear what is to be secret.
        self.bucket.codec.check_tenant(tenant.data_key.is_some())?;
        let (mut head, mut etag) = found?.ok_or_else(|| TakeOverError::NotFound(self.name.clone()))?;
        let (first_epoch, lineage) = (head.epoch, head.lineage);
        for _ in 0..MAX_RACES {
            self.check(&head, takeover)?;
            let next = taken(&head, holder, PutId::from_bytes(self.bucket.environment.random_id()));
            let sent = self.bucket.environment.clock.monotonic();
            let condition = Condition::IfMatch(etag);
            let (settled, state) =
                futures::join!(self.bucket.settle(&key, &next, &condition), self.load_state(&head));
            match settled? {
                Settled::Mine(etag) => {
                    let state = self.recover(&next, state).await;
                    return self.own(next, etag, Proof { sent }, (state?, tenant.former_names)).await;
                }
                Settled::Other(None) => return Err(TakeOverError::NotFound(self.name.clone())),
                // The previous holder published or sealed: once more, on its newer HEAD.
                Settled::Other(Some((other, newer)))
                    if other.epoch == first_epoch && other.lineage == lineage =>
                {
                    (head, etag) = (other, newer);
                }
                Settled::Other(Some((other, _))) => return Err(self.lost(other)),
            }
        }
        Err(self.lost(head))
    }

    fn check(&self, head: &Head, takeover: Takeover) -> Result<(), TakeOverError> {
        if head.branch != self.name {
            let why = format!("it is the HEAD of branch {}", head.branch);
            return Err(ReadError::Mismatch { key: self.keys.head(&self.name), why }.into());
        }
        if head.deleted {
            return Err(TakeOverError::NotFound(self.name.clone()));
        }
        // Nobody holds a restored branch, which has WAL and was never opened.
        if !head.sealed && head.holder.is_some() && takeover == Takeover::OnlySealed {
            return Err(TakeOverError::NotSealed { branch: self.name.clone(), holder: head.holder.clone() });
        }
        Ok(())
    }

    async fn load_state(&self, head: &Head) -> Result<Option<LoadedState>, ReadError> {
        match head.state() {
            Some(position) => state::load(&self.bucket, &self.keys, position).await.map(Some),
            None => Ok(None),
        }
    }

    /// Ends the stream that the owner before left, and adds what it holds to the state. The outer error ends the
    /// attempt and leaves HEAD as it is: that stream is part of the branch.
    async fn recover(
        &self,
        head: &Head,
        state: Result<Option<LoadedState>, ReadError>,
    ) -> Result<Result<Option<LoadedState>, ReadError>, TakeOverError> {
        let left = head.stream.filter(|stream| stream.epoch < head.epoch && head.manifest.is_some());
        let Some(id) = left else { return Ok(state) };
        let mut state = match state {
            Ok(Some(state)) => state,
            other => return Ok(other),
        };
        match stream::seal(&self.bucket, &self.keys, &self.name, id, head.epoch, head.last_commit).await {
            Ok(stream) => {
                let offset = stream.end.length;
                state.wal = Some(LoadedWal::new(stream, offset));
                Ok(Ok(Some(state)))
            }
            Err(SealError::Lost(epoch)) => {
                Err(TakeOverError::Lost { branch: self.name.clone(), epoch, holder: None })
            }
            Err(SealError::Read(error)) => Err(self.lost_or(head.epoch, error).await),
            Err(SealError::Write(error)) => Err(error.into()),
        }
    }

    async fn own(
        &self,
        head: Head,
        etag: ETag,
        proof: Proof,
        (state, former_names): (Result<Option<LoadedState>, ReadError>, Vec<String>),
    ) -> Result<Arc<OwnedBranch>, TakeOverError> {
        let (loaded, broken) = match state {
            Ok(loaded) => (loaded, None),
            Err(error) => (None, Some(error)),
        };
        let owned = Arc::new(OwnedBranch::new(self.clone(), (head, etag, proof), loaded, former_names));
        let Some(error) = broken else { return Ok(owned) };
        if let Err(not_sealed) = owned.relinquish().await {
            tracing::warn!(branch = %self.name, error = %not_sealed, "HEAD stays unsealed after a failed open");
        }
        // A manifest or page that HEAD names and that is gone is damage, not an answer about the branch.
        Err(match error {
            ReadError::Object(ObjectError::NotFound { key }) => {
                ReadError::Mismatch { key, why: "HEAD refers to it, and it does not exist".into() }.into()
            }
            error => error.into(),
        })
    }

    /// A stream that cannot be read is damage, unless another owner went on since: then it may be merged or gone.
    async fn lost_or(&self, epoch: u64, error: ReadError) -> TakeOverError {
        match self.bucket.find::<Head>(&self.keys.head(&self.name)).await {
            Ok(Some((other, _))) if other.epoch > epoch => self.lost(other),
            _ => error.into(),
        }
    }

    fn lost(&self, other: Head) -> TakeOverError {
        TakeOverError::Lost { branch: self.name.clone(), epoch: other.epoch, holder: other.holder }
    }
}

/// HEAD as the new owner writes it: everything else stays until its first publish.
fn taken(head: &Head, holder: &Holder, put_id: PutId) -> Head {
    let epoch = head.epoch + 1;
    let stream = match head.stream {
        Some(stream) if !head.sealed => Some(stream),
        _ => Some(StreamId { lineage: head.lineage, epoch, manifest: head.number() }),
    };
    Head { put_id, epoch, holder: Some(holder.clone()), stream, sealed: false, ..head.clone() }
}
