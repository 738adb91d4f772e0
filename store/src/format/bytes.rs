//! Reading little-endian fields without ever panicking.

use super::FormatError;

/// Bytes of the blake3 hash that binary objects end with.
pub(super) const HASH_BYTES: usize = 32;

/// Ends an object with the hash of what comes before.
pub(super) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

/// Checks the hash at the end and returns the bytes before it; every altered byte is detected.
pub(super) fn unsealed(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let Some((body, hash)) = bytes.split_last_chunk::<HASH_BYTES>() else {
        return Err(FormatError::Damaged("it ends too early".into()));
    };
    if blake3::hash(body).as_bytes() == hash {
        Ok(body)
    } else {
        Err(FormatError::Damaged("the checksum does not match".into()))
    }
}

/// The part of a binary object that was not read yet.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        match self.0.split_at_checked(length) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => Err(FormatError::Damaged("it ends too early".into())),
        }
    }
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
    pub(super) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.array::<1>()?[0])
    }
    pub(super) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    pub(super) fn i64(&mut self) -> Result<i64, FormatError> {
        Ok(i64::from_le_bytes(self.array()?))
    }
    /// A 32-bit number of things.
    pub(super) fn count(&mut self) -> Result<usize, FormatError> {
        usize::try_from(self.u32()?).map_err(|_| FormatError::Damaged("a count is out of range".into()))
    }
    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
