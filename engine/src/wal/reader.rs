//! Reads the log as it is appended to, in whatever pieces that comes. It keeps the first bytes of a record, no more.
use super::fields::{Fields, Unread};
use super::proof::{Contents, Doubt, Verdict};
use super::record::Record;
use super::renames::Renames;
use crate::mutation::{Mutation, broken};

/// Bytes of a record's frame: its size and its checksum.
const FRAME_BYTES: usize = 16;
/// Bytes of a record in which its kind must be told: three names may come before.
const MAX_KIND_BYTES: u64 = 64 * 1024;
/// Bytes within which the file's header ends.
const MAX_HEADER_BYTES: usize = 256;
/// Kind of the header, which is a record without a frame.
const VERSION_KIND: u64 = 98;
/// Number of the version whose header has the database's id and the checkpoint's number.
const WAL_VERSION: u64 = 2;

/// Part of the log that comes next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// The file's header.
    Header,
    /// The frame of a record.
    Frame,
    /// The first bytes of a record of so many, in which its kind is.
    Kind { size: u64 },
    /// The rest of a record, which nobody looks at.
    Rest { bytes: u64 },
    /// No part that is known: the log is not as this version of DuckDB writes it, or the place in it is lost.
    Unknown,
}

/// Reads a log.
#[derive(Debug)]
pub struct WalReader {
    next: Next,
    /// The beginning of what comes next.
    begun: Vec<u8>,
    /// Contents of the commit whose end has not come.
    contents: Contents,
    /// Verdict on the commits that have ended since the last [`Self::commit`].
    ended: Option<Verdict>,
    /// Whether one of them renamed a table.
    renamed: bool,
    renames: Renames,
}

impl WalReader {
    /// A reader for what follows `length` bytes of a log; `renames` are those of its database.
    pub fn after(length: u64, renames: Renames) -> Self {
        let next = if length == 0 { Next::Header } else { Next::Frame };
        Self { next, begun: Vec::new(), contents: Contents::default(), ended: None, renamed: false, renames }
    }

    /// More was appended.
    pub fn appended(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.next {
                Next::Header => self.header(bytes),
                Next::Frame => self.frame(bytes),
                Next::Kind { size } => self.kind(bytes, size),
                Next::Rest { bytes: rest } => self.rest(bytes, rest),
                Next::Unknown => &[],
            };
        }
    }

    /// All that was appended is committed: whether all of it may be left to a replay.
    pub fn commit(&mut self) -> Verdict {
        let whole = matches!(self.next, Next::Frame) && self.begun.is_empty() && self.contents.is_empty();
        let ended = self.ended.take();
        // A transaction that ends here is still open itself.
        let own = usize::from(std::mem::take(&mut self.renamed));
        let beside = self.renames.beside(own);
        if !whole {
            self.next = Next::Unknown;
            return Contents::unreadable().verdict();
        }
        match ended.unwrap_or_else(|| Contents::default().verdict()) {
            Verdict::Proven if beside && !broken(Mutation::ShipWhatIsNotProven) => {
                Verdict::Held(Doubt::BesideRename)
            }
            verdict => verdict,
        }
    }

    /// Takes notice that what was appended since the last commit was taken back; `length` bytes of the log are left.
    pub fn taken_back(&mut self, length: u64) {
        let lost = matches!(self.next, Next::Unknown) && length > 0;
        *self = Self::after(length, self.renames.clone());
        if lost {
            self.next = Next::Unknown;
        }
    }

    /// A part of a commit was taken back: nothing is known any more.
    pub fn lost(&mut self) {
        *self = Self { next: Next::Unknown, ..Self::after(0, self.renames.clone()) };
    }

    fn header<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let before = self.begun.len();
        self.begun.extend_from_slice(&bytes[..bytes.len().min(MAX_HEADER_BYTES - before)]);
        match read_header(&self.begun) {
            Ok(length) => {
                self.go_on(Next::Frame);
                // What was gathered before is shorter than the header.
                &bytes[length - before..]
            }
            Err(Unread::Short) if self.begun.len() < MAX_HEADER_BYTES => &[],
            Err(_) => {
                self.next = Next::Unknown;
                &[]
            }
        }
    }

    fn frame<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let bytes = self.gather(bytes, FRAME_BYTES);
        if let Some(size) = self.begun.get(..FRAME_BYTES).and_then(|frame| frame.first_chunk::<8>()) {
            let size = u64::from_le_bytes(*size);
            self.go_on(if size == 0 { Next::Unknown } else { Next::Kind { size } });
        }
        bytes
    }

    fn kind<'a>(&mut self, bytes: &'a [u8], size: u64) -> &'a [u8] {
        let most = usize::try_from(size.min(MAX_KIND_BYTES)).unwrap_or(usize::MAX);
        // A few bytes tell it, but for an alteration.
        let wanted = if self.begun.len() < 3 { most.min(3) } else { most };
        let bytes = self.gather(bytes, wanted);
        if self.begun.len() < wanted {
            return bytes;
        }
        let record = match Record::read(&self.begun) {
            Err(Unread::Short) if wanted < most => return bytes,
            record => record,
        };
        let rest = size - self.begun.len() as u64;
        match record {
            Ok(Record::Flush) => self.end_of_commit(),
            Ok(record) => self.contents.add(record),
            Err(_) => self.contents.add_unreadable(),
        }
        self.go_on(if rest == 0 { Next::Frame } else { Next::Rest { bytes: rest } });
        bytes
    }

    fn rest<'a>(&mut self, bytes: &'a [u8], rest: u64) -> &'a [u8] {
        let passed = usize::try_from(rest).unwrap_or(usize::MAX).min(bytes.len());
        let rest = rest - passed as u64;
        self.next = if rest == 0 { Next::Frame } else { Next::Rest { bytes: rest } };
        &bytes[passed..]
    }

    fn end_of_commit(&mut self) {
        let contents = std::mem::take(&mut self.contents);
        self.renamed |= contents.renames();
        let mut verdict = contents.verdict();
        if verdict == Verdict::Proven && contents.replaces() && self.renames.tables_were_altered() {
            verdict = Verdict::Held(Doubt::ReplacedTable);
        }
        if contents.alters() {
            self.renames.note_alteration();
        }
        // One that is held holds those that are synced with it.
        match self.ended {
            Some(Verdict::Held(_)) => {}
            Some(Verdict::Proven) | None => self.ended = Some(verdict),
        }
    }

    /// Takes bytes until `wanted` are gathered; returns those that are left.
    fn gather<'a>(&mut self, bytes: &'a [u8], wanted: usize) -> &'a [u8] {
        let (taken, left) = bytes.split_at(bytes.len().min(wanted.saturating_sub(self.begun.len())));
        self.begun.extend_from_slice(taken);
        left
    }

    fn go_on(&mut self, next: Next) {
        self.next = next;
        self.begun.clear();
    }
}

