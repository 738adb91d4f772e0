//! A tenant's data key, and the keys of its class that wrap it.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::cipher::{Cipher, KEY_BYTES};
use crate::environment::Environment;
use crate::identity::TenantPath;

/// The key of one tenant's data. It never changes. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

/// A key could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has another form.
    #[error("the key {0} is not 64 hexadecimal digits, such as `openssl rand -hex 32` prints")]
    Malformed(String),
    /// New data keys are to be wrapped by a key that is not there.
    #[error("there is no key {0}: add it")]
    Absent(String),
    /// A data key is wrapped by a key that is not there.
    #[error("the tenant's data key is wrapped by the key {0}, which is not there: add it again")]
    Unknown(String),
    /// A wrapped data key cannot be opened: altered, of another tenant, or by another key of that name.
    #[error(
        "the tenant's data key cannot be unwrapped by the key {0}: it was altered, or that key was replaced"
    )]
    Damaged(String),
    /// The tenant is encrypted, and no key was given.
    #[error(
        "the tenant's data is encrypted, and its class names no keys: set spec.encryption of the TenantClass"
    )]
    NotGiven,
    /// tenant.json says nothing of a data key any more.
    #[error("the tenant is encrypted, and its tenant.json has no data key: it was replaced; bring it back")]
    Removed,
    /// The tenant is not encrypted, and a key was given.
    #[error("a key was given for a tenant whose data is not encrypted")]
    NotEncrypted,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[data key]")
    }
}

impl DataKey {
    pub(crate) fn random(environment: &Environment) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        environment.randomness.fill(&mut *bytes);
        Self(bytes)
    }

    /// Reads a key from 64 hexadecimal digits; `name` is what an error calls it.
    pub fn from_hex(name: &str, digits: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(digits.trim(), &mut *bytes).map_err(|_| KeyError::Malformed(name.to_owned()))?;
        Ok(Self(bytes))
    }

    /// The key as 64 hexadecimal digits.
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(*self.0))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

/// The keys of a class, by name: one wraps, all unwrap.
pub struct ClassKeys {
    current: String,
    keys: BTreeMap<String, Cipher>,
}

impl fmt::Debug for ClassKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassKeys").field("current", &self.current).field("names", &self.keys.keys()).finish()
    }
}

impl ClassKeys {
    /// `current` wraps new data keys. A key is 64 hexadecimal digits; another entry that is none is no key.
    pub fn new<'a>(
        current: &str,
        keys: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, KeyError> {
        let mut known = BTreeMap::new();
        for (name, digits) in keys {
            match DataKey::from_hex(name, digits) {
                Ok(key) => drop(known.insert(name.to_owned(), Cipher::new(key.bytes()))),
                Err(error) if name == current => return Err(error),
                Err(_) => {}
            }
        }
        if !known.contains_key(current) {
            return Err(KeyError::Absent(current.to_owned()));
        }
        Ok(Self { current: current.to_owned(), keys: known })
    }

    /// The data key as `tenant.json` keeps it: `<name of the class's key>:<digits>`.
    pub(crate) fn wrap(&self, key: &DataKey, tenant: &TenantPath) -> Result<String, KeyError> {
        // 32 bytes are never too long, and the constructor saw the key.
        let sealed = self.keys.get(&self.current).and_then(|by| by.seal(&place(tenant), key.bytes()).ok());
        let sealed = sealed.ok_or_else(|| KeyError::Absent(self.current.clone()))?;
        Ok(format!("{}:{}", self.current, hex::encode(sealed)))
    }

    pub(crate) fn unwrap(&self, wrapped: &str, tenant: &TenantPath) -> Result<DataKey, KeyError> {
        let (name, digits) = wrapped.rsplit_once(':').unwrap_or(("", wrapped));
        let by = self.keys.get(name).ok_or_else(|| KeyError::Unknown(name.to_owned()))?;
        let opened = hex::decode(digits).ok().and_then(|sealed| by.open(&place(tenant), &sealed));
        let bytes = opened.map(Zeroizing::new).and_then(|bytes| <[u8; KEY_BYTES]>::try_from(&**bytes).ok());
        bytes.map(|bytes| DataKey(Zeroizing::new(bytes))).ok_or_else(|| KeyError::Damaged(name.to_owned()))
    }

    /// Name of the key that wraps now.
    pub fn current(&self) -> &str {
        &self.current
    }
}

/// Name of the key that wraps a data key.
pub(crate) fn wrapped_by(wrapped: &str) -> &str {
    wrapped.rsplit_once(':').map_or("", |(name, _)| name)
}

/// A prefix may be copied to another bucket, and is still the same tenant's.
fn place(tenant: &TenantPath) -> Vec<u8> {
    format!("data key of {}/{}", tenant.namespace, tenant.tenant).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: (&str, &str) = ("2025", "1111111111111111111111111111111111111111111111111111111111111111");
    const NEW: (&str, &str) = ("2026", "2222222222222222222222222222222222222222222222222222222222222222");

    #[test]
    fn a_data_key_is_opened_by_its_classs_key_for_its_tenant_only() {
        let (acme, other) =
            (TenantPath::new("a", "shop", "acme").unwrap(), TenantPath::new("a", "shop", "other").unwrap());
        let key = DataKey::random(&Environment::system());
        let before = ClassKeys::new("2025", [OLD]).unwrap();
        let both = ClassKeys::new("2026", [OLD, NEW]).unwrap();
        let after = ClassKeys::new("2026", [NEW]).unwrap();
        let wrapped = before.wrap(&key, &acme).unwrap();
        assert!(wrapped.starts_with("2025:") && !wrapped.contains(&*key.to_hex()));
        assert_eq!(before.unwrap(&wrapped, &acme).unwrap(), key);
        assert_eq!(both.unwrap(&wrapped, &acme).unwrap(), key);
        assert_eq!((wrapped_by(&wrapped), both.current()), ("2025", "2026"));
        assert_eq!(before.unwrap(&wrapped, &other).unwrap_err(), KeyError::Damaged("2025".into()));
        assert_eq!(after.unwrap(&wrapped, &acme).unwrap_err(), KeyError::Unknown("2025".into()));
        assert_eq!(after.unwrap(&both.wrap(&key, &acme).unwrap(), &acme).unwrap(), key);
        for nonsense in ["", "2025", "2025:", "2025:zz", "2025:00"] {
            assert!(before.unwrap(nonsense, &acme).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        let table = [
            ("2025", ("2025", "11"), KeyError::Malformed("2025".into())),
            ("2025", ("2025", ""), KeyError::Malformed("2025".into())),
            ("2026", OLD, KeyError::Absent("2026".into())),
        ];
        for (current, key, error) in table {
            assert_eq!(ClassKeys::new(current, [key]).unwrap_err(), error);
        }
        assert!(ClassKeys::new("2025", [("2025", &*format!("{}\n", OLD.1))]).is_ok(), "as files end");
        assert!(ClassKeys::new("2025", [OLD, ("README", "what this is")]).is_ok(), "another entry");
        assert!(!format!("{:?}", ClassKeys::new("2025", [OLD])).contains("1111"));
        assert_eq!(format!("{:?}", DataKey::from_hex("k", OLD.1).unwrap()), "[data key]");
    }
}
