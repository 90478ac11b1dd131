//! A key that its owner made for itself, and the request to have it certified.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use jobyard_core::{MAX_CERTIFICATE_REQUEST_BYTES, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize, Zeroizing};

use crate::credentials::{Credentials, CredentialsError};
use crate::digest::SpkiHash;
use crate::{pem, private_file};

/// A fresh private key (ECDSA P-256) and the PKCS#10 request for it. The request says nothing but the key: the
/// authority decides everything else.
///
/// To join, call [`open_pending`](Self::open_pending), send [`request_der`](Self::request_der), then
/// [`complete`](Self::complete) and [`Credentials::save`]. The key is kept until then, so that a retry after a
/// lost answer, even after a restart, is recognised as the same worker.
pub struct KeyRequest {
    key: Zeroizing<Vec<u8>>,
    request: Vec<u8>,
    spki_hash: SpkiHash,
}

impl KeyRequest {
    /// Makes a key in memory.
    pub fn generate() -> Result<Self, KeyRequestError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
            .map_err(|_| KeyRequestError::Generate)?;
        Self::from_pair(pair)
    }

    /// The key that waits in `dir` for its certificate, or a new one that is kept there (mode 0600) before this
    /// returns. Blocks on the disk.
    pub fn open_pending(dir: &Path) -> Result<Self, KeyRequestError> {
        private_file::create_directory(dir)?;
        let path = dir.join(PENDING_FILE);
        if let Some(text) = private_file::read(&path)? {
            let broken = || KeyRequestError::BrokenPending { path: path.clone() };
            let key = pem::decode(&text)
                .ok()
                .and_then(|bundle| bundle.key)
                .ok_or_else(broken)?;
            return Self::from_pkcs8(&key).ok_or_else(broken);
        }
        let fresh = Self::generate()?;
        private_file::write(&path, &pem::encode(&[], &fresh.key))?;
        Ok(fresh)
    }

    /// The request, DER.
    pub fn request_der(&self) -> &[u8] {
        &self.request
    }

    /// The hash that names the key.
    pub const fn spki_hash(&self) -> SpkiHash {
        self.spki_hash
    }

    /// Joins the key with the certificates that an authority gave for it. `chain` is leaf first, without the
    /// root. Refused unless the chain ends in one of `roots`, holds at `now`, and is for this key: what this
    /// returns will pass at the other end too, as far as both clocks agree.
    pub fn complete(
        &self,
        chain: &[Bytes],
        roots: &[Bytes],
        now: Timestamp,
    ) -> Result<Credentials, CredentialsError> {
        let own = |der: &Bytes| CertificateDer::from(der.to_vec());
        let credentials = Credentials::assemble(
            chain.iter().map(own).collect(),
            self.key.clone(),
            roots.iter().map(own).collect(),
        )?;
        credentials.check_at(now)?;
        Ok(credentials)
    }

    /// Removes the waiting key of `dir`, if there is one.
    pub(crate) fn remove_pending(dir: &Path) -> Result<(), private_file::PrivateFileError> {
        private_file::remove(&dir.join(PENDING_FILE))
    }

    fn from_pkcs8(key: &[u8]) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from(key);
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256).ok()?;
        Self::from_pair(pair).ok()
    }

    fn from_pair(mut pair: KeyPair) -> Result<Self, KeyRequestError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(&pair)
            .map_err(|_| KeyRequestError::Generate);
        let key = Zeroizing::new(pair.serialized_der().to_vec());
        let spki_hash = SpkiHash::of_spki(&pair.subject_public_key_info());
        pair.zeroize();
        let request = request?.der().to_vec();
        debug_assert!(
            request.len() <= MAX_CERTIFICATE_REQUEST_BYTES,
            "a bare request is small"
        );
        Ok(Self {
            key,
            request,
            spki_hash,
        })
    }
}

impl fmt::Debug for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRequest")
            .field("spki_hash", &self.spki_hash)
            .finish_non_exhaustive()
    }
}

/// Why there is no key to ask a certificate for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRequestError {
    /// The crypto library made none. The machine's fault; trying again may help.
    #[error("no private key could be made")]
    Generate,
    /// The waiting key cannot be read or written. The operator's matter.
    #[error(transparent)]
    File(#[from] private_file::PrivateFileError),
    /// The file of the waiting key holds something else. Removing it starts afresh: as a new worker.
    #[error("{} does not hold a private key of ours: remove it to start with a new key", path.display())]
    BrokenPending {
        /// Which file.
        path: std::path::PathBuf,
    },
}

const PENDING_FILE: &str = "pending-key.pem";
