//! The formats: golden files that every release must read, round trips, and damage that is always noticed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use roost_store::encryption::Codec;
use roost_store::format::catalogue::{CatalogueEntry, SnapshotData};
use roost_store::format::head::Head;
use roost_store::format::json::{self, Document};
use roost_store::format::manifest::{Manifest, PageRef};
use roost_store::format::merged;
use roost_store::format::name::ObjectName;
use roost_store::format::pack::{self, PackBuilder};
use roost_store::format::page::{self, ChunkEntry, Page};
use roost_store::format::pin::{Condemned, Pin, PinKind};
use roost_store::format::segment::{self, CarriedChunk, ChunkPlace, Commit, Seal, Segment, Slot, StoredWal};
use roost_store::format::tenant::{DataSource, Stage, TenantRecord};
use roost_store::identity::{ObjectId, PutId};
use roost_store::position::{StreamEnd, StreamId};
use roost_store::snapshot_folder::FolderOwner;
use roost_store::{BranchName, DataKey, DatabaseId, FormatError, Holder, Lineage, Owner, Position};

const PUT_ID: PutId = PutId::from_bytes([3; 16]);
const LINEAGE: Lineage = Lineage::from_bytes([1; 16]);
const PARENT: Lineage = Lineage::from_bytes([2; 16]);

fn time() -> jiff::Timestamp {
    "2026-11-20T10:00:00.000001Z".parse().unwrap()
}

fn owner() -> Owner {
    Owner { cluster_id: "c".into(), namespace_uid: "n".into(), tenant_uid: "t".into() }
}

fn name(lineage: Lineage, id: u8) -> ObjectName {
    let branch = BranchName::new("dev").unwrap();
    ObjectName { branch, lineage, epoch: 4, manifest: 7, id: ObjectId::from_bytes([id; 16]) }
}

fn position() -> Position {
    Position {
        branch: BranchName::main(),
        lineage: PARENT,
        epoch: 3,
        manifest: 6,
        id: ObjectId::from_bytes([4; 16]),
        sequence: 0,
        offset: 0,
        stream_epoch: None,
    }
}

fn head() -> Head {
    Head {
        put_id: PUT_ID,
        branch: BranchName::new("dev").unwrap(),
        uid: Some("uid".into()),
        object: None,
        lineage: LINEAGE,
        epoch: 4,
        holder: Some(Holder { name: "rt-1".into(), id: "pod-uid".into() }),
        manifest: None,
        source: Some(position()),
        stream: Some(StreamId { lineage: LINEAGE, epoch: 4, manifest: 0 }),
        sealed: false,
        deleted: false,
        last_commit: Some(time()),
    }
}

fn manifest() -> Manifest {
    let stream = StreamId { lineage: PARENT, epoch: 3, manifest: 6 };
    Manifest {
        put_id: PUT_ID,
        branch: BranchName::new("dev").unwrap(),
        lineage: LINEAGE,
        epoch: 4,
        number: 1,
        id: ObjectId::from_bytes([5; 16]),
        parent: Some(position()),
        parent_end: Some(StreamEnd { stream, sequence: 0, length: 0, hash: String::new() }),
        lineages: vec![LINEAGE, PARENT],
        file_size: 12_288,
        database_id: DatabaseId::from_bytes([6; 16]),
        engine_version: "1.5.5".into(),
        storage_version: "v1.5.0".into(),
        pages: vec![PageRef { name: name(LINEAGE, 8), hash: "0".repeat(64) }],
        boot: vec![0],
        last_commit: Some(time()),
        written: time(),
    }
}

fn entry() -> CatalogueEntry {
    CatalogueEntry {
        put_id: PUT_ID,
        name: "nightly".into(),
        uid: "uid".into(),
        taken_by: None,
        data: SnapshotData::Native { pin: "pins/snapshot-nightly-x".into() },
        position: position(),
        last_commit: None,
        size: 12_288,
        created: time(),
    }
}

