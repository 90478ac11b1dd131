//! The key of a certificate request, after proof that the requester holds it.

use jobyard_core::MAX_CERTIFICATE_REQUEST_BYTES;
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};
use rustls_pki_types::SignatureVerificationAlgorithm;
use x509_parser::asn1_rs::Oid;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;

use crate::digest::SpkiHash;

/// The public key of a PKCS#10 request whose own signature was good: all that is ever taken from a request.
///
/// It has one constructor, so whoever holds one knows that the requester holds the private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsrKey {
    kind: KeyKind,
    spki: Vec<u8>,
}

impl CsrKey {
    /// Checks a request and takes its key. Pure; the cost is bounded by
    /// [`MAX_CERTIFICATE_REQUEST_BYTES`] and one verified signature.
    pub fn from_request_der(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > MAX_CERTIFICATE_REQUEST_BYTES {
            return Err(CsrError::TooLarge { bytes: der.len() });
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
        if !rest.is_empty() {
            return Err(CsrError::TrailingBytes);
        }
        let info = &request.certification_request_info;
        let key = Self::from_spki(info.subject_pki.raw)?;
        let algorithm = &request.signature_algorithm;
        if algorithm.algorithm != key.kind.signature_oid() || algorithm.parameters.is_some() {
            return Err(CsrError::BadSignature);
        }
        key.kind
            .verifier()
            .verify_signature(key.key_bytes(), info.raw, &request.signature_value.data)
            .map_err(|_| CsrError::BadSignature)?;
        Ok(key)
    }

    /// The hash that names this key.
    pub fn spki_hash(&self) -> SpkiHash {
        SpkiHash::of_spki(&self.spki)
    }

    /// The contents of the BIT STRING.
    fn key_bytes(&self) -> &[u8] {
        &self.spki[self.kind.key_offset()..]
    }

    /// Accepts the one DER form of each allowed kind of key, byte by byte; anything else, compressed points and
    /// odd parameters included, is a key that is not allowed.
    fn from_spki(spki: &[u8]) -> Result<Self, CsrError> {
        [KeyKind::P256, KeyKind::Ed25519]
            .into_iter()
            .find(|kind| spki.len() == kind.spki_bytes() && spki.starts_with(kind.spki_prefix()))
            .map(|kind| Self {
                kind,
                spki: spki.to_vec(),
            })
            .ok_or(CsrError::KeyNotAllowed)
    }
}

/// The key as the certificate writer wants it; a type of its own, to keep that writer out of the public API.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a>(pub(crate) &'a CsrKey);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.key_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.0.kind {
            KeyKind::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyKind::Ed25519 => &PKCS_ED25519,
        }
    }
}

/// Why a certificate request was refused. Always the requester's fault; the same request will fail again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Refused by its size, before a byte of it was parsed.
    #[error(
        "{bytes} bytes are more than the {MAX_CERTIFICATE_REQUEST_BYTES} of the longest request"
    )]
    TooLarge {
        /// How long it was.
        bytes: usize,
    },
    /// Not a PKCS#10 request in DER.
    #[error("not a PKCS#10 request in DER")]
    Malformed,
    /// Something follows the request.
    #[error("bytes follow the request")]
    TrailingBytes,
    /// Only two kinds of keys are signed.
    #[error("the key is neither Ed25519 nor ECDSA P-256 (uncompressed)")]
    KeyNotAllowed,
    /// The requester has not shown that it holds the private key.
    #[error("the request is not signed by its own key")]
    BadSignature,
}

/// The kinds of keys that are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    P256,
    Ed25519,
}

