//! Values without parts: numbers, texts, times, bytes.

use super::{
    cell::{Cell, Extension},
    encoder::EncodeError,
    text,
};
use arrow_array::{
    Array, ArrayAccessor, ArrayRef,
    cast::AsArray,
    types::{
        Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
        Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
        Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// Largest integer up to which every JSON parser is exact.
const MAX_EXACT_JSON_INTEGER: u64 = (1 << 53) - 1;

/// Whether a text is a JSON value as it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Bare,
    Quoted,
}

struct Scalar<'a, W> {
    array: &'a dyn Array,
    write: W,
}

impl<W: Fn(usize, &mut Vec<u8>) -> Style> Cell for Scalar<'_, W> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(b'"');
        match (self.write)(row, out) {
            Style::Quoted => out.push(b'"'),
            Style::Bare => {
                out.remove(start);
            }
        }
    }

    fn write_text(&self, row: usize, out: &mut Vec<u8>) {
        (self.write)(row, out);
    }
}

fn boxed<'a>(array: &'a dyn Array, write: impl Fn(usize, &mut Vec<u8>) -> Style + 'a) -> Box<dyn Cell + 'a> {
    Box::new(Scalar { array, write })
}

/// Quoted texts that need no escaping.
fn quoted<'a>(array: &'a dyn Array, write: impl Fn(usize, &mut Vec<u8>) + 'a) -> Box<dyn Cell + 'a> {
    boxed(array, move |row, out| {
        write(row, out);
        Style::Quoted
    })
}

struct Text<A>(A);

impl<'a, A: ArrayAccessor<Item = &'a str>> Cell for Text<A> {
    fn is_null(&self, row: usize) -> bool {
        self.0.is_null(row)
    }

    fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        write_json_text(self.0.value(row), out);
    }

    fn write_text(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.value(row).as_bytes());
    }
}

/// VARCHAR, JSON, ENUM.
pub fn text<'a, A: ArrayAccessor<Item = &'a str> + 'a>(array: A) -> Box<dyn Cell + 'a> {
    Box::new(Text(array))
}

/// A JSON string.
pub fn write_json_text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn float(finite: bool, nan: bool, negative: bool, value: impl serde::Serialize, out: &mut Vec<u8>) -> Style {
    if finite {
        let _ = serde_json::to_writer(out, &value);
        return Style::Bare;
    }
    out.extend_from_slice(match (nan, negative) {
        (true, _) => b"NaN",
        (false, false) => b"Infinity",
        (false, true) => b"-Infinity",
    });
    Style::Quoted
}