/// Origins that data may have, with the golden files of such tenants.
fn sources() -> [(DataSource, &'static str); 4] {
    let (tenant, name) = ("acme".to_owned(), "nightly".to_owned());
    let snapshot = DataSource::Snapshot { tenant: Some(tenant.clone()), name, position: Some(position()) };
    [
        (DataSource::Empty, "tenant-of-nothing.json"),
        (DataSource::InitScript { hash: Some("00".repeat(32)) }, "tenant-of-script.json"),
        (snapshot, "tenant-of-snapshot.json"),
        (DataSource::Moment { tenant, time: time() }, "tenant-of-moment.json"),
    ]
}

fn small_page() -> Page {
    let chunk = |pack, offset| ChunkEntry { pack, offset, length: 100, hash: [9; 32] };
    Page {
        name: name(LINEAGE, 8),
        index: 0,
        packs: vec![name(PARENT, 1), name(LINEAGE, 2)],
        chunks: vec![chunk(0, 90), chunk(1, 90), chunk(1, 190)],
    }
}

/// As tenants store that have no data key, and that have one; and what their golden files are called.
fn codecs() -> [(&'static str, Codec); 2] {
    let key = DataKey::from_hex("test", &"5a".repeat(32)).unwrap();
    [("", Codec::default()), ("-encrypted", Codec::new(Some(&key)))]
}

fn small_pack(codec: &Codec) -> Vec<u8> {
    let mut builder = PackBuilder::new(name(LINEAGE, 2), codec);
    for index in [0, 5] {
        let raw = vec![u8::try_from(index).unwrap(); 500];
        builder.push(
            index,
            &codec.store_chunk(LINEAGE, index, &raw).unwrap(),
            codec.chunk_hash(LINEAGE, index, &raw),
        );
    }
    builder.finish().1
}

fn small_segment(codec: &Codec) -> Segment {
    let wal: &[u8] = b"a commit, another commit";
    let stream = StreamId { lineage: LINEAGE, epoch: 4, manifest: 7 };
    let (stored, raw) = (codec.store_chunk(LINEAGE, 3, &[4; 500]).unwrap(), [4; 500]);
    let place = ChunkPlace::Inline(stored.into());
    let inline = CarriedChunk { index: 3, hash: codec.chunk_hash(LINEAGE, 3, &raw), place };
    let place = ChunkPlace::Packed { pack: 0, offset: 90, length: 100 };
    let later = time() + jiff::SignedDuration::from_micros(1);
    Segment {
        put_id: PUT_ID,
        branch: BranchName::new("dev").unwrap(),
        stream,
        sequence: 2,
        base: 50,
        encryption: codec.encryption(),
        wal: StoredWal { length: wal.len(), stored: codec.store_wal(&stream, 2, wal).unwrap().into() },
        wal_hash: [7; 32],
        commits: vec![Commit { end: 58, time: time() }, Commit { end: 74, time: later }],
        file_size: 12_288 + 9 * 262_144,
        packs: vec![name(LINEAGE, 2)],
        chunks: vec![inline, CarriedChunk { index: 8, hash: [9; 32], place }],
    }
}

fn seal() -> Seal {
    Seal {
        put_id: PUT_ID,
        branch: BranchName::new("dev").unwrap(),
        stream: StreamId { lineage: LINEAGE, epoch: 4, manifest: 7 },
        sequence: 3,
        epoch: 5,
        last_commit: Some(time()),
    }
}

/// Compares with the golden file; `ROOST_BLESS=1` writes it (only for a new kind or version).
fn golden(file: &str, bytes: &[u8]) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("ROOST_BLESS").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert_eq!(bytes, kept, "{file} is written differently now: raise the version, keep reading the old one");
    kept
}

fn golden_document<T: Document + PartialEq + std::fmt::Debug>(file: &str, document: &T) {
    let kept = golden(file, &json::encode(document));
    assert_eq!(json::decode::<T>(&kept).unwrap(), *document);
    damaged(&kept, |bytes| json::decode::<T>(bytes).map(drop));
}

/// Every single altered byte and every truncation is an error, and never a panic.
fn damaged(whole: &[u8], decode: impl Fn(&[u8]) -> Result<(), FormatError>) {
    decode(whole).unwrap();
    let mut bytes = whole.to_vec();
    for at in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80, 0xff] {
            bytes[at] ^= flip;
            assert!(decode(&bytes).is_err(), "byte {at} flipped by {flip} goes unnoticed");
            bytes[at] ^= flip;
        }
        assert!(decode(&whole[..at]).is_err(), "cut to {at} bytes goes unnoticed");
    }
    bytes.push(b'\n');
    assert!(decode(&bytes).is_err(), "an added byte goes unnoticed");
}