impl KeyKind {
    /// The DER of the SubjectPublicKeyInfo up to the key itself; for P-256 (RFC 5480) with the byte that says
    /// "uncompressed point", for Ed25519 as in RFC 8410.
    const fn spki_prefix(self) -> &'static [u8] {
        match self {
            Self::P256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
            ],
            Self::Ed25519 => &[
                0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
            ],
        }
    }

    /// Where the contents of the BIT STRING begin.
    const fn key_offset(self) -> usize {
        match self {
            // The "uncompressed" byte belongs to the key.
            Self::P256 => self.spki_prefix().len() - 1,
            Self::Ed25519 => self.spki_prefix().len(),
        }
    }

    const fn spki_bytes(self) -> usize {
        match self {
            Self::P256 => self.spki_prefix().len() + 64,
            Self::Ed25519 => self.spki_prefix().len() + 32,
        }
    }

    fn signature_oid(self) -> Oid<'static> {
        match self {
            Self::P256 => OID_SIG_ECDSA_WITH_SHA256,
            Self::Ed25519 => OID_SIG_ED25519,
        }
    }

    fn verifier(self) -> &'static dyn SignatureVerificationAlgorithm {
        match self {
            Self::P256 => webpki::aws_lc_rs::ECDSA_P256_SHA256,
            Self::Ed25519 => webpki::aws_lc_rs::ED25519,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};

    use super::*;

    fn request(algorithm: &'static SignatureAlgorithm) -> (KeyPair, Vec<u8>) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let der = CertificateParams::default()
            .serialize_request(&key)
            .unwrap()
            .der()
            .to_vec();
        (key, der)
    }

    #[test]
    fn take_the_key_of_both_allowed_kinds() {
        for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ED25519] {
            let (key, der) = request(algorithm);
            let taken = CsrKey::from_request_der(&der).unwrap();
            assert_eq!(taken.key_bytes(), key.public_key_raw());
            assert_eq!(
                taken.spki_hash(),
                SpkiHash::of_spki(&key.subject_public_key_info())
            );
            assert_eq!(
                Subject(&taken).subject_public_key_info(),
                key.subject_public_key_info()
            );
        }
    }

    #[test]
    fn xe13_refuse_other_kinds_of_keys() {
        for algorithm in [&PKCS_RSA_SHA256, &PKCS_ECDSA_P384_SHA384] {
            let (_, der) = request(algorithm);
            assert_eq!(CsrKey::from_request_der(&der), Err(CsrError::KeyNotAllowed));
        }
    }

    #[test]
    fn xe11_refuse_a_request_not_signed_by_its_own_key() {
        let (_, mut der) = request(&PKCS_ED25519);
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(CsrKey::from_request_der(&der), Err(CsrError::BadSignature));

        // The key of somebody else in an otherwise good request.
        let (mine, mut der) = request(&PKCS_ECDSA_P256_SHA256);
        let (theirs, _) = request(&PKCS_ECDSA_P256_SHA256);
        let needle = mine.public_key_raw();
        let at = der
            .windows(needle.len())
            .position(|window| window == needle)
            .unwrap();
        der[at..at + needle.len()].copy_from_slice(theirs.public_key_raw());
        assert_eq!(CsrKey::from_request_der(&der), Err(CsrError::BadSignature));
    }

    #[test]
    fn xe14_refuse_oversized_and_trailing_bytes() {
        let huge = vec![0x30; MAX_CERTIFICATE_REQUEST_BYTES + 1];
        assert_eq!(
            CsrKey::from_request_der(&huge),
            Err(CsrError::TooLarge { bytes: huge.len() })
        );
        let (_, mut der) = request(&PKCS_ED25519);
        der.push(0);
        assert_eq!(CsrKey::from_request_der(&der), Err(CsrError::TrailingBytes));
    }

    #[test]
    fn xe14_deeply_nested_asn1_is_refused_without_a_panic() {
        for byte in [0x30, 0x31, 0xa0, 0x24] {
            // Each level: a constructed tag with the long form of a length that spans the rest.
            let mut nested = Vec::new();
            while nested.len() + 4 <= MAX_CERTIFICATE_REQUEST_BYTES {
                let rest = u16::try_from(MAX_CERTIFICATE_REQUEST_BYTES - nested.len() - 4).unwrap();
                nested.extend([byte, 0x82]);
                nested.extend(rest.to_be_bytes());
            }
            assert!(CsrKey::from_request_der(&nested).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..512),
        ) {
            prop_assert!(CsrKey::from_request_der(&bytes).is_err());
        }

        #[test]
        fn a_damaged_request_gives_its_key_or_nothing(at in 0_usize..200, flip in 1_u8..) {
            let (key, mut der) = request(&PKCS_ED25519);
            let at = at % der.len();
            der[at] ^= flip;
            // The parser is lenient with some tags outside the signed part; within it, nothing may change.
            if let Ok(taken) = CsrKey::from_request_der(&der) {
                prop_assert_eq!(taken.key_bytes(), key.public_key_raw());
            }
        }
    }
}
