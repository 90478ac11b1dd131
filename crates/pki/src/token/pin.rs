//! The fingerprint by which a newcomer recognises the root.

use std::fmt;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::base32;
use crate::digest::sha256;

/// SHA-256 of a root's SubjectPublicKeyInfo (the pin of RFC 7469): names the root's key, whatever certificate
/// carries it. Not a secret. Text: 52 characters of lower-case base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootPin([u8; 32]);

impl RootPin {
    /// Wraps a pin that was computed before.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Of the key in a DER certificate; `None` if it is not one.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        rest.is_empty()
            .then(|| Self(sha256(certificate.public_key().raw)))
    }

    /// The hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first of `presented` whose key one of `pins` names.
    pub(crate) fn find<'a, 'der>(
        pins: &[Self],
        presented: &'a [CertificateDer<'der>],
    ) -> Option<&'a CertificateDer<'der>> {
        presented.iter().find(|certificate| {
            Self::of_certificate(certificate).is_some_and(|pin| pins.contains(&pin))
        })
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        base32::decode(text).map(Self)
    }
}

impl fmt::Display for RootPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

impl fmt::Debug for RootPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootPin({self})")
    }
}
