//! The certificate authority: who is who, and the contract of the part that says so.

use std::fmt::{self, Write};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{ClusterId, Role, WorkerId};

/// The longest certificate request, in bytes of DER, that an authority looks at.
pub const MAX_CERTIFICATE_REQUEST_BYTES: usize = 16 * 1024;

/// Issues certificates for one cluster.
///
/// # Contract
///
/// * **What is trusted.** Of a request only the public key is taken, after its self-signature (the proof that the
///   requester holds the private key) was checked. Every other field of the certificate is decided by the
///   [`Profile`]; names, extensions or a CA flag in the request have no effect.
/// * **Validity.** A certificate never outlives its issuer. Its serial number is random, 128 bits.
/// * **Repeats.** `issue` may be repeated: each call yields a new certificate with a serial of its own.
/// * **Cancel-safety.** Dropping the future of `issue` issues nothing that anybody can use.
/// * **Errors.** [`IssueError`] says whose fault it was.
#[async_trait]
pub trait CertAuthority: Send + Sync + fmt::Debug {
    /// The roots that peers of this cluster trust now.
    fn trust_bundle(&self) -> TrustBundle;

    /// Returns once the bundle is newer than `seen`. Cancel-safe: nothing is lost by dropping it.
    async fn trust_bundle_changed(&self, seen: u64);

    /// Signs the key of a PKCS#10 request (DER) for the holder that the profile names.
    async fn issue(&self, request_der: &[u8], profile: &Profile)
    -> Result<IssuedChain, IssueError>;

    /// Takes the rotation of the root one phase further and says which phase holds now. An authority that cannot
    /// rotate answers [`RotateError::Unsupported`].
    async fn rotate(&self, to: RotationPhase) -> Result<RotationPhase, RotateError>;
}

/// The roots of a cluster, and a number that grows when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    /// Grows by at least one with each change.
    pub generation: u64,
    /// The cluster that these roots speak for.
    pub cluster: ClusterId,
    /// Root certificates, DER.
    pub roots: Vec<Bytes>,
}

/// For whom a certificate is, which decides everything in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// The master's own end of every connection: server authentication only.
    Master,
    /// A worker: client authentication only.
    Worker {
        /// Whose certificate it is.
        id: WorkerId,
    },
    /// A person or a program: client authentication only.
    Client {
        /// The name under which it appears in the audit log.
        name: String,
        /// What it may do.
        role: Role,
    },
}

/// A certificate and what a peer needs to verify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedChain {
    /// Leaf first, then intermediates; the root is not part of it. DER.
    pub certificates: Vec<Bytes>,
    /// The leaf's serial number.
    pub serial: CertSerial,
    /// When the leaf ends.
    pub not_after: crate::Timestamp,
}

/// The serial number of a certificate: big-endian bytes without leading zeros, shown in hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CertSerial(String);

impl CertSerial {
    /// From the bytes of the certificate's serial field; leading zeros are dropped.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let start = bytes
            .iter()
            .position(|byte| *byte != 0)
            .unwrap_or(bytes.len());
        let mut text = String::with_capacity(2 * (bytes.len() - start));
        for byte in &bytes[start..] {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CertSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertSerial({})", self.0)
    }
}

/// Who stands at the other end of a connection, as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerIdentity {
    /// The master of a cluster.
    Master {
        /// Which cluster.
        cluster: ClusterId,
    },
    /// A worker of a cluster.
    Worker {
        /// Which cluster.
        cluster: ClusterId,
        /// Which worker.
        id: WorkerId,
        /// Of the certificate that it showed.
        serial: CertSerial,
    },
    /// A person or a program.
    Client {
        /// Which cluster.
        cluster: ClusterId,
        /// The name in the certificate.
        name: String,
        /// The role in the certificate.
        role: Role,
        /// Of the certificate that it showed.
        serial: CertSerial,
    },
}

/// Reads an identity out of a certificate chain that TLS has verified already.
///
/// # Contract
///
/// Pure and cheap: called once per connection. Accepts a leaf only if its purpose, its names and its flags are
/// exactly those that the authority of this cluster writes; anything else is refused, whatever chain it has.
pub trait Authenticator: Send + Sync + fmt::Debug {
    /// `chain` is DER, leaf first.
    fn identify(&self, chain: &[Bytes]) -> Result<PeerIdentity, IdentityError>;
}

/// The phases of a rotation of the root, in their order. Each may be undone until the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RotationPhase {
    /// One root, no rotation under way.
    Standby,
    /// A second root exists and is in the bundle, nothing is signed with it yet.
    Announced,
    /// New certificates come from the new root, old ones still count.
    Issuing,
}

/// Why no certificate was issued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is malformed, too large, not signed by its own key, or uses a key that is not allowed. The
    /// requester's fault; the same request will fail again.
    #[error("the certificate request is not usable: {problem}")]
    BadRequest {
        /// What is wrong with it.
        problem: String,
    },
    /// The authority has no usable key at the moment (its file is missing, or it has expired). The operator's
    /// fault; try again once it is mended.
    #[error("the certificate authority cannot sign: {problem}")]
    Unavailable {
        /// What is wrong with the authority.
        problem: String,
    },
}

/// Why a rotation did not advance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// This authority keeps its root for life.
    #[error("this authority does not rotate its root")]
    Unsupported,
    /// The wanted phase does not follow the present one.
    #[error("a rotation cannot go from {from:?} to {to:?}")]
    OutOfOrder {
        /// The phase that holds.
        from: RotationPhase,
        /// The phase that was asked for.
        to: RotationPhase,
    },
}

/// Why a verified chain names nobody whom this cluster knows how to treat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// No certificate was shown.
    #[error("the peer showed no certificate")]
    Missing,
    /// The leaf is not of a form that this cluster's authority writes.
    #[error("the peer's certificate is not one of this cluster's: {problem}")]
    Unacceptable {
        /// Which rule it breaks.
        problem: &'static str,
    },
}
