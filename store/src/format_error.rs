//! Flaws of the bytes of an object.

/// Bytes that are not the object they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Truncated, altered, or never this kind of object.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A version that this release does not read.
    #[error("it has format version {found}, this release reads up to {supported}; use a newer release")]
    Version {
        /// The object's version.
        found: u32,
        /// The newest version that this release reads.
        supported: u32,
    },
    /// Encrypted in a way that this release does not know.
    #[error("it is encrypted (kind {0}), which this release cannot read; use a newer release")]
    Encrypted(u8),
    /// Encrypted, and read without a key.
    #[error("it is encrypted, and its tenant's data key is not known")]
    KeyMissing,
}