/// The records of a whole log, in their order.
#[cfg(feature = "test-walls")]
pub fn records(log: &[u8]) -> Vec<Record> {
    let (mut found, mut at) = (Vec::new(), read_header(log).unwrap_or(log.len()));
    while let Some(size) = log.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let from = at + FRAME_BYTES;
        at = from + usize::try_from(u64::from_le_bytes(*size)).unwrap_or(log.len());
        let record = log.get(from..at.min(log.len())).map(Record::read);
        found.extend(record.and_then(Result::ok));
    }
    found
}

/// Length of the header that the log begins with.
fn read_header(bytes: &[u8]) -> Result<usize, Unread> {
    let mut fields = Fields::new(bytes);
    fields.enter(100)?;
    if fields.integer()? != VERSION_KIND {
        return Err(Unread::Strange);
    }
    fields.enter(101)?;
    if fields.integer()? != WAL_VERSION {
        return Err(Unread::Strange);
    }
    if fields.enter_if(102)? {
        for _ in 0..fields.integer()? {
            fields.integer()?;
        }
    }
    if fields.enter_if(103)? {
        fields.integer()?;
    }
    fields.end()?;
    Ok(fields.read())
}

#[cfg(test)]
mod tests {
    use super::super::record::Alteration;
    use super::*;
    use proptest::prelude::*;
    use roost_duckdb::Renaming;

    const HEADER: &str = "640062 650002 660010 dd0165d101a6019d0159b101d1017b194a5701cd018c0176 670000 ffff";
    const RENAME: &str = "6400 14 6500 01 6400 00 c800 01 c900 0461636d65 ca00 046d61696e cb00 0174 cc00 00 2c01 02 9001 0175 ffff ffff";