#[test]
fn json_objects_are_as_documented() {
    golden_document("head-awake.json", &head());
    golden_document("head-asleep.json", &Head { sealed: true, ..head() });
    // What version 0.1.0 wrote of a branch that was awake.
    let kept = include_bytes!("golden/head.json");
    assert_eq!(json::decode::<Head>(kept).unwrap(), head());
    golden_document("head-of-object.json", &Head { object: Some("acme-dev".into()), ..head() });
    golden_document("manifest.json", &manifest());
    manifest().check().unwrap();
    golden_document("catalogue.json", &entry());
    let kept = CatalogueEntry { taken_by: Some("earlier".into()), ..entry() };
    golden_document("catalogue-reattached.json", &kept);
    let pin = Pin {
        put_id: PUT_ID,
        kind: PinKind::Branch,
        name: "dev".into(),
        uid: "uid".into(),
        position: position(),
        created: time(),
    };
    golden_document("pin.json", &pin);
    golden_document("condemned.json", &Condemned { put_id: PUT_ID, keys: vec!["packs/x".into()] });
    let record = TenantRecord {
        put_id: PUT_ID,
        owner: owner(),
        stage: Stage::Created,
        created: time(),
        adopted_from: None,
        restoring: None,
        former_names: Vec::new(),
        source: None,
        data_key: None,
    };
    golden_document("tenant.json", &record);
    golden_document(
        "tenant-copied.json",
        &TenantRecord { former_names: vec!["acme".into()], ..record.clone() },
    );
    for (source, file) in sources() {
        golden_document(file, &TenantRecord { source: Some(source), ..record.clone() });
    }
    golden_document("tenant-encrypted.json", &TenantRecord { data_key: Some("2026:00".into()), ..record });
    golden_document("owner.json", &FolderOwner { put_id: PUT_ID, owner: owner(), uid: "uid".into() });
}

#[test]
fn binary_objects_are_as_documented() {
    let kept = golden("page.bin", &page::encode(&small_page()));
    assert_eq!(page::decode(&kept).unwrap(), small_page());
    damaged(&kept, |bytes| page::decode(bytes).map(drop));
}

#[test]
fn packs_are_as_documented() {
    for (suffix, codec) in codecs() {
        let kept = golden(&format!("pack{suffix}.bin"), &small_pack(&codec));
        let (own, encryption, index) = pack::decode(&kept).unwrap();
        assert_eq!((own, index.len(), encryption), (name(LINEAGE, 2), 2, codec.encryption()));
        for chunk in index {
            let stored = &kept[chunk.offset as usize..(chunk.offset + chunk.length) as usize];
            let restore =
                |lineage, index, length| codec.restore_chunk(stored, lineage, index, length, &chunk.hash);
            let raw = restore(LINEAGE, chunk.index, 500).unwrap();
            assert_eq!(raw, vec![u8::try_from(chunk.index).unwrap(); 500]);
            assert!(restore(PARENT, chunk.index, 500).is_err(), "another lineage");
            assert!(restore(LINEAGE, chunk.index + 1, 500).is_err(), "another chunk");
            assert!(restore(LINEAGE, chunk.index, 499).is_err(), "another length");
            for (_, other) in codecs().iter().filter(|(_, other)| other.encryption() != encryption) {
                assert!(other.restore_chunk(stored, LINEAGE, chunk.index, 500, &chunk.hash).is_err());
            }
        }
        damaged(&kept, |bytes| pack::decode(bytes).map(drop));
    }
}

