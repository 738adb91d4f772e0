//! Values with parts: lists, arrays, structs, maps, unions. Their text is their JSON.

use super::{cell::Cell, column::cell, encoder::EncodeError, scalar::write_json_text};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray, UnionArray,
};
use arrow_schema::{FieldRef, Fields, UnionFields};
use std::collections::HashSet;

/// The part of a cell that nested values share: their text is JSON.
trait Nested {
    fn is_null(&self, row: usize) -> bool;
    fn write(&self, row: usize, out: &mut Vec<u8>);
}

struct AsJson<T>(T);

impl<T: Nested> Cell for AsJson<T> {
    fn is_null(&self, row: usize) -> bool {
        self.0.is_null(row)
    }

    fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        self.0.write(row, out);
    }

    fn write_text(&self, row: usize, out: &mut Vec<u8>) {
        self.0.write(row, out);
    }
}

fn write_array(range: std::ops::Range<usize>, out: &mut Vec<u8>, mut item: impl FnMut(usize, &mut Vec<u8>)) {
    out.push(b'[');
    let start = range.start;
    for row in range {
        if row > start {
            out.push(b',');
        }
        item(row, out);
    }
    out.push(b']');
}

struct List<'a, O: OffsetSizeTrait> {
    array: &'a GenericListArray<O>,
    items: Box<dyn Cell + 'a>,
}

impl<O: OffsetSizeTrait> Nested for List<'_, O> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let offsets = self.array.value_offsets();
        write_array(offsets[row].as_usize()..offsets[row + 1].as_usize(), out, |item, out| {
            self.items.write_json_or_null(item, out);
        });
    }
}

/// LIST.
pub fn list<'a, O: OffsetSizeTrait>(
    child: &FieldRef,
    array: &'a GenericListArray<O>,
) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    Ok(Box::new(AsJson(List { array, items: cell(child, array.values())? })))
}

struct FixedList<'a> {
    array: &'a FixedSizeListArray,
    size: usize,
    items: Box<dyn Cell + 'a>,
}

impl Nested for FixedList<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        write_array(row * self.size..(row + 1) * self.size, out, |item, out| {
            self.items.write_json_or_null(item, out);
        });
    }
}

/// ARRAY.
pub fn fixed_list<'a>(
    child: &FieldRef,
    size: i32,
    array: &'a FixedSizeListArray,
) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    let size = usize::try_from(size).unwrap_or(0);
    Ok(Box::new(AsJson(FixedList { array, size, items: cell(child, array.values())? })))
}

struct Structure<'a> {
    array: &'a StructArray,
    /// Names as JSON with a colon; none for a struct without names, which is written as an array.
    names: Option<Vec<Vec<u8>>>,
    members: Vec<Box<dyn Cell + 'a>>,
}

impl Nested for Structure<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let Some(names) = &self.names else {
            return write_array(0..self.members.len(), out, |member, out| {
                self.members[member].write_json_or_null(row, out);
            });
        };
        out.push(b'{');
        for (at, (name, member)) in names.iter().zip(&self.members).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            member.write_json_or_null(row, out);
        }
        out.push(b'}');
    }
}

fn name_prefix(name: &str) -> Vec<u8> {
    let mut prefix = Vec::new();
    write_json_text(name, &mut prefix);
    prefix.push(b':');
    prefix
}

/// STRUCT; one made by `row()` has no names.
pub fn structure<'a>(children: &Fields, array: &'a StructArray) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    let mut seen = HashSet::new();
    let have_names = children.iter().all(|child| !child.name().is_empty() && seen.insert(child.name()));
    let names = have_names.then(|| children.iter().map(|child| name_prefix(child.name())).collect());
    let members = children
        .iter()
        .zip(array.columns())
        .map(|(child, column)| cell(child, column))
        .collect::<Result<_, _>>()?;
    Ok(Box::new(AsJson(Structure { array, names, members })))
}

struct Map<'a> {
    array: &'a MapArray,
    keys: Box<dyn Cell + 'a>,
    values: Box<dyn Cell + 'a>,
}

impl Nested for Map<'_> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let offsets = self.array.value_offsets();
        let range =
            usize::try_from(offsets[row]).unwrap_or(0)..usize::try_from(offsets[row + 1]).unwrap_or(0);
        write_array(range, out, |entry, out| {
            out.push(b'[');
            self.keys.write_json_or_null(entry, out);
            out.push(b',');
            self.values.write_json_or_null(entry, out);
            out.push(b']');
        });
    }
}

/// MAP, as an array of pairs: keys of any type, in their order.
pub fn map<'a>(entries: &FieldRef, array: &'a MapArray) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    let arrow_schema::DataType::Struct(fields) = entries.data_type() else {
        return Err(EncodeError::Unsupported("a map without entries".into()));
    };
    let [key, value] = &fields[..] else {
        return Err(EncodeError::Unsupported("a map whose entries are no pairs".into()));
    };
    Ok(Box::new(AsJson(Map { array, keys: cell(key, array.keys())?, values: cell(value, array.values())? })))
}

struct Union<'a> {
    array: &'a UnionArray,
    /// Type id, name as JSON with a colon, values.
    members: Vec<(i8, Vec<u8>, Box<dyn Cell + 'a>)>,
}

impl Union<'_> {
    fn member(&self, row: usize) -> Option<&(i8, Vec<u8>, Box<dyn Cell + '_>)> {
        let id = self.array.type_id(row);
        self.members.iter().find(|(member, ..)| *member == id)
    }
}

impl Nested for Union<'_> {
    /// Arrow's unions have no validity: DuckDB exports a NULL union as a NULL of its first member.
    fn is_null(&self, row: usize) -> bool {
        self.member(row).is_none_or(|(.., values)| values.is_null(self.array.value_offset(row)))
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        let Some((_, name, values)) = self.member(row) else { return out.extend_from_slice(b"null") };
        out.push(b'{');
        out.extend_from_slice(name);
        values.write_json_or_null(self.array.value_offset(row), out);
        out.push(b'}');
    }
}

/// UNION, as an object with one member named by the tag.
pub fn union<'a>(members: &UnionFields, array: &'a UnionArray) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    let members = members
        .iter()
        .map(|(id, field)| {
            let values: &'a ArrayRef = array.child(id);
            Ok((id, name_prefix(field.name()), cell(field, values)?))
        })
        .collect::<Result<_, EncodeError>>()?;
    Ok(Box::new(AsJson(Union { array, members })))
}
