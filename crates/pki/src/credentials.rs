//! What one end of a connection has: its certificate, its key, and the roots that it trusts.

use std::fmt;
use std::path::{Path, PathBuf};

use jobyard_core::{ClusterId, PeerIdentity, Timestamp};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, TrustAnchor};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::chain::{self, Purpose};
use crate::identity::{cluster_of, read_leaf};
use crate::key_request::KeyRequest;
use crate::private_file::{self, PrivateFileError};
use crate::tls::provider;
use crate::{pem, spiffe};

/// A certificate chain, its private key and the trusted roots of one cluster: of a master, a worker or a client.
///
/// The parts always fit together: there is no way to make one whose key is not that of its certificate, or
/// whose leaf is not of a form that the cluster's authority writes. Nothing here prints the key.
///
/// * Make: [`KeyRequest::complete`], [`issue_credentials`](crate::issue_credentials).
/// * Keep: [`save`](Self::save) and [`load`](Self::load) for a directory, [`to_pem`](Self::to_pem) and
///   [`from_pem`](Self::from_pem) for a profile file.
/// * Use: [`ServerTls`](crate::ServerTls), [`client_config`](crate::client_config).
#[derive(Clone)]
pub struct Credentials {
    identity: PeerIdentity,
    cluster: ClusterId,
    chain: Vec<CertificateDer<'static>>,
    key: Zeroizing<Vec<u8>>,
    roots: Vec<CertificateDer<'static>>,
}

impl Credentials {
    /// Who these make their holder.
    pub const fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Where they count.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// When the leaf ends.
    pub fn not_after(&self) -> Option<Timestamp> {
        let (_, leaf) = X509Certificate::from_der(self.chain.first()?).ok()?;
        Some(Timestamp::from_micros(
            leaf.validity()
                .not_after
                .timestamp()
                .saturating_mul(1_000_000),
        ))
    }

