//! Standing of objects that nothing refers to, by their keys and the roots. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::format::catalogue::{CatalogueEntry, SnapshotData};
use crate::format::head::Head;
use crate::format::name::ObjectName;
use crate::format::pin::{Pin, PinKind};
use crate::format::tenant::{Stage, TenantRecord};
use crate::identity::{BranchName, Lineage};
use crate::position::StreamId;

/// Standing of an object that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", content = "why", rename_all = "camelCase")]
pub enum Standing {
    /// Its attempt ended: no process can refer to it any more. It may be collected.
    Ended(String),
    /// A process that may still run made it and may refer to it.
    UnderWay(String),
    /// Roost does not write objects of this name.
    Unknown(String),
}

/// The objects that decide over the rest of a tenant's prefix. Keys of the maps are relative to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Roots {
    pub(super) record: Option<TenantRecord>,
    pub(super) heads: BTreeMap<BranchName, Head>,
    pub(super) pins: BTreeMap<String, Pin>,
    pub(super) catalogue: BTreeMap<String, CatalogueEntry>,
    /// Manifests that are there, as of a listing.
    pub(super) manifests: BTreeSet<String>,
    /// Roots that were listed and are gone since, or cannot be read (which is a finding of its own).
    pub(super) unread: BTreeSet<String>,
}

impl Roots {
    /// Standing of the object with this key, if nothing reaches it; none for lists of condemned objects and for roots,
    /// except pins that nobody uses.
    pub(super) fn standing(&self, relative: &str) -> Option<Standing> {
        if relative == "tenant.json" || self.unread.contains(relative) {
            return None;
        }
        let made = match relative.split_once('/') {
            Some(("packs", name)) => name.parse().ok().map(Made::of_pack),
            Some(("pages", name)) => name.parse().ok().map(Made::of_publish),
            Some(("branches", rest)) => {
                let Some((branch, rest)) = rest.split_once('/') else { return Some(unknown()) };
                match (BranchName::new(branch), rest.split_once('/')) {
                    (Ok(_), None) if rest == "HEAD" => return None,
                    (Ok(branch), Some(("manifests", numbered))) => {
                        let name = numbered.split_once('-').and_then(|(_, name)| name.parse().ok());
                        name.filter(|name: &ObjectName| name.branch == branch).map(Made::of_publish)
                    }
                    (Ok(branch), Some(("merged", stream))) => {
                        stream.parse().ok().map(|stream| Made::of_stream(branch, stream))
                    }
                    (Ok(branch), Some(("wal", slot))) => {
                        let stream = slot.split_once('/').and_then(|(stream, _)| stream.parse().ok());
                        stream.map(|stream| Made::of_stream(branch, stream))
                    }
                    _ => None,
                }
            }
            Some(("pins", _)) if self.pins.contains_key(relative) => return self.unused(relative),
            Some(("catalogue", _)) if self.catalogue.contains_key(relative) => return None,
            // Its run removes it, or the next one.
            Some(("condemned", _)) => return None,
            _ => None,
        };
        Some(made.map_or_else(unknown, |made| self.attempt(&made)))
    }

    /// Whether the attempt that made an object has ended: never by its age, only by what HEAD says.
    fn attempt(&self, name: &Made) -> Standing {
        let Some(head) = self.heads.get(&name.branch) else {
            let creating = self.record.as_ref().is_some_and(|record| record.stage == Stage::Creating);
            // A restore writes everything before HEAD.
            return if creating && name.branch == BranchName::main() {
                Standing::UnderWay("the tenant is being restored".into())
            } else {
                Standing::Ended(format!("branch {} is gone", name.branch))
            };
        };
        if head.lineage != name.lineage {
            return Standing::Ended(format!("branch {} has another history", name.branch));
        }
        let (epoch, number) = (name.epoch, name.manifest);
        // While HEAD names a stream, whoever writes it may still put something there: a higher epoch ends nothing.
        if let Some(stream) = name.stream
            && head.stream == Some(stream)
            && !head.sealed
        {
            return Standing::UnderWay(format!("for the stream after manifest {}", stream.manifest));
        }
        if epoch < head.epoch {
            return Standing::Ended(format!("epoch {epoch} is over, {} follows", head.epoch));
        }
        if epoch == head.epoch && number <= head.number() {
            return Standing::Ended(format!("manifest {} followed", head.number()));
        }
        if epoch == head.epoch && head.sealed {
            return Standing::Ended(format!("epoch {epoch} is sealed"));
        }
        let holder = head.holder.as_ref().map_or("nobody", |holder| &holder.name);
        Standing::UnderWay(format!("made for manifest {number}; {holder} holds the branch"))
    }

