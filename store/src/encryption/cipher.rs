//! AES-256-GCM whose nonce is made of what is encrypted.
//!
//! A nonce that ever repeats for another text would give the key away. A keyed hash of place and text repeats for the
//! same text at the same place only, and then nothing but that is seen: no counter to lose, no generator to trust.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes that a sealed text has more than the text: the nonce before it, the tag behind it.
pub(crate) const OVERHEAD: usize = NONCE_LEN + 16;

/// One key, ready to use.
pub(crate) struct Cipher {
    key: LessSafeKey,
    nonce_key: Zeroizing<[u8; KEY_BYTES]>,
}

/// Why a text was not encrypted: ring refuses more than 64 GiB.
#[derive(Debug)]
pub(crate) struct TooLong;

impl Cipher {
    /// Derives the keys for text and nonces from 32 unpredictable bytes.
    pub(crate) fn new(secret: &[u8; KEY_BYTES]) -> Self {
        let derived = |purpose: &str| Zeroizing::new(blake3::derive_key(purpose, secret));
        let key = derived("roostdb.dev 2026-11 AES-256-GCM text");
        #[expect(clippy::expect_used, reason = "the algorithm's key has exactly this length")]
        let key = UnboundKey::new(&AES_256_GCM, &*key).expect("a key of 32 bytes");
        Self { key: LessSafeKey::new(key), nonce_key: derived("roostdb.dev 2026-11 AES-256-GCM nonce") }
    }

    /// Nonce, encrypted text and tag. Only whoever names the same place can open it.
    pub(crate) fn seal(&self, place: &[u8], text: &[u8]) -> Result<Vec<u8>, TooLong> {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        hasher.update(&(place.len() as u64).to_le_bytes()).update(place).update(text);
        let mut nonce = [0; NONCE_LEN];
        hasher.finalize_xof().fill(&mut nonce);
        let mut sealed = Vec::with_capacity(text.len() + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(place), &mut sealed[NONCE_LEN..])
            .map_err(|_| TooLong)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The text; none if it was altered, belongs to another place, or has another key.
    pub(crate) fn open(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, Aad::from(place), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_place_open_an_unaltered_text() {
        let cipher = Cipher::new(&[1; KEY_BYTES]);
        let sealed = cipher.seal(b"here", b"text").unwrap();
        assert_eq!(sealed.len(), 4 + OVERHEAD);
        assert_eq!(cipher.open(b"here", &sealed).unwrap(), b"text");
        assert!(cipher.open(b"there", &sealed).is_none());
        assert!(Cipher::new(&[2; KEY_BYTES]).open(b"here", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(cipher.open(b"here", &altered).is_none(), "byte {at}");
            assert!(cipher.open(b"here", &sealed[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_nonce_is_of_one_text_at_one_place() {
        let cipher = Cipher::new(&[1; KEY_BYTES]);
        let nonce = |place: &[u8], text: &[u8]| cipher.seal(place, text).unwrap()[..NONCE_LEN].to_vec();
        let all = [nonce(b"a", b"bc"), nonce(b"ab", b"c"), nonce(b"a", b"bd"), nonce(b"b", b"bc")];
        for (i, one) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|other| other != one));
        }
        assert_eq!(nonce(b"a", b"bc"), all[0]);
    }
}
