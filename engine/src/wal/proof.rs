//! The table of what replay is proven for. What is not in it is held back.
use super::record::{Alteration, Record};
use crate::mutation::{Mutation, broken};

/// Under which conditions a record is replayed as it was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// In any commit.
    Always,
    /// In a commit that updates and deletes no rows.
    WithoutUpdates,
    /// In a commit that drops no tables.
    WithoutTables,
    /// It fails now and then, or nobody has shown that it does not.
    Never,
}

/// The table. `tenant-runtime/tests/histories.rs` is the proof: a record is proven by 500 random histories with it.
const fn proof(record: Record) -> Proof {
    match record {
        Record::CreateTable
        | Record::DropTable
        | Record::CreateSchema
        | Record::CreateView
        | Record::DropView
        | Record::CreateSequence
        | Record::SequenceValue
        | Record::CreateMacro
        | Record::CreateTableMacro
        | Record::UseTable
        | Record::InsertTuple
        | Record::DeleteTuple
        | Record::UpdateTuple
        | Record::RowGroupData
        | Record::Alter(Alteration::Comment) => Proof::Always,
        // Rows are logged under the name that their table had when the commit began to be written.
        Record::Alter(Alteration::RenameTable | Alteration::RenameView) => Proof::WithoutUpdates,
        // CASCADE drops them in an order that forgets foreign keys of tables that were altered.
        Record::DropSchema => Proof::WithoutTables,
        // Failed once:
        // - a transaction that took a value of a sequence may commit after that is dropped or replaced;
        // - a type is not found again in a schema that is as new, and a column of an enum not at all;
        // - every other ALTER of a table binds its CHECKs again, and what these call may not be found where replay is;
        // - an index is built again from rows that have changed since.
        // Not shown: the rest. FLUSH says nothing of what was changed.
        Record::DropSequence
        | Record::CreateType
        | Record::DropType
        | Record::CreateIndex
        | Record::DropIndex
        | Record::DropMacro
        | Record::DropTableMacro
        | Record::Alter(
            Alteration::AddColumn
            | Alteration::RenameColumn
            | Alteration::RemoveColumn
            | Alteration::ColumnType
            | Alteration::SetDefault
            | Alteration::SetNotNull
            | Alteration::DropNotNull
            | Alteration::ColumnComment
            | Alteration::AddConstraint
            | Alteration::ForeignKey
            | Alteration::AddField
            | Alteration::RemoveField
            | Alteration::RenameField,
        )
        | Record::Flush => Proof::Never,
    }
}

/// Whether a commit may be left to a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Replaying it gives what was committed.
    Proven,
    /// It must not be needed: only a checkpoint keeps it.
    Held(Doubt),
}

/// Why a commit is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A record for which replay is not proven.
    Record(Record),
    /// A record for which it is not proven in a commit that updates or deletes rows.
    BesideUpdates(Record),
    /// A record for which it is not proven in a commit that drops tables.
    BesideTables(Record),
    /// Another transaction that renames a table is open, or such a rename has failed.
    BesideRename,
    /// A table is replaced after tables were altered: another may still refer to it where that is replayed.
    ReplacedTable,
    /// A record that cannot be read.
    Unreadable,
    /// No record at all.
    Empty,
}

/// Contents of one commit, gathered record by record.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// Each kind once, in the order of their first records.
    kinds: Vec<Record>,
    unreadable: bool,
}

impl Contents {
    /// Of a commit that cannot be read.
    pub fn unreadable() -> Self {
        Self { unreadable: true, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty() && !self.unreadable
    }

    pub fn add(&mut self, record: Record) {
        if !self.kinds.contains(&record) {
            self.kinds.push(record);
        }
    }

    /// One of its records cannot be read.
    pub fn add_unreadable(&mut self) {
        self.unreadable = true;
    }

    fn has(&self, record: Record) -> bool {
        self.kinds.contains(&record)
    }

    /// Whether it renames a table.
    pub fn renames(&self) -> bool {
        self.has(Record::Alter(Alteration::RenameTable))
    }

    /// Whether it alters a table in another way, or may.
    pub fn alters(&self) -> bool {
        use Alteration::{Comment, RenameTable, RenameView};
        let alters = |record: &Record| matches!(record, Record::Alter(what) if !matches!(what, RenameTable | RenameView | Comment));
        // One that cannot be read may have.
        self.unreadable || self.kinds.iter().any(alters)
    }

    /// Whether it may replace a table: it drops one and creates one.
    pub fn replaces(&self) -> bool {
        self.has(Record::DropTable) && self.has(Record::CreateTable)
    }

    pub fn verdict(&self) -> Verdict {
        if broken(Mutation::ShipWhatIsNotProven) {
            return Verdict::Proven;
        }
        let first = |wanted: Proof| self.kinds.iter().copied().find(|record| proof(*record) == wanted);
        let updates = self.has(Record::UpdateTuple) || self.has(Record::DeleteTuple);
        let drops = self.has(Record::DropTable);
        if self.unreadable {
            Verdict::Held(Doubt::Unreadable)
        } else if let Some(record) = first(Proof::Never) {
            Verdict::Held(Doubt::Record(record))
        } else if let Some(record) = first(Proof::WithoutUpdates).filter(|_| updates) {
            Verdict::Held(Doubt::BesideUpdates(record))
        } else if let Some(record) = first(Proof::WithoutTables).filter(|_| drops) {
            Verdict::Held(Doubt::BesideTables(record))
        } else if self.kinds.is_empty() {
            Verdict::Held(Doubt::Empty)
        } else {
            Verdict::Proven
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(records: &[Record]) -> Verdict {
        let mut contents = Contents::default();
        for record in records {
            contents.add(*record);
        }
        contents.verdict()
    }

    #[test]
    fn one_record_that_is_not_proven_holds_its_commit() {
        let rename = Record::Alter(Alteration::RenameTable);
        let index = Record::CreateIndex;
        for (records, expected) in [
            (&[][..], Verdict::Held(Doubt::Empty)),
            (&[Record::UseTable, Record::UpdateTuple, Record::CreateView], Verdict::Proven),
            (&[Record::UseTable, Record::InsertTuple, rename], Verdict::Proven),
            (&[Record::UpdateTuple, rename], Verdict::Held(Doubt::BesideUpdates(rename))),
            (&[rename, Record::DeleteTuple], Verdict::Held(Doubt::BesideUpdates(rename))),
            (&[Record::CreateTable, index, Record::InsertTuple], Verdict::Held(Doubt::Record(index))),
            (&[Record::DropSchema], Verdict::Proven),
            (
                &[Record::DropTable, Record::DropSchema],
                Verdict::Held(Doubt::BesideTables(Record::DropSchema)),
            ),
            (&[Record::DropSequence, index], Verdict::Held(Doubt::Record(Record::DropSequence))),
        ] {
            assert_eq!(verdict(records), expected, "{records:?}");
        }
    }
}
