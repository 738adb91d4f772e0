//! DuckDB's lossless Arrow types turned into types that every Arrow reader knows, where nothing is lost:
//! booleans from bytes, HUGEINT and UHUGEINT as `decimal256(39, 0)`, TIMETZ, BIT and BIGNUM as text.

use super::{
    cell::{EXTENSION_METADATA, EXTENSION_NAME, Extension},
    column::cell,
    encoder::EncodeError,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal256Array, FixedSizeListArray, GenericListArray, MapArray,
    OffsetSizeTrait, StructArray, UnionArray, builder::StringBuilder, cast::AsArray, types::Int8Type,
};
use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields};
use std::sync::Arc;

/// Decimal digits of the largest UHUGEINT.
const HUGE_DIGITS: u8 = 39;

/// The field as it is sent.
pub fn plain_field(field: &Field) -> Result<Field, EncodeError> {
    let data_type = match (Extension::of(field)?, field.data_type()) {
        (Extension::Bool8, _) => DataType::Boolean,
        (Extension::HugeInt | Extension::UHugeInt, _) => DataType::Decimal256(HUGE_DIGITS, 0),
        (Extension::TimeTz | Extension::Bit | Extension::Bignum, _) => DataType::Utf8,
        (Extension::None, DataType::List(child)) => DataType::List(plain_child(child)?),
        (Extension::None, DataType::LargeList(child)) => DataType::LargeList(plain_child(child)?),
        (Extension::None, DataType::FixedSizeList(child, size)) => {
            DataType::FixedSizeList(plain_child(child)?, *size)
        }
        (Extension::None, DataType::Struct(children)) => DataType::Struct(plain_children(children)?),
        (Extension::None, DataType::Map(entries, sorted)) => DataType::Map(plain_child(entries)?, *sorted),
        (Extension::None, DataType::Union(members, mode)) => {
            let members: Vec<_> = members
                .iter()
                .map(|(id, member)| Ok((id, plain_child(member)?)))
                .collect::<Result<_, EncodeError>>()?;
            DataType::Union(members.into_iter().collect::<UnionFields>(), *mode)
        }
        (Extension::Uuid | Extension::None, other) => other.clone(),
    };
    let mut sent = field.clone();
    if data_type != *field.data_type() && Extension::of(field)? != Extension::None {
        let mut metadata = field.metadata().clone();
        metadata.remove(EXTENSION_NAME);
        metadata.remove(EXTENSION_METADATA);
        sent = sent.with_metadata(metadata);
    }
    Ok(sent.with_data_type(data_type))
}

fn plain_child(child: &FieldRef) -> Result<FieldRef, EncodeError> {
    plain_field(child).map(Arc::new)
}

fn plain_children(children: &Fields) -> Result<Fields, EncodeError> {
    children.iter().map(plain_child).collect()
}

/// The array as it is sent: `from` is its field as DuckDB made it, `to` what [`plain_field`] made of that.
pub fn plain_array(from: &Field, to: &Field, array: &ArrayRef) -> Result<ArrayRef, EncodeError> {
    if from.data_type() == to.data_type() {
        return Ok(Arc::clone(array));
    }
    match Extension::of(from)? {
        Extension::Bool8 => {
            return Ok(Arc::new(BooleanArray::from_unary(array.as_primitive::<Int8Type>(), |byte| {
                byte != 0
            })));
        }
        Extension::HugeInt => {
            return huge(array, |bytes| arrow_buffer::i256::from_i128(i128::from_le_bytes(bytes)));
        }
        Extension::UHugeInt => {
            return huge(array, |bytes| arrow_buffer::i256::from_parts(u128::from_le_bytes(bytes), 0));
        }
        Extension::TimeTz | Extension::Bit | Extension::Bignum => return texts(from, array),
        Extension::Uuid | Extension::None => {}
    }
    Ok(match (from.data_type(), to.data_type()) {
        (DataType::List(from), DataType::List(to)) => plain_list::<i32>(from, to, array)?,
        (DataType::LargeList(from), DataType::LargeList(to)) => plain_list::<i64>(from, to, array)?,
        (DataType::FixedSizeList(from, size), DataType::FixedSizeList(to, _)) => {
            let list = array.as_fixed_size_list();
            let values = plain_array(from, to, list.values())?;
            Arc::new(FixedSizeListArray::try_new(Arc::clone(to), *size, values, list.nulls().cloned())?)
        }
        (DataType::Struct(from), DataType::Struct(to)) => {
            let columns = plain_columns(from, to, array.as_struct().columns())?;
            Arc::new(StructArray::try_new(to.clone(), columns, array.nulls().cloned())?)
        }
        (DataType::Map(from, sorted), DataType::Map(to, _)) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = plain_array(from, to, &entries)?.as_struct().clone();
            let nulls = map.nulls().cloned();
            Arc::new(MapArray::try_new(Arc::clone(to), map.offsets().clone(), entries, nulls, *sorted)?)
        }
        (DataType::Union(from, _), DataType::Union(to, _)) => {
            let union = array.as_union();
            let children = from
                .iter()
                .zip(to.iter())
                .map(|((id, from), (_, to))| plain_array(from, to, union.child(id)))
                .collect::<Result<_, _>>()?;
            Arc::new(UnionArray::try_new(
                to.clone(),
                union.type_ids().clone(),
                union.offsets().cloned(),
                children,
            )?)
        }
        (other, _) => return Err(EncodeError::Unsupported(format!("Arrow type {other}"))),
    })
}

/// Columns as they are sent.
pub fn plain_columns(from: &Fields, to: &Fields, columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, EncodeError> {
    from.iter().zip(to).zip(columns).map(|((from, to), column)| plain_array(from, to, column)).collect()
}

fn plain_list<O: OffsetSizeTrait>(
    from: &FieldRef,
    to: &FieldRef,
    array: &ArrayRef,
) -> Result<ArrayRef, EncodeError> {
    let list: &GenericListArray<O> = array.as_list();
    let values = plain_array(from, to, list.values())?;
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(GenericListArray::try_new(Arc::clone(to), offsets, values, nulls)?))
}

fn huge(array: &ArrayRef, number: impl Fn([u8; 16]) -> arrow_buffer::i256) -> Result<ArrayRef, EncodeError> {
    let bytes = array.as_fixed_size_binary();
    let numbers: Decimal256Array =
        bytes.iter().map(|value| value.map(|value| number(value.try_into().unwrap_or_default()))).collect();
    Ok(Arc::new(numbers.with_precision_and_scale(HUGE_DIGITS, 0)?))
}

fn texts(field: &Field, array: &ArrayRef) -> Result<ArrayRef, EncodeError> {
    let values = cell(field, array)?;
    let mut builder = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..array.len() {
        if values.is_null(row) {
            builder.append_null();
        } else {
            text.clear();
            values.write_text(row, &mut text);
            builder.append_value(String::from_utf8_lossy(&text));
        }
    }
    Ok(Arc::new(builder.finish()))
}
