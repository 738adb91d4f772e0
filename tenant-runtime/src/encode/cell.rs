//! One column of one batch, ready to have its values written one by one.
//!
//! What a value is follows from its Arrow field as DuckDB exports it with `arrow_lossless_conversion`: the data type
//! and, for what Arrow has no type of its own, the extension's name. DuckDB's logical type text is for people (an
//! alias made with CREATE TYPE hides the type behind it), so nothing is decoded from it.

use super::{EncodeError, nested, scalar};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, StringArray,
    cast::AsArray,
    types::{UInt8Type, UInt16Type, UInt32Type},
};
use arrow_schema::{DataType, Field};

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

/// What DuckDB marks a field as, beyond its Arrow type.
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

/// Prepares a column's values for writing.
pub fn cell<'a>(field: &Field, array: &'a ArrayRef) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    Ok(match array.data_type() {
        DataType::List(child) => nested::list(child, array.as_list::<i32>())?,
        DataType::LargeList(child) => nested::list(child, array.as_list::<i64>())?,
        DataType::FixedSizeList(child, size) => nested::fixed_list(child, *size, array.as_fixed_size_list())?,
        DataType::Struct(children) => nested::structure(children, array.as_struct())?,
        DataType::Map(entries, _) => nested::map(entries, array.as_map())?,
        DataType::Union(members, _) => nested::union(members, array.as_union())?,
        DataType::Dictionary(key, _) => dictionary(key, array)?,
        DataType::Utf8 => scalar::text(array.as_string::<i32>()),
        DataType::LargeUtf8 => scalar::text(array.as_string::<i64>()),
        DataType::Utf8View => scalar::text(array.as_string_view()),
        _ => scalar::scalar(field, array)?,
    })
}

fn dictionary<'a>(key: &DataType, array: &'a ArrayRef) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    fn typed<K: arrow_array::types::ArrowDictionaryKeyType>(
        array: &DictionaryArray<K>,
    ) -> Result<Box<dyn Cell + '_>, EncodeError> {
        array
            .downcast_dict::<StringArray>()
            .map(scalar::text)
            .ok_or_else(|| EncodeError::Unsupported("a dictionary of something other than text".into()))
    }
    match key {
        DataType::UInt8 => typed(array.as_dictionary::<UInt8Type>()),
        DataType::UInt16 => typed(array.as_dictionary::<UInt16Type>()),
        DataType::UInt32 => typed(array.as_dictionary::<UInt32Type>()),
        other => Err(EncodeError::Unsupported(format!("a dictionary with keys of type {other}"))),
    }
}
