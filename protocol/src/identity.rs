//! Names and ids that data carries: which branch, which history, which write.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a branch or tenant (a DNS label that bounds labels and paths).
pub const MAX_BRANCH_NAME: usize = 40;
/// Longest name of a snapshot or namespace.
pub const MAX_NAME: usize = 63;

/// A name that is not what Roost accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {name:?} is not valid: use at most {limit} of a-z, 0-9 and '-', starting and ending with a letter or digit"
)]
pub struct InvalidName {
    /// Kind of name, such as `tenant name`.
    pub what: &'static str,
    /// The rejected text.
    pub name: String,
    /// The longest accepted length.
    pub limit: usize,
}

/// Checks that a name is a DNS label of at most `limit` characters.
pub fn check_label(what: &'static str, name: &str, limit: usize) -> Result<(), InvalidName> {
    let bytes = name.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let edge = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
    if bytes.len() <= limit && bytes.iter().all(inner) && edge(bytes.first()) && edge(bytes.last()) {
        return Ok(());
    }
    Err(InvalidName { what, name: name.chars().take(80).collect(), limit })
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From raw bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let mut bytes = [0; 16];
                let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if lower => Ok(Self(bytes)),
                    _ => Err(InvalidId { kind: stringify!($name) }),
                }
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

/// Text that is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be 32 lower-case hexadecimal digits")]
pub struct InvalidId {
    kind: &'static str,
}

hex_id! {
    /// Random id of one branch's history; carried by every object of it and checked on every read.
    Lineage
}
hex_id! {
    /// Identity of one write; every retry of that write repeats it.
    PutId
}
hex_id! {
    /// The random part of an immutable object's name.
    ObjectId
}
hex_id! {
    /// DuckDB's own identifier of a database file (its main header carries it).
    DatabaseId
}

/// The name of a branch: a DNS label of at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

impl BranchName {
    /// Checks a name.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        check_label("branch name", &name, MAX_BRANCH_NAME)?;
        Ok(Self(name))
    }
    /// The branch that every tenant has.
    pub fn main() -> Self {
        Self("main".into())
    }
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl From<BranchName> for String {
    fn from(name: BranchName) -> Self {
        name.0
    }
}
impl TryFrom<String> for BranchName {
    type Error = InvalidName;
    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}
