//! Signed statements: a JSON document and an Ed25519 signature over it and over what it is for.
//!
//! Text form: `base64url(json) "." base64url(signature)`. The signature covers `roost/<purpose>/v1\n` and the JSON
//! bytes, so that a statement made for one purpose is never accepted for another.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{rand::SystemRandom, signature};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;

/// Longest signed statement that is looked at. A grant with a full init script and settings fits.
pub const MAX_SIGNED_BYTES: usize = 256 * 1024;

/// A document that travels signed.
pub trait Statement: Serialize + DeserializeOwned {
    /// Purpose of the statement; part of what is signed.
    const PURPOSE: &'static str;
}

/// Why a signed statement was not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SigningError {
    /// The key document could not be read.
    #[error("the signing key cannot be read: {0}")]
    BadKey(String),
    /// Not of the form that [`SigningKey::sign`] writes.
    #[error("the signed statement is malformed")]
    Malformed,
    /// Signed by another key, for another purpose, or changed since.
    #[error("the statement's signature does not verify")]
    BadSignature,
    /// Larger than [`MAX_SIGNED_BYTES`].
    #[error("the signed statement is larger than {MAX_SIGNED_BYTES} bytes")]
    TooLarge,
}

/// The private half: signs.
pub struct SigningKey(signature::Ed25519KeyPair);

impl SigningKey {
    /// Makes a new key; returns its PKCS#8 document, to be kept in a Secret.
    pub fn generate() -> Result<Vec<u8>, SigningError> {
        signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .map(|document| document.as_ref().to_vec())
            .map_err(|error| SigningError::BadKey(error.to_string()))
    }

    /// Reads a PKCS#8 document that [`SigningKey::generate`] made.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self, SigningError> {
        signature::Ed25519KeyPair::from_pkcs8(document)
            .map(Self)
            .map_err(|error| SigningError::BadKey(error.to_string()))
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        use signature::KeyPair as _;
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        VerifyingKey(bytes)
    }

    /// Signs a statement.
    pub fn sign<S: Statement>(&self, statement: &S) -> Result<String, SigningError> {
        let json = serde_json::to_vec(statement).map_err(|_| SigningError::Malformed)?;
        let signature = self.0.sign(&signed_bytes::<S>(&json));
        let token = format!("{}.{}", BASE64.encode(&json), BASE64.encode(signature.as_ref()));
        if token.len() > MAX_SIGNED_BYTES { Err(SigningError::TooLarge) } else { Ok(token) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.verifying_key())
    }
}

/// The public half: verifies. Its text form is base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// Verifies a token and reads the statement in it. The caller still checks whom it is for and until when.
    pub fn verify<S: Statement>(&self, token: &str) -> Result<S, SigningError> {
        if token.len() > MAX_SIGNED_BYTES {
            return Err(SigningError::TooLarge);
        }
        let (json, signature) = token.split_once('.').ok_or(SigningError::Malformed)?;
        let json = BASE64.decode(json).map_err(|_| SigningError::Malformed)?;
        let signature = BASE64.decode(signature).map_err(|_| SigningError::Malformed)?;
        signature::UnparsedPublicKey::new(&signature::ED25519, &self.0)
            .verify(&signed_bytes::<S>(&json), &signature)
            .map_err(|_| SigningError::BadSignature)?;
        serde_json::from_slice(&json).map_err(|_| SigningError::Malformed)
    }
}

fn signed_bytes<S: Statement>(json: &[u8]) -> Vec<u8> {
    [b"roost/", S::PURPOSE.as_bytes(), b"/v1\n", json].concat()
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl std::str::FromStr for VerifyingKey {
    type Err = SigningError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE64.decode(text.trim()).map_err(|error| SigningError::BadKey(error.to_string()))?;
        bytes.try_into().map(Self).map_err(|_| SigningError::BadKey("not 32 bytes".into()))
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for VerifyingKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note(String);
    impl Statement for Note {
        const PURPOSE: &'static str = "note";
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct OtherNote(String);
    impl Statement for OtherNote {
        const PURPOSE: &'static str = "other-note";
    }

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_statement_is_read_back() {
        let key = key();
        let token = key.sign(&Note("hello".into())).unwrap();
        let public: VerifyingKey = key.verifying_key().to_string().parse().unwrap();
        assert_eq!(public.verify::<Note>(&token), Ok(Note("hello".into())));
    }

    #[test]
    fn another_key_or_purpose_is_refused() {
        let signer = key();
        let token = signer.sign(&Note("hello".into())).unwrap();
        assert_eq!(key().verifying_key().verify::<Note>(&token), Err(SigningError::BadSignature));
        assert_eq!(signer.verifying_key().verify::<OtherNote>(&token), Err(SigningError::BadSignature));
    }

    proptest! {
        #[test]
        fn any_changed_character_is_refused(text in "[a-z]{0,40}", at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.-]") {
            let key = key();
            let token = key.sign(&Note(text)).unwrap();
            let at = at.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != token);
            prop_assert!(key.verifying_key().verify::<Note>(&changed).is_err());
        }
    }
}