/// Any column of values without parts.
#[allow(clippy::too_many_lines, reason = "one arm a type")]
pub fn scalar<'a>(field: &Field, array: &'a ArrayRef) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    macro_rules! integers {
        ($type:ty) => {{
            let values = array.as_primitive::<$type>();
            boxed(array, move |row, out| {
                text::display(values.value(row), out);
                Style::Bare
            })
        }};
    }
    macro_rules! wide_integers {
        ($type:ty, $magnitude:expr) => {{
            let values = array.as_primitive::<$type>();
            boxed(array, move |row, out| {
                let value = values.value(row);
                text::display(value, out);
                if $magnitude(value) <= MAX_EXACT_JSON_INTEGER { Style::Bare } else { Style::Quoted }
            })
        }};
    }
    macro_rules! floats {
        ($type:ty) => {{
            let values = array.as_primitive::<$type>();
            boxed(array, move |row, out| {
                let value = values.value(row);
                float(value.is_finite(), value.is_nan(), value.is_sign_negative(), value, out)
            })
        }};
    }
    macro_rules! timestamps {
        ($type:ty, $per_second:expr, $utc:expr) => {{
            let (values, utc) = (array.as_primitive::<$type>(), $utc);
            quoted(array, move |row, out| text::timestamp(values.value(row), $per_second, utc, out))
        }};
    }
    macro_rules! decimals {
        ($type:ty, $scale:expr) => {{
            let (values, scale) = (array.as_primitive::<$type>(), u8::try_from(*$scale).unwrap_or(0));
            quoted(array, move |row, out| text::decimal(i128::from(values.value(row)), scale, out))
        }};
    }
    Ok(match (array.data_type(), Extension::of(field)?) {
        (DataType::Null, _) => quoted(array, |_, _| {}),
        (DataType::Boolean, Extension::None) => {
            let values = array.as_boolean();
            boxed(array, move |row, out| {
                text::display(values.value(row), out);
                Style::Bare
            })
        }
        (DataType::Int8, Extension::Bool8) => {
            let values = array.as_primitive::<Int8Type>();
            boxed(array, move |row, out| {
                text::display(values.value(row) != 0, out);
                Style::Bare
            })
        }
        (DataType::Int8, Extension::None) => integers!(Int8Type),
        (DataType::Int16, Extension::None) => integers!(Int16Type),
        (DataType::Int32, Extension::None) => integers!(Int32Type),
        (DataType::Int64, Extension::None) => wide_integers!(Int64Type, i64::unsigned_abs),
        (DataType::UInt8, Extension::None) => integers!(UInt8Type),
        (DataType::UInt16, Extension::None) => integers!(UInt16Type),
        (DataType::UInt32, Extension::None) => integers!(UInt32Type),
        (DataType::UInt64, Extension::None) => wide_integers!(UInt64Type, std::convert::identity),
        (DataType::Float32, Extension::None) => floats!(Float32Type),
        (DataType::Float64, Extension::None) => floats!(Float64Type),
        (DataType::Decimal32(_, scale), Extension::None) => decimals!(Decimal32Type, scale),
        (DataType::Decimal64(_, scale), Extension::None) => decimals!(Decimal64Type, scale),
        (DataType::Decimal128(_, scale), Extension::None) => decimals!(Decimal128Type, scale),
        (DataType::Decimal256(_, 0), Extension::None) => {
            let values = array.as_primitive::<Decimal256Type>();
            quoted(array, move |row, out| text::display(values.value(row), out))
        }
        (DataType::Date32, Extension::None) => {
            let values = array.as_primitive::<Date32Type>();
            quoted(array, move |row, out| text::date(values.value(row), out))
        }
        (DataType::Time64(TimeUnit::Microsecond), Extension::None) => {
            let values = array.as_primitive::<Time64MicrosecondType>();
            quoted(array, move |row, out| text::time_micros(values.value(row), out))
        }
        (DataType::Time64(TimeUnit::Nanosecond), Extension::None) => {
            let values = array.as_primitive::<Time64NanosecondType>();
            quoted(array, move |row, out| text::time_nanos(values.value(row), out))
        }
        (DataType::Timestamp(TimeUnit::Second, zone), Extension::None) => {
            timestamps!(TimestampSecondType, 1, zone.is_some())
        }
        (DataType::Timestamp(TimeUnit::Millisecond, zone), Extension::None) => {
            timestamps!(TimestampMillisecondType, 1_000, zone.is_some())
        }
        (DataType::Timestamp(TimeUnit::Microsecond, zone), Extension::None) => {
            timestamps!(TimestampMicrosecondType, 1_000_000, zone.is_some())
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, zone), Extension::None) => {
            timestamps!(TimestampNanosecondType, 1_000_000_000, zone.is_some())
        }
        (DataType::Duration(TimeUnit::Microsecond), Extension::None) => {
            let values = array.as_primitive::<DurationMicrosecondType>();
            quoted(array, move |row, out| text::interval(0, 0, values.value(row), out))
        }
        (DataType::Interval(IntervalUnit::MonthDayNano), Extension::None) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            quoted(array, move |row, out| {
                let value = values.value(row);
                // DuckDB counts microseconds and multiplies by 1,000 for Arrow.
                text::interval(value.months, value.days, value.nanoseconds / 1_000, out);
            })
        }
        (DataType::FixedSizeBinary(16), Extension::HugeInt) => {
            sixteen_bytes(array, |bytes, out| text::display(i128::from_le_bytes(bytes), out))
        }
        (DataType::FixedSizeBinary(16), Extension::UHugeInt) => {
            sixteen_bytes(array, |bytes, out| text::display(u128::from_le_bytes(bytes), out))
        }
        (DataType::FixedSizeBinary(16), Extension::Uuid) => sixteen_bytes(array, text::uuid),
        (DataType::FixedSizeBinary(8), Extension::TimeTz) => {
            let values = array.as_fixed_size_binary();
            quoted(array, move |row, out| {
                let bytes = values.value(row).try_into().unwrap_or_default();
                text::time_tz(u64::from_le_bytes(bytes), out);
            })
        }
        (DataType::Binary, extension) => binary(array, array.as_binary::<i32>(), extension)?,
        (DataType::LargeBinary, extension) => binary(array, array.as_binary::<i64>(), extension)?,
        (DataType::BinaryView, extension) => binary(array, array.as_binary_view(), extension)?,
        (other, extension) => {
            return Err(EncodeError::Unsupported(format!("Arrow type {other} marked {extension:?}")));
        }
    })
}

fn sixteen_bytes<'a>(array: &'a ArrayRef, write: impl Fn([u8; 16], &mut Vec<u8>) + 'a) -> Box<dyn Cell + 'a> {
    let values = array.as_fixed_size_binary();
    quoted(array, move |row, out| write(values.value(row).try_into().unwrap_or_default(), out))
}

fn binary<'a, A: ArrayAccessor<Item = &'a [u8]> + 'a>(
    array: &'a dyn Array,
    values: A,
    extension: Extension,
) -> Result<Box<dyn Cell + 'a>, EncodeError> {
    match extension {
        Extension::None => Ok(quoted(array, move |row, out| {
            out.extend_from_slice(BASE64.encode(values.value(row)).as_bytes());
        })),
        Extension::Bit => Ok(quoted(array, move |row, out| text::bits(values.value(row), out))),
        Extension::Bignum => Ok(quoted(array, move |row, out| text::bignum(values.value(row), out))),
        other => Err(EncodeError::Unsupported(format!("bytes marked {other:?}"))),
    }
}