    /// Whether this is a pin that neither a branch nor a snapshot uses (yet).
    pub(super) fn is_unused(&self, relative: &str) -> bool {
        self.unused(relative).is_some()
    }

    /// Standing of a pin that nobody uses; none if it is in use.
    fn unused(&self, relative: &str) -> Option<Standing> {
        let pin = self.pins.get(relative)?;
        let (kind, name) = (pin.kind.as_str(), &pin.name);
        let taken = self.catalogue.values().find(|entry| entry.uid == pin.uid);
        let used = match (pin.kind, taken) {
            (PinKind::Snapshot, Some(CatalogueEntry { data: SnapshotData::Native { pin }, .. })) => {
                pin == relative
            }
            (PinKind::Branch, _) => self.heads.values().any(|head| head.uid.as_deref() == Some(&pin.uid)),
            _ => false,
        };
        if used {
            return None;
        }
        Some(match taken {
            // The entry was written by a later attempt, and there is one only.
            Some(entry) => Standing::Ended(format!("snapshot {} was taken by another attempt", entry.name)),
            None => Standing::UnderWay(format!("pin for {kind} {name}, which is not there (yet)")),
        })
    }
}

/// The attempt that made an object, as the object's name tells it.
struct Made {
    branch: BranchName,
    lineage: Lineage,
    epoch: u64,
    /// The manifest that ends the attempt when HEAD names it, or a later one.
    manifest: u64,
    /// The stream that may still come to refer to it.
    stream: Option<StreamId>,
}

impl Made {
    /// A page or manifest: made for one publish.
    fn of_publish(name: ObjectName) -> Self {
        let ObjectName { branch, lineage, epoch, manifest, .. } = name;
        Self { branch, lineage, epoch, manifest, stream: None }
    }

    /// A pack: made for a publish, or for the stream before it, whose chunks that publish takes over.
    fn of_pack(name: ObjectName) -> Self {
        let manifest = name.manifest.saturating_sub(1);
        let stream = StreamId { lineage: name.lineage, epoch: name.epoch, manifest };
        Self { stream: Some(stream), ..Self::of_publish(name) }
    }

    /// A slot of a stream, which is over when HEAD names the manifest after it.
    fn of_stream(branch: BranchName, stream: StreamId) -> Self {
        let StreamId { lineage, epoch, manifest } = stream;
        Self { branch, lineage, epoch, manifest: manifest + 1, stream: Some(stream) }
    }
}

