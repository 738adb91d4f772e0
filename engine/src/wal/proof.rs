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
    /// It fails now and then, or nobody has shown that it does not.
    Never,
}

/// The table. `tenant-runtime/tests/histories.rs` is the proof: a record is proven by 500 random histories with it.
const fn proof(record: Record) -> Proof {
    match record {
        Record::CreateTable
        | Record::DropTable
        | Record::CreateSchema
        | Record::DropSchema
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
    /// Another transaction that renames a table is open, or such a rename has failed.
    BesideRename,
    /// A table is replaced after tables were altered: another may still refer to it where that is replayed.
    ReplacedTable,
    /// A record that cannot be read.
    Unreadable,
    /// No record at all.
    Empty,
}

/// What one commit holds, gathered record by record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Contents {
    records: u64,
    updates: bool,
    renames: bool,
    alters: bool,
    drops_table: bool,
    creates_table: bool,
    /// The first record that must not be beside updates.
    sensitive: Option<Record>,
    doubt: Option<Doubt>,
}

impl Contents {
    pub fn is_empty(&self) -> bool {
        self.records == 0 && self.doubt.is_none()
    }

    pub fn add(&mut self, record: Record) {
        self.records += 1;
        self.drops_table |= record == Record::DropTable;
        self.creates_table |= record == Record::CreateTable;
        match record {
            Record::Alter(Alteration::RenameTable) => self.renames = true,
            Record::Alter(Alteration::RenameView | Alteration::Comment) => {}
            Record::Alter(_) => self.alters = true,
            _ => {}
        }
        self.updates |= matches!(record, Record::UpdateTuple | Record::DeleteTuple);
        match proof(record) {
            Proof::Always => {}
            Proof::WithoutUpdates => {
                self.sensitive.get_or_insert(record);
            }
            Proof::Never => self.doubt(Doubt::Record(record)),
        }
    }

    /// Of a commit that cannot be read.
    pub fn unreadable() -> Self {
        Self { doubt: Some(Doubt::Unreadable), ..Self::default() }
    }

    pub fn doubt(&mut self, doubt: Doubt) {
        self.doubt.get_or_insert(doubt);
    }

    /// Whether it renames a table.
    pub fn renames(&self) -> bool {
        self.renames
    }

    /// Whether it alters a table otherwise.
    pub fn alters(&self) -> bool {
        self.alters
    }

    /// Whether it replaces a table, or may.
    pub fn replaces(&self) -> bool {
        self.drops_table && self.creates_table
    }

    pub fn verdict(self) -> Verdict {
        if broken(Mutation::ShipWhatIsNotProven) {
            return Verdict::Proven;
        }
        let beside = self.sensitive.filter(|_| self.updates).map(Doubt::BesideUpdates);
        let empty = (self.records == 0).then_some(Doubt::Empty);
        self.doubt.or(beside).or(empty).map_or(Verdict::Proven, Verdict::Held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(records: &[Record]) -> Verdict {
        let mut contents = Contents::default();
        records.iter().for_each(|record| contents.add(*record));
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
            (&[Record::DropSequence, index], Verdict::Held(Doubt::Record(Record::DropSequence))),
        ] {
            assert_eq!(verdict(records), expected, "{records:?}");
        }
    }
}