/// Nobody who sees the bucket and guesses a chunk or a commit can tell whether the guess is right.
#[test]
fn encrypted_objects_show_nothing_of_what_they_hold() {
    let [(_, plain), (_, secret)] = codecs();
    let (raw, wal) = (b"what nobody may read".repeat(20), b"nor this, nor this, nor this");
    assert_ne!(plain.chunk_hash(LINEAGE, 0, &raw), secret.chunk_hash(LINEAGE, 0, &raw));
    let stored = secret.store_chunk(LINEAGE, 0, &raw).unwrap();
    let stream = StreamId { lineage: LINEAGE, epoch: 1, manifest: 1 };
    let shipped = secret.store_wal(&stream, 1, wal).unwrap();
    for clear in [&plain.store_chunk(LINEAGE, 0, &raw).unwrap()[..], &raw[..8], &wal[..8]] {
        assert!(
            ![&stored, &shipped].iter().any(|sealed| sealed.windows(clear.len()).any(|part| part == clear))
        );
    }
    assert_eq!(secret.restore_wal(&stream, 1, &shipped, wal.len()).unwrap(), wal);
    let other = StreamId { manifest: 2, ..stream };
    for (stream, sequence, length) in [(stream, 2, wal.len()), (other, 1, wal.len()), (stream, 1, 3)] {
        assert!(secret.restore_wal(&stream, sequence, &shipped, length).is_err());
    }
}

#[test]
fn slots_are_as_documented() {
    let [plain, secret] = codecs().map(|(_, codec)| Slot::Segment(small_segment(&codec)));
    let slots = [
        ("segment.bin", plain),
        ("segment-encrypted.bin", secret),
        ("seal.bin", Slot::Seal(seal())),
        ("seal-of-nothing.bin", Slot::Seal(Seal { last_commit: None, ..seal() })),
    ];
    for (file, slot) in slots {
        let kept = golden(file, &segment::encode(&slot).unwrap());
        assert_eq!(segment::decode(&kept).unwrap(), slot);
        damaged(&kept, |bytes| segment::decode(bytes).map(drop));
    }
}

#[test]
fn merged_streams_are_as_documented() {
    let segment = small_segment(&Codec::default());
    let next = Segment { sequence: 3, base: 74, ..segment.clone() };
    let next = Segment { commits: vec![Commit { end: 98, time: time() }], ..next };
    let (branch, stream, segments) = (segment.branch.clone(), segment.stream, vec![segment, next]);
    let kept = golden("merged.bin", &merged::encode(&branch, stream, &segments).unwrap().unwrap());
    assert_eq!(merged::decode(&kept).unwrap(), (branch.clone(), stream, segments.clone()));
    damaged(&kept, |bytes| merged::decode(bytes).map(drop));
    let large = vec![7; 60 << 20].into();
    let wal = StoredWal { stored: large, ..segments[0].wal.clone() };
    let long = Segment { wal, ..segments[0].clone() };
    assert_eq!(merged::encode(&branch, stream, &[long]).unwrap(), None, "more than one object may have");
}

#[test]
fn a_segment_whose_members_disagree_is_refused() {
    let breaks: [fn(&mut Segment); 9] = [
        |s| s.sequence = 0,
        |s| s.commits.clear(),
        |s| s.commits[1].end -= 1,
        |s| s.commits[0].end = s.base,
        |s| s.commits[1].time = s.commits[0].time,
        |s| s.commits.swap(0, 1),
        |s| s.chunks.reverse(),
        |s| s.packs.clear(),
        |s| s.file_size = u64::MAX,
    ];
    for (number, change) in breaks.into_iter().enumerate() {
        let mut segment = small_segment(&Codec::default());
        change(&mut segment);
        assert!(segment::encode(&Slot::Segment(segment)).is_err(), "{number}");
    }
}

/// Replaces the checksum, so that only what the checksum does not cover can object.
fn resealed(text: &str) -> Vec<u8> {
    let body = text.split_once(",\"checksum\"").unwrap().0;
    format!("{body},\"checksum\":\"{}\"}}", blake3::hash(body.as_bytes()).to_hex()).into_bytes()
}

