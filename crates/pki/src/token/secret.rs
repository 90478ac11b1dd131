//! The secret of a token, and what the master keeps of it.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::digest::{hex_from, sha256};

/// The secret half of a join token: 256 random bits. Wiped when dropped, printed nowhere.
#[derive(Clone)]
pub struct JoinSecret(Zeroizing<[u8; 32]>);

impl JoinSecret {
    /// Takes a secret off the wire; `None` unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes
            .try_into()
            .ok()
            .map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The secret, for the one message that carries it.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the master keeps.
    pub fn hash(&self) -> SecretHash {
        SecretHash(sha256(&*self.0))
    }

    pub(crate) fn from_array(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(***)")
    }
}

/// SHA-256 of a [`JoinSecret`]. A secret of 256 random bits cannot be guessed from its hash, so no slow hash is
/// needed. JSON: 64 lower-case hexadecimal digits. Equality takes the same time wherever the difference lies.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Compared against when there is no token, so that the same work is done. No secret with this hash is known.
    pub(crate) const OF_NO_TOKEN: Self = Self([0x5a; 32]);
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(***)")
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex_from(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_reads_back_from_its_text() {
        let hash = JoinSecret::from_slice(&[7; 32]).unwrap().hash();
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(text.len(), 66, "64 digits in quotes: {text}");
        assert_eq!(serde_json::from_str::<SecretHash>(&text).unwrap(), hash);
        assert!(serde_json::from_str::<SecretHash>("\"00\"").is_err());
    }

    #[test]
    fn refuse_secrets_of_another_length() {
        assert!(JoinSecret::from_slice(&[7; 31]).is_none());
        assert!(JoinSecret::from_slice(&[7; 33]).is_none());
    }
}
