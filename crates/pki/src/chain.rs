//! Verification of certificate chains, the same for every connection and for what is kept on disk.

use jobyard_core::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

/// The only algorithms that certificates of a cluster are signed with, and that its keys sign with.
pub(crate) static SIGNATURE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ED25519,
];

/// What the leaf is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Server,
    Client,
}

/// Checks signatures, validity, path lengths and purposes from the leaf to one of the anchors. Names are not
/// looked at: see [`identity`](crate::identity). The work is bounded by webpki's own budgets.
pub(crate) fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    purpose: Purpose,
    now: UnixTime,
) -> Result<(), webpki::Error> {
    let usage = match purpose {
        Purpose::Server => KeyUsage::server_auth(),
        Purpose::Client => KeyUsage::client_auth(),
    };
    EndEntityCert::try_from(leaf)?
        .verify_for_usage(
            SIGNATURE_ALGORITHMS,
            anchors,
            intermediates,
            now,
            usage,
            None,
            None,
        )
        .map(drop)
}

/// Takes a certificate as a root.
pub(crate) fn anchor(root: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, webpki::Error> {
    webpki::anchor_from_trusted_cert(root).map(|anchor| anchor.to_owned())
}

/// The wall clock as webpki wants it. A clock before 1970 is taken for 1970.
pub(crate) fn unix_time(now: Timestamp) -> UnixTime {
    let micros = u64::try_from(now.as_micros()).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_micros(micros))
}
