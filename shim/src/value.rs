//! Values for parameters.
use crate::ffi::{RawValue, Text};

/// A value for a parameter. DuckDB casts it to the type that the statement expects.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// BIGINT.
    I64(i64),
    /// UHUGEINT, or HUGEINT if it fits: what is too large for BIGINT.
    U128(u128),
    /// HUGEINT.
    I128(i128),
    /// DOUBLE.
    F64(f64),
    /// VARCHAR; also how dates, decimals, nested values are given.
    Text(String),
    /// BLOB.
    Blob(Vec<u8>),
}

impl Value {
    pub(crate) fn to_raw(&self) -> RawValue {
        let mut raw = RawValue { kind: 0, low: 0, high: 0, number: 0.0, bytes: Text::data("") };
        match self {
            Self::Null => {}
            Self::Bool(value) => (raw.kind, raw.low) = (1, u64::from(*value)),
            Self::I64(value) => (raw.kind, raw.low) = (2, *value as u64),
            Self::I128(value) => set_wide(&mut raw, 3, *value as u128),
            Self::U128(value) => {
                set_wide(&mut raw, if i128::try_from(*value).is_ok() { 3 } else { 4 }, *value);
            }
            Self::F64(value) => (raw.kind, raw.number) = (5, *value),
            Self::Text(text) => (raw.kind, raw.bytes) = (6, Text::data(text)),
            Self::Blob(bytes) => (raw.kind, raw.bytes) = (7, Text::from_bytes(bytes)),
        }
        raw
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the two halves are cut on purpose")]
fn set_wide(raw: &mut RawValue, kind: u8, bits: u128) {
    (raw.kind, raw.low, raw.high) = (kind, bits as u64, (bits >> 64) as u64);
}
