//! The cells of a column, whatever its type is.

use super::{cell::Cell, encoder::EncodeError, nested, scalar};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, RecordBatch, StringArray,
    cast::AsArray,
    types::{UInt8Type, UInt16Type, UInt32Type},
};
use arrow_schema::{DataType, Field, SchemaRef};

/// Cells of all columns of a batch.
pub(super) fn cells<'a>(
    schema: &SchemaRef,
    batch: &'a RecordBatch,
) -> Result<Vec<Box<dyn Cell + 'a>>, EncodeError> {
    schema.fields().iter().zip(batch.columns()).map(|(field, column)| cell(field, column)).collect()
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