    /// One PEM text with everything in it, the private key included: leaf, intermediates, roots, key.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let certificates: Vec<_> = self.chain.iter().chain(&self.roots).cloned().collect();
        pem::encode(&certificates, &self.key)
    }

    /// Reads what [`to_pem`](Self::to_pem) wrote. Says nothing about the time: an expired certificate is read,
    /// too, and refused by the other end.
    pub fn from_pem(text: &str) -> Result<Self, CredentialsError> {
        let bundle = pem::decode(text).map_err(|problem| CredentialsError::Pem { problem })?;
        let key = bundle.key.ok_or(CredentialsError::Pem {
            problem: "it has no private key",
        })?;
        let (roots, chain) = bundle
            .certificates
            .into_iter()
            .partition(|certificate| is_self_issued(certificate));
        Self::assemble(chain, key, roots)
    }

    /// Keeps them in `dir` (made with mode 0700 if it is missing): one file of mode 0600, replaced whole, so that
    /// key and certificate always belong together. Removes the key that waited there for this certificate.
    /// Blocks on the disk; durable on return.
    pub fn save(&self, dir: &Path) -> Result<(), PrivateFileError> {
        private_file::create_directory(dir)?;
        private_file::write(&dir.join(CREDENTIALS_FILE), &self.to_pem())?;
        KeyRequest::remove_pending(dir)
    }

    /// Reads what [`save`](Self::save) kept in `dir`; `None` if there is nothing. Blocks on the disk.
    pub fn load(dir: &Path) -> Result<Option<Self>, LoadCredentialsError> {
        let path = dir.join(CREDENTIALS_FILE);
        let Some(text) = private_file::read(&path)? else {
            return Ok(None);
        };
        match Self::from_pem(&text) {
            Ok(credentials) => Ok(Some(credentials)),
            Err(problem) => Err(LoadCredentialsError::Broken { path, problem }),
        }
    }

    pub(crate) fn assemble(
        chain: Vec<CertificateDer<'static>>,
        key: Zeroizing<Vec<u8>>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Result<Self, CredentialsError> {
        let leaf = chain.first().ok_or(CredentialsError::Incomplete {
            missing: "certificate",
        })?;
        let identity = read_leaf(leaf)?;
        let cluster = cluster_of(&identity).ok_or(CredentialsError::ForeignRoot)?;
        if roots.is_empty() {
            return Err(CredentialsError::Incomplete {
                missing: "trusted root",
            });
        }
        if roots.iter().any(|root| root_cluster(root) != Some(cluster)) {
            return Err(CredentialsError::ForeignRoot);
        }
        let credentials = Self {
            identity,
            cluster,
            chain,
            key,
            roots,
        };
        credentials.certified_key()?;
        Ok(credentials)
    }

    /// Checks the chain as the other end will.
    pub(crate) fn check_at(&self, now: Timestamp) -> Result<(), CredentialsError> {
        let purpose = match self.identity {
            PeerIdentity::Master { .. } => Purpose::Server,
            _ => Purpose::Client,
        };
        let anchors = self.anchors()?;
        let (leaf, intermediates) =
            self.chain
                .split_first()
                .ok_or(CredentialsError::Incomplete {
                    missing: "certificate",
                })?;
        chain::verify(
            leaf,
            intermediates,
            &anchors,
            purpose,
            chain::unix_time(now),
        )
        .map_err(CredentialsError::from_chain)
    }

    /// The key and its chain as rustls wants them; fails unless they belong together.
    pub(crate) fn certified_key(&self) -> Result<rustls::sign::CertifiedKey, CredentialsError> {
        rustls::sign::CertifiedKey::from_der(
            self.chain.clone(),
            PrivatePkcs8KeyDer::from(self.key.to_vec()).into(),
            &provider(),
        )
        .map_err(|_| CredentialsError::WrongKey)
    }

    pub(crate) fn anchors(&self) -> Result<Vec<TrustAnchor<'static>>, CredentialsError> {
        self.roots
            .iter()
            .map(chain::anchor)
            .collect::<Result<_, _>>()
            .map_err(CredentialsError::from_chain)
    }

    pub(crate) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Why certificates, key and roots do not make credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The text is not what was written. Get new credentials.
    #[error("the credentials are not readable: {problem}")]
    Pem {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A part is missing. Get new credentials.
    #[error("the credentials have no {missing}")]
    Incomplete {
        /// Which part.
        missing: &'static str,
    },
    /// The leaf is not of a form that an authority of ours writes.
    #[error(transparent)]
    Identity(#[from] jobyard_core::IdentityError),
    /// A root is not one of the cluster that the leaf belongs to.
    #[error("the trusted roots are not those of the certificate's cluster")]
    ForeignRoot,
    /// The key is not the one in the certificate.
    #[error("the private key is not usable, or not the one that the certificate is for")]
    WrongKey,
    /// The certificate begins in the future: this machine's clock, or the master's, is wrong.
    #[error("the certificate begins {seconds} s after this machine's time: set the clocks right")]
    NotYetValid {
        /// By how much the clocks differ at least.
        seconds: u64,
    },
    /// The certificate has ended, or this machine's clock is ahead.
    #[error("the certificate ended {seconds} s before this machine's time: join again")]
    Expired {
        /// How long ago.
        seconds: u64,
    },
    /// The chain does not lead from the leaf to a trusted root.
    #[error("the certificate does not lead to a trusted root: {problem}")]
    Untrusted {
        /// Which check failed.
        problem: String,
    },
}

impl CredentialsError {
    fn from_chain(error: webpki::Error) -> Self {
        match error {
            webpki::Error::CertNotValidYet { time, not_before } => Self::NotYetValid {
                seconds: not_before.as_secs().saturating_sub(time.as_secs()),
            },
            webpki::Error::CertExpired { time, not_after } => Self::Expired {
                seconds: time.as_secs().saturating_sub(not_after.as_secs()),
            },
            other => Self::Untrusted {
                problem: other.to_string(),
            },
        }
    }
}

/// Why kept credentials could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadCredentialsError {
    /// The file cannot be read. The operator's matter.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file was read, and is not usable. Removing it and joining again helps.
    #[error("{} is not usable: {problem}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        problem: CredentialsError,
    },
}

/// The cluster that a root certificate names.
pub(crate) fn root_cluster(root: &[u8]) -> Option<ClusterId> {
    use x509_parser::extensions::GeneralName;

    let (_, certificate) = X509Certificate::from_der(root).ok()?;
    let names = certificate.subject_alternative_name().ok()??.value;
    match names.general_names[..] {
        [GeneralName::URI(uri)] => spiffe::parse_cluster_uri(uri),
        _ => None,
    }
}

/// Whether a certificate is a root: in our chains these alone are issued by themselves.
fn is_self_issued(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, certificate)| certificate.subject() == certificate.issuer())
}

const CREDENTIALS_FILE: &str = "credentials.pem";