    fn reader_after(length: u64) -> WalReader {
        WalReader::after(length, Renames::default())
    }

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex.replace(' ', "")).unwrap()
    }

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut record = (payload.len() as u64).to_le_bytes().to_vec();
        record.extend([7; 8]);
        record.extend(payload);
        record
    }

    fn log(payloads: &[&str]) -> Vec<u8> {
        payloads.iter().flat_map(|payload| framed(&bytes(payload))).collect()
    }

    fn read(reader: &mut WalReader, log: &[u8], piece: usize) -> Verdict {
        for piece in log.chunks(piece) {
            reader.appended(piece);
        }
        reader.commit()
    }

    const FLUSH: &str = "640064 ffff";
    const INSERT: &str = "64001a 650064000165000264000dffff640019ffff";
    const UPDATE: &str = "64001c 6500010166006400016500";

    proptest! {
        #[test]
        fn pieces_do_not_matter(piece in 1_usize..200) {
            let mut reader = reader_after(0);
            let first = [bytes(HEADER), log(&[INSERT, FLUSH])].concat();
            prop_assert_eq!(read(&mut reader, &first, piece), Verdict::Proven);
            let rename = Record::Alter(Alteration::RenameTable);
            let held = Verdict::Held(Doubt::BesideUpdates(rename));
            prop_assert_eq!(read(&mut reader, &log(&[UPDATE, RENAME, FLUSH]), piece), held);
            prop_assert_eq!(read(&mut reader, &log(&[RENAME, INSERT, FLUSH]), piece), Verdict::Proven);
            // Two commits in one sync.
            let two = log(&[UPDATE, RENAME, FLUSH, INSERT, FLUSH]);
            prop_assert_eq!(read(&mut reader, &two, piece), held);
        }

        #[test]
        fn no_bytes_break_it(noise in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
            for length in [0, 1_000] {
                read(&mut reader_after(length), &noise, piece);
            }
        }

        #[test]
        fn a_commit_that_is_cut_is_held(end in 0_usize..1_000, piece in 1_usize..50) {
            let whole = log(&[INSERT, RENAME, FLUSH]);
            let cut = &whole[..end % whole.len()];
            prop_assert!(matches!(read(&mut reader_after(1), cut, piece), Verdict::Held(_)));
        }
    }

    #[test]
    fn what_is_not_a_whole_commit_is_held() {
        let unreadable = Verdict::Held(Doubt::Unreadable);
        for (log, expected) in [
            (log(&[FLUSH]), Verdict::Held(Doubt::Empty)),
            (Vec::new(), Verdict::Held(Doubt::Empty)),
            (log(&[INSERT]), unreadable),
            (log(&[INSERT, FLUSH, INSERT]), unreadable),
            (log(&[INSERT, FLUSH])[..40].to_vec(), unreadable),
            (vec![0; 64], unreadable),
            (log(&["640007 ffff", FLUSH]), unreadable),
        ] {
            assert_eq!(read(&mut reader_after(1), &log, 9), expected, "{log:?}");
        }
    }

    #[test]
    fn once_lost_it_holds_all_until_the_log_begins_anew() {
        let mut reader = reader_after(0);
        assert_eq!(read(&mut reader, &[0; 300], 300), Verdict::Held(Doubt::Unreadable));
        assert_eq!(read(&mut reader, &log(&[INSERT, FLUSH]), 9), Verdict::Held(Doubt::Unreadable));
        reader.taken_back(300);
        assert_eq!(read(&mut reader, &log(&[INSERT, FLUSH]), 9), Verdict::Held(Doubt::Unreadable));
        reader.taken_back(0);
        let first = [bytes(HEADER), log(&[INSERT, FLUSH])].concat();
        assert_eq!(read(&mut reader, &first, 9), Verdict::Proven);
    }

    #[test]
    fn what_others_commit_beside_an_open_rename_is_held() {
        let renames = Renames::default();
        let mut reader = WalReader::after(1, renames.clone());
        let (insert, rename) = (log(&[INSERT, FLUSH]), log(&[RENAME, FLUSH]));
        let held = Verdict::Held(Doubt::BesideRename);
        renames.note(Renaming::Begins);
        assert_eq!(read(&mut reader, &insert, 9), held);
        assert_eq!(read(&mut reader, &rename, 9), Verdict::Proven, "its own commit");
        renames.note(Renaming::Begins);
        assert_eq!(read(&mut reader, &rename, 9), held);
        renames.note(Renaming::Committed);
        assert_eq!(read(&mut reader, &insert, 9), held);
        renames.note(Renaming::RolledBack);
        assert_eq!(read(&mut reader, &insert, 9), held, "it may have been logged before");
        assert_eq!(read(&mut reader, &insert, 9), Verdict::Proven);
    }

    #[test]
    fn after_a_rename_that_failed_all_is_held() {
        let renames = Renames::default();
        let mut reader = WalReader::after(1, renames.clone());
        for what in [Renaming::Begins, Renaming::Failed, Renaming::RolledBack] {
            renames.note(what);
        }
        for _ in 0..3 {
            let held = Verdict::Held(Doubt::BesideRename);
            assert_eq!(read(&mut reader, &log(&[INSERT, FLUSH]), 9), held);
        }
    }

    #[test]
    fn a_table_that_is_replaced_after_another_was_altered_is_held() {
        let mut reader = reader_after(1);
        let replace = log(&["640002 ffff", "640001 ffff", FLUSH]);
        let alter = RENAME.replace("2c01 02", "2c01 03");
        assert_eq!(read(&mut reader, &replace, 9), Verdict::Proven);
        assert!(matches!(read(&mut reader, &log(&[&alter, FLUSH]), 9), Verdict::Held(Doubt::Record(_))));
        assert_eq!(read(&mut reader, &replace, 9), Verdict::Held(Doubt::ReplacedTable));
        assert_eq!(read(&mut reader, &log(&["640001 ffff", FLUSH]), 9), Verdict::Proven);
    }

    #[test]
    fn a_commit_that_failed_leaves_nothing() {
        let mut reader = reader_after(1);
        reader.appended(&log(&[UPDATE, RENAME])[..50]);
        reader.taken_back(1);
        assert_eq!(read(&mut reader, &log(&[INSERT, FLUSH]), 9), Verdict::Proven);
    }
}
