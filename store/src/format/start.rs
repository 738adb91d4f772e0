//! Beginning of each binary object: its magic, its version, and the encryption of the rest.

use super::FormatError;
use super::bytes::Reader;
use crate::encryption::Encryption;

pub(super) fn put_start(out: &mut Vec<u8>, magic: [u8; 8], version: u16, encryption: Encryption) {
    out.extend_from_slice(&magic);
    out.extend_from_slice(&version.to_le_bytes());
    out.extend_from_slice(&[encryption.code(), 0]);
}

/// Checks the beginning of an object; returns the encryption of the rest.
pub(super) fn check_start(
    input: &mut Reader<'_>,
    magic: [u8; 8],
    supported: u16,
) -> Result<Encryption, FormatError> {
    if input.array::<8>()? != magic {
        return Err(FormatError::Damaged("it does not begin with its kind's magic".into()));
    }
    let version = input.u16()?;
    if version == 0 || version > supported {
        return Err(FormatError::Version { found: version.into(), supported: supported.into() });
    }
    let encryption = Encryption::from_code(input.u8()?)?;
    if input.u8()? != 0 {
        return Err(FormatError::Damaged("a reserved byte is set".into()));
    }
    Ok(encryption)
}