fn unknown() -> Standing {
    Standing::Unknown("not a name that Roost gives".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Holder, Lineage, ObjectId, PutId};
    use crate::position::Position;
    use jiff::Timestamp;

    const LINEAGE: Lineage = Lineage::from_bytes([1; 16]);

    fn name(branch: &str, lineage: Lineage, epoch: u64, manifest: u64) -> ObjectName {
        let branch = BranchName::new(branch).unwrap();
        ObjectName { branch, lineage, epoch, manifest, id: ObjectId::from_bytes([7; 16]) }
    }

    /// Branch main: epoch 3, manifest 5 of epoch 2 is the last.
    fn roots(sealed: bool) -> Roots {
        let main = BranchName::main();
        let position = Position {
            branch: main.clone(),
            lineage: LINEAGE,
            epoch: 2,
            manifest: 5,
            id: ObjectId::from_bytes([7; 16]),
            sequence: 0,
            offset: 0,
            stream_epoch: None,
        };
        let head = Head {
            put_id: PutId::from_bytes([2; 16]),
            branch: main.clone(),
            uid: None,
            object: None,
            lineage: LINEAGE,
            epoch: 3,
            holder: Some(Holder { name: "rt-1".into(), id: "1".into() }),
            manifest: Some(position.clone()),
            source: None,
            stream: Some(stream(3, 5)),
            sealed,
            deleted: false,
            last_commit: None,
        };
        let pin = |kind, name: &str, uid: &str| Pin {
            put_id: PutId::from_bytes([3; 16]),
            kind,
            name: name.into(),
            uid: uid.into(),
            position: position.clone(),
            created: Timestamp::UNIX_EPOCH,
        };
        let taken = CatalogueEntry {
            put_id: PutId::from_bytes([4; 16]),
            name: "nightly".into(),
            uid: "s1".into(),
            taken_by: None,
            data: SnapshotData::Native { pin: "pins/snapshot-nightly-1".into() },
            position: position.clone(),
            last_commit: None,
            size: 1,
            created: Timestamp::UNIX_EPOCH,
        };
        let dev = BranchName::new("dev").unwrap();
        let dev_head = Head { branch: dev.clone(), uid: Some("b1".into()), ..head.clone() };
        Roots {
            record: None,
            heads: [(main, head), (dev, dev_head)].into(),
            pins: [
                ("pins/snapshot-nightly-1".to_owned(), pin(PinKind::Snapshot, "nightly", "s1")),
                ("pins/snapshot-nightly-2".to_owned(), pin(PinKind::Snapshot, "nightly", "s1")),
                ("pins/branch-dev-1".to_owned(), pin(PinKind::Branch, "dev", "b1")),
                ("pins/branch-dev-2".to_owned(), pin(PinKind::Branch, "dev", "b0")),
                ("pins/reader-x-1".to_owned(), pin(PinKind::Reader, "x", "r1")),
            ]
            .into(),
            catalogue: [("catalogue/nightly".to_owned(), taken)].into(),
            manifests: BTreeSet::new(),
            unread: BTreeSet::new(),
        }
    }

    fn stream(epoch: u64, manifest: u64) -> StreamId {
        StreamId { lineage: LINEAGE, epoch, manifest }
    }

    fn kind(standing: Option<&Standing>) -> &'static str {
        match standing {
            None => "root",
            Some(Standing::Ended(_)) => "ended",
            Some(Standing::UnderWay(_)) => "under way",
            Some(Standing::Unknown(_)) => "unknown",
        }
    }

    #[test]
    fn what_nothing_refers_to_is_told_by_its_name_and_head() {
        let pack =
            |branch, lineage, epoch, manifest| format!("packs/{}", name(branch, lineage, epoch, manifest));
        let manifest = |branch: &str, epoch, number: u64| {
            format!("branches/{branch}/manifests/{number:010}-{}", name("main", LINEAGE, epoch, number))
        };
        let slot = |branch: &str, stream: StreamId| format!("branches/{branch}/wal/{stream}/0000000001");
        let other = Lineage::from_bytes([9; 16]);
        let table = [
            ("tenant.json".to_owned(), "root"),
            ("branches/main/HEAD".to_owned(), "root"),
            ("catalogue/nightly".to_owned(), "root"),
            ("condemned/1".to_owned(), "root"),
            ("pins/snapshot-nightly-1".to_owned(), "root"),
            ("pins/branch-dev-1".to_owned(), "root"),
            ("pins/snapshot-nightly-2".to_owned(), "ended"),
            ("pins/branch-dev-2".to_owned(), "under way"),
            ("pins/reader-x-1".to_owned(), "under way"),
            (pack("main", LINEAGE, 2, 9), "ended"),
            (pack("main", LINEAGE, 3, 5), "ended"),
            (pack("main", LINEAGE, 3, 6), "under way"),
            (pack("main", LINEAGE, 4, 1), "under way"),
            (pack("main", other, 3, 6), "ended"),
            (pack("gone", LINEAGE, 3, 6), "ended"),
            (manifest("main", 2, 6), "ended"),
            (manifest("main", 3, 6), "under way"),
            (manifest("dev", 3, 6), "unknown"),
            (slot("main", stream(2, 5)), "ended"),
            (slot("main", stream(3, 4)), "ended"),
            (slot("main", stream(3, 5)), "under way"),
            (slot("main", stream(3, 6)), "under way"),
            (slot("gone", stream(3, 6)), "ended"),
            ("branches/main/wal/x/0000000001".to_owned(), "unknown"),
            (format!("branches/main/merged/{}", stream(3, 4)), "ended"),
            (format!("branches/main/merged/{}", stream(3, 5)), "under way"),
            (format!("branches/main/merged/{}/1", stream(3, 4)), "unknown"),
            ("branches/main/notes.txt".to_owned(), "unknown"),
            ("packs/x".to_owned(), "unknown"),
            ("pins/mine".to_owned(), "unknown"),
            ("readme".to_owned(), "unknown"),
        ];
        for (key, expected) in table {
            assert_eq!(kind(roots(false).standing(&key).as_ref()), expected, "{key}");
        }
        let sealed = roots(true);
        assert_eq!(kind(sealed.standing(&pack("main", LINEAGE, 3, 6)).as_ref()), "ended");
        assert_eq!(kind(sealed.standing(&slot("main", stream(3, 5))).as_ref()), "ended");
        // Taken over without a seal: the owner before may still be at work on its stream, and on nothing else.
        let mut taken = roots(false);
        taken.heads.get_mut(&BranchName::main()).unwrap().stream = Some(stream(2, 5));
        assert_eq!(kind(taken.standing(&pack("main", LINEAGE, 2, 6)).as_ref()), "under way");
        assert_eq!(kind(taken.standing(&slot("main", stream(2, 5))).as_ref()), "under way");
        assert_eq!(kind(taken.standing(&pack("main", LINEAGE, 2, 7)).as_ref()), "ended");
    }
}
