//! One record of the log: its kind, read from its first bytes.
//!
//! Numbers are those of DuckDB 1.5.6: `wal_type.hpp`, `alter_info.hpp`, `alter_table_info.hpp`.
use super::fields::{Fields, Unread};

/// Kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "DuckDB's names for them")]
pub enum Record {
    CreateTable,
    DropTable,
    CreateSchema,
    DropSchema,
    CreateView,
    DropView,
    CreateSequence,
    DropSequence,
    SequenceValue,
    CreateMacro,
    DropMacro,
    CreateType,
    DropType,
    Alter(Alteration),
    CreateTableMacro,
    DropTableMacro,
    CreateIndex,
    DropIndex,
    UseTable,
    InsertTuple,
    DeleteTuple,
    UpdateTuple,
    RowGroupData,
    /// Ends a commit.
    Flush,
}

/// Kind of a change by `ALTER` or `COMMENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "DuckDB's names for them")]
pub enum Alteration {
    RenameColumn,
    RenameTable,
    AddColumn,
    RemoveColumn,
    ColumnType,
    SetDefault,
    SetNotNull,
    DropNotNull,
    AddConstraint,
    ForeignKey,
    AddField,
    RemoveField,
    RenameField,
    RenameView,
    Comment,
    ColumnComment,
}

/// Fields of a record, and of what an [`Record::Alter`] holds.
const KIND: u16 = 100;
const ALTER_INFO: u16 = 101;
const INFO_KIND: u16 = 100;
const ALTER_KIND: u16 = 200;
const NAMES: [u16; 3] = [201, 202, 203];
const IF_NOT_FOUND: u16 = 204;
const ALTERED_PART: u16 = 300;

impl Record {
    /// Reads the kind of the record that begins with these bytes.
    pub(super) fn read(payload: &[u8]) -> Result<Self, Unread> {
        let mut fields = Fields::new(payload);
        fields.enter(KIND)?;
        Ok(match fields.integer()? {
            1 => Self::CreateTable,
            2 => Self::DropTable,
            3 => Self::CreateSchema,
            4 => Self::DropSchema,
            5 => Self::CreateView,
            6 => Self::DropView,
            8 => Self::CreateSequence,
            9 => Self::DropSequence,
            10 => Self::SequenceValue,
            11 => Self::CreateMacro,
            12 => Self::DropMacro,
            13 => Self::CreateType,
            14 => Self::DropType,
            20 => Self::Alter(Alteration::read(&mut fields)?),
            21 => Self::CreateTableMacro,
            22 => Self::DropTableMacro,
            23 => Self::CreateIndex,
            24 => Self::DropIndex,
            25 => Self::UseTable,
            26 => Self::InsertTuple,
            27 => Self::DeleteTuple,
            28 => Self::UpdateTuple,
            29 => Self::RowGroupData,
            100 => Self::Flush,
            _ => return Err(Unread::Strange),
        })
    }
}

impl Alteration {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Unread> {
        fields.enter(ALTER_INFO)?;
        // Not a null pointer; kind 0 of what can be parsed is an alteration.
        if fields.integer()? != 1 {
            return Err(Unread::Strange);
        }
        fields.enter(INFO_KIND)?;
        if fields.integer()? != 0 {
            return Err(Unread::Strange);
        }
        fields.enter(ALTER_KIND)?;
        let kind = fields.integer()?;
        match kind {
            7 => return Ok(Self::Comment),
            8 => return Ok(Self::ColumnComment),
            1 | 2 => {}
            _ => return Err(Unread::Strange),
        }
        for name in NAMES {
            if fields.enter_if(name)? {
                fields.skip_text()?;
            }
        }
        if fields.enter_if(IF_NOT_FOUND)? {
            fields.integer()?;
        }
        fields.enter(ALTERED_PART)?;
        Ok(match (kind, fields.integer()?) {
            (1, 1) => Self::RenameColumn,
            (1, 2) => Self::RenameTable,
            (1, 3) => Self::AddColumn,
            (1, 4) => Self::RemoveColumn,
            (1, 5) => Self::ColumnType,
            (1, 6) => Self::SetDefault,
            (1, 7) => Self::ForeignKey,
            (1, 8) => Self::SetNotNull,
            (1, 9) => Self::DropNotNull,
            (1, 11) => Self::AddConstraint,
            (1, 14) => Self::AddField,
            (1, 15) => Self::RemoveField,
            (1, 16) => Self::RenameField,
            (2, 1) => Self::RenameView,
            _ => return Err(Unread::Strange),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(hex: &str) -> Result<Record, Unread> {
        Record::read(&hex::decode(hex.replace(' ', "")).unwrap())
    }

    #[test]
    fn an_alteration_is_told_by_its_parts() {
        let table = "6400 14 6500 01 6400 00 c800 01 c900 0461636d65 ca00 046d61696e cb00 0175 cc00 00";
        for (part, expected) in [
            ("2c01 02", Alteration::RenameTable),
            ("2c01 03", Alteration::AddColumn),
            ("2c01 05", Alteration::ColumnType),
            ("2c01 06", Alteration::SetDefault),
            ("2c01 0b", Alteration::AddConstraint),
        ] {
            assert_eq!(read(&format!("{table} {part}")), Ok(Record::Alter(expected)), "{part}");
        }
        let view = table.replace("c800 01", "c800 02");
        assert_eq!(read(&format!("{view} 2c01 01")), Ok(Record::Alter(Alteration::RenameView)));
        let comment = table.replace("c800 01", "c800 07");
        assert_eq!(read(&comment), Ok(Record::Alter(Alteration::Comment)));
        // Without names, which are left out where they are empty.
        let nameless = "6400 14 6500 01 6400 00 c800 01 2c01 08";
        assert_eq!(read(nameless), Ok(Record::Alter(Alteration::SetNotNull)));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for (bytes, expected) in [
            ("", Unread::Short),
            ("6400", Unread::Short),
            ("6400 07", Unread::Strange),
            ("6400 ff01", Unread::Strange),
            ("6500 01", Unread::Strange),
            // A null alteration, one of another class, of a sequence, and of a part that is not known.
            ("6400 14 6500 00", Unread::Strange),
            ("6400 14 6500 01 6400 01", Unread::Strange),
            ("6400 14 6500 01 6400 00 c800 03", Unread::Strange),
            ("6400 14 6500 01 6400 00 c800 01 2c01 0a", Unread::Strange),
            ("6400 14 6500 01 6400 00 c800 01 c900 ffff7f", Unread::Short),
            ("6400 14 6500 01 6400 00 c800 01 c900 ffffffffffffffffff01", Unread::Strange),
        ] {
            assert_eq!(read(bytes), Err(expected), "{bytes}");
        }
    }
}
