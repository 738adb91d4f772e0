//! Encryption of what tenants keep in the bucket: each has a data key, which a key of its class wraps.
//!
//! What a database holds is encrypted: its chunks and its WAL. What says where things are is not: names, sizes, times,
//! the identity of owners. A tenant is encrypted from its creation on, or never.

mod cipher;
mod codec;
mod keys;

pub use codec::{Codec, Encryption};
pub(crate) use keys::wrapped_by;
pub use keys::{ClassKeys, DataKey, KeyError};