#[test]
fn newer_versions_are_named_and_unknown_members_tolerated() {
    let head = || Head { sealed: true, ..head() };
    let text = String::from_utf8(json::encode(&head())).unwrap();
    let more = resealed(&text.replacen("\"epoch\"", "\"color\":[1],\"epoch\"", 1));
    assert_eq!(json::decode::<Head>(&more).unwrap(), head());
    let newer = resealed(&text.replacen("\"version\":1", "\"version\":3", 1));
    assert_eq!(json::decode::<Head>(&newer).unwrap_err(), FormatError::Version { found: 3, supported: 2 });
    assert!(matches!(json::decode::<Pin>(text.as_bytes()), Err(FormatError::Damaged(_))), "another kind");
    for (at, value, encrypted) in [(8, 2, false), (10, 1, true)] {
        let mut bytes = page::encode(&small_page());
        bytes[at] = value;
        let body = bytes.len() - 32;
        let hash = blake3::hash(&bytes[..body]);
        bytes[body..].copy_from_slice(hash.as_bytes());
        let error = page::decode(&bytes).unwrap_err();
        assert_eq!(matches!(error, FormatError::Encrypted(1)), encrypted, "{error}");
        assert_eq!(matches!(error, FormatError::Version { found: 2, .. }), !encrypted, "{error}");
    }
}

#[test]
fn a_manifest_whose_members_disagree_is_refused() {
    let breaks: [fn(&mut Manifest); 4] =
        [|m| m.file_size = 2 << 30, |m| m.lineages.reverse(), |m| m.number = 0, |m| m.pages.clear()];
    for (number, damage) in breaks.into_iter().enumerate() {
        let mut manifest = manifest();
        damage(&mut manifest);
        assert!(manifest.check().is_err(), "break {number}");
    }
}

fn any_name() -> impl Strategy<Value = ObjectName> {
    let branch = "[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?".prop_map(|name| BranchName::new(name).unwrap());
    (branch, any::<([u8; 16], u64, u64, [u8; 16])>()).prop_map(|(branch, (lineage, epoch, manifest, id))| {
        let (lineage, id) = (Lineage::from_bytes(lineage), ObjectId::from_bytes(id));
        ObjectName { branch, lineage, epoch, manifest, id }
    })
}

fn any_page() -> impl Strategy<Value = Page> {
    (any_name(), any::<u64>(), prop::collection::vec(any_name(), 1..20)).prop_flat_map(
        |(name, index, packs)| {
            let packs_count = u16::try_from(packs.len()).unwrap();
            let entry = (0..packs_count, 0..30_000_000_u32, 0..300_000_u32, any::<[u8; 32]>())
                .prop_map(|(pack, offset, length, hash)| ChunkEntry { pack, offset, length, hash });
            prop::collection::vec(entry, 1..60).prop_map(move |chunks| {
                let (name, packs) = (name.clone(), packs.clone());
                Page { name, index, packs, chunks }
            })
        },
    )
}

proptest! {
    #[test]
    fn names_come_back(name in any_name()) {
        prop_assert_eq!(name.to_string().parse::<ObjectName>().unwrap(), name);
    }

    #[test]
    fn pages_come_back(page in any_page()) {
        prop_assert_eq!(page::decode(&page::encode(&page)).unwrap(), page);
    }

    #[test]
    fn a_damaged_page_is_noticed(page in any_page(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut bytes = page::encode(&page);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(page::decode(&bytes).is_err());
        prop_assert!(page::decode(&bytes[..at]).is_err());
    }

    #[test]
    fn packs_come_back(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3_000), 1..8)) {
        let codec = Codec::default();
        let mut builder = PackBuilder::new(name(LINEAGE, 2), &codec);
        for (index, raw) in chunks.iter().enumerate() {
            let index = index as u64;
            builder.push(index, &codec.store_chunk(LINEAGE, index, raw).unwrap(), codec.chunk_hash(LINEAGE, index, raw));
        }
        let (_, bytes, built) = builder.finish();
        let (_, _, index) = pack::decode(&bytes).unwrap();
        prop_assert_eq!(&built, &index);
        for chunk in index {
            let raw = &chunks[usize::try_from(chunk.index).unwrap()];
            let stored = &bytes[chunk.offset as usize..(chunk.offset + chunk.length) as usize];
            prop_assert_eq!(&codec.restore_chunk(stored, LINEAGE, chunk.index, raw.len(), &chunk.hash).unwrap(), raw);
        }
    }

    #[test]
    fn anything_else_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(page::decode(&bytes).is_err());
        prop_assert!(pack::decode(&bytes).is_err());
        prop_assert!(json::decode::<Head>(&bytes).is_err());
        for (_, codec) in codecs() {
            prop_assert!(codec.restore_chunk(&bytes, LINEAGE, 0, 100, &[0; 32]).is_err());
        }
    }
}
