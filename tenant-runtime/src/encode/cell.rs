//! One column of one batch, ready to have its values written one by one.
//!
//! What a value is follows from its Arrow field as DuckDB exports it with `arrow_lossless_conversion`: the data type
//! and, for what Arrow has no type of its own, the extension's name. DuckDB's logical type text is for people (an
//! alias made with CREATE TYPE hides the type behind it), so nothing is decoded from it.

use super::encoder::EncodeError;
use arrow_schema::Field;

/// Values of one column, written as JSON or as plain text.
pub trait Cell {
    /// Whether the row holds NULL.
    fn is_null(&self, row: usize) -> bool;
    /// Writes the JSON form of a row that is not NULL.
    fn write_json(&self, row: usize, out: &mut Vec<u8>);
    /// Writes the text form of a row that is not NULL: without quotes for scalars, JSON for nested values.
    fn write_text(&self, row: usize, out: &mut Vec<u8>);
}

impl dyn Cell + '_ {
    /// The JSON form of any row.
    pub fn write_json_or_null(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            self.write_json(row, out);
        }
    }
}

/// Name of Arrow's metadata key for extension types.
pub const EXTENSION_NAME: &str = "ARROW:extension:name";
/// Name of Arrow's metadata key for the parameters of extension types.
pub const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// DuckDB's mark of a field, which tells more than its Arrow type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// No mark.
    None,
    /// Boolean as a byte.
    Bool8,
    /// Sixteen bytes of a UUID.
    Uuid,
    /// HUGEINT, little-endian.
    HugeInt,
    /// UHUGEINT, little-endian.
    UHugeInt,
    /// TIME WITH TIME ZONE, packed.
    TimeTz,
    /// BIT, packed.
    Bit,
    /// BIGNUM, packed.
    Bignum,
}

impl Extension {
    /// Reads a field's mark. Marks that only refine the Arrow type (JSON, geometry) count as none.
    pub fn of(field: &Field) -> Result<Self, EncodeError> {
        match field.metadata().get(EXTENSION_NAME).map(String::as_str) {
            Some("arrow.bool8") => Ok(Self::Bool8),
            Some("arrow.uuid") => Ok(Self::Uuid),
            Some("arrow.opaque") => {
                let parameters = field.metadata().get(EXTENSION_METADATA).map_or("", String::as_str);
                let parameters: serde_json::Value = serde_json::from_str(parameters).unwrap_or_default();
                match parameters["type_name"].as_str() {
                    Some("hugeint") => Ok(Self::HugeInt),
                    Some("uhugeint") => Ok(Self::UHugeInt),
                    Some("time_tz") => Ok(Self::TimeTz),
                    Some("bit") => Ok(Self::Bit),
                    Some("bignum") => Ok(Self::Bignum),
                    other => Err(EncodeError::Unsupported(format!("opaque type {other:?}"))),
                }
            }
            Some("arrow.json" | "geoarrow.wkb") | None => Ok(Self::None),
            Some(other) => Err(EncodeError::Unsupported(format!("extension type {other}"))),
        }
    }
}
