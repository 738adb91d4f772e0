//! Names of packs and pages, and how binary objects hold them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FormatError;
use super::bytes::Reader;
use crate::identity::{BranchName, Lineage, ObjectId};

/// The name of a pack or page: which branch, history, epoch and manifest made it, and 128 random bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName {
    /// Branch that made it.
    pub branch: BranchName,
    /// History that made it.
    pub lineage: Lineage,
    /// Epoch that made it.
    pub epoch: u64,
    /// Number of the manifest that it was made for.
    pub manifest: u64,
    /// Random part.
    pub id: ObjectId,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { branch, lineage, epoch, manifest, id } = self;
        write!(f, "{branch}.{lineage}.{epoch}.{manifest}.{id}")
    }
}

impl FromStr for ObjectName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{:?} is not an object name", text.chars().take(200).collect::<String>());
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or_else(wrong);
        let name = Self {
            branch: BranchName::new(next()?).map_err(|_| wrong())?,
            lineage: next()?.parse().map_err(|_| wrong())?,
            epoch: next()?.parse().map_err(|_| wrong())?,
            manifest: next()?.parse().map_err(|_| wrong())?,
            id: next()?.parse().map_err(|_| wrong())?,
        };
        if parts.next().is_some() || name.to_string() != text { Err(wrong()) } else { Ok(name) }
    }
}
impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.to_string()
    }
}
impl TryFrom<String> for ObjectName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

pub(super) fn put_name(out: &mut Vec<u8>, name: &ObjectName) {
    put_branch(out, &name.branch);
    out.extend_from_slice(name.lineage.as_bytes());
    out.extend_from_slice(&name.epoch.to_le_bytes());
    out.extend_from_slice(&name.manifest.to_le_bytes());
    out.extend_from_slice(name.id.as_bytes());
}

pub(super) fn put_branch(out: &mut Vec<u8>, branch: &BranchName) {
    let branch = branch.as_str().as_bytes();
    out.push(u8::try_from(branch.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(branch);
}

pub(super) fn take_branch(input: &mut Reader<'_>) -> Result<BranchName, FormatError> {
    let length = input.u8()?;
    String::from_utf8(input.take(length.into())?.to_vec())
        .ok()
        .and_then(|name| BranchName::new(name).ok())
        .ok_or_else(|| FormatError::Damaged("a branch name is not valid".into()))
}

pub(super) fn take_name(input: &mut Reader<'_>) -> Result<ObjectName, FormatError> {
    Ok(ObjectName {
        branch: take_branch(input)?,
        lineage: Lineage::from_bytes(input.array()?),
        epoch: input.u64()?,
        manifest: input.u64()?,
        id: ObjectId::from_bytes(input.array()?),
    })
}
