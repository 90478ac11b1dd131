//! What all configurations share.

use std::sync::Arc;

use jobyard_core::IdentityError;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::{CertificateError, OtherError, SignatureScheme, SupportedProtocolVersion};

use crate::chain::SIGNATURE_ALGORITHMS;
use crate::credentials::CredentialsError;

/// The protocol name of the main connection, which always demands a client certificate.
pub const ALPN_H2: &[u8] = b"h2";

/// The protocol name of a connection to join, which authenticates the server alone.
pub const ALPN_ENROLL: &[u8] = b"jobyard-enroll";

/// The only version.
pub(super) const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Those of [`SIGNATURE_ALGORITHMS`], with their names in TLS.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: SIGNATURE_ALGORITHMS,
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[webpki::aws_lc_rs::ECDSA_P256_SHA256],
        ),
        (SignatureScheme::ED25519, &[webpki::aws_lc_rs::ED25519]),
    ],
};

/// The algorithms of aws-lc-rs, with only those signatures that certificates of a cluster have.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        signature_verification_algorithms: SIGNATURES,
        ..aws_lc_rs::default_provider()
    })
}

/// Why no configuration could be made. Found before any connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A server needs a master's credentials, a client those of a worker or a person.
    #[error("these credentials are not those of a {wanted}")]
    WrongKind {
        /// What was needed.
        wanted: &'static str,
    },
    /// A replacement must be of the same cluster, or every peer would be locked out.
    #[error("these credentials are those of another cluster")]
    OtherCluster,
    /// The parts of the credentials are not usable.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The TLS library refused them.
    #[error("the TLS library refused the credentials: {0}")]
    Rustls(#[from] rustls::Error),
}

/// A refusal of the identity, for the TLS library.
pub(super) fn refuse_identity(error: IdentityError) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(error))).into()
}

/// A refusal of the chain, for the TLS library: the causes that a peer should be told, and the rest in words.
pub(super) fn refuse_chain(error: webpki::Error) -> rustls::Error {
    match error {
        webpki::Error::BadDer | webpki::Error::BadDerTime | webpki::Error::TrailingData(_) => {
            CertificateError::BadEncoding
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        webpki::Error::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }
        }
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
    .into()
}
