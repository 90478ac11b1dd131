//! How a client checks that it talks to its master.

use std::sync::Arc;

use bytes::Bytes;
use jobyard_core::{ClusterId, IdentityError, PeerIdentity};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};

use super::provider::{refuse_chain, refuse_identity};
use crate::chain::{self, Purpose};
use crate::identity::read_leaf;
use crate::token::RootPin;

/// Accepts the master of the cluster, whatever its host is called.
#[derive(Debug)]
pub(super) struct MasterVerifier {
    pub(super) trust: Trust,
    pub(super) provider: Arc<CryptoProvider>,
}

/// What the server's chain has to end in.
#[derive(Debug)]
pub(super) enum Trust {
    /// One of the roots of a known cluster.
    Cluster {
        cluster: ClusterId,
        anchors: Vec<TrustAnchor<'static>>,
    },
    /// A root whose key is pinned, which the server must send along; the cluster is learnt.
    Pins(Vec<RootPin>),
}

impl MasterVerifier {
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if others.len() > MAX_PRESENTED {
            return Err(CertificateError::BadEncoding.into());
        }
        match &self.trust {
            Trust::Cluster { cluster, anchors } => {
                chain::verify(leaf, others, anchors, Purpose::Server, now).map_err(refuse_chain)?;
                let found = master_cluster(leaf).map_err(refuse_identity)?;
                if found == *cluster {
                    Ok(())
                } else {
                    Err(refuse_identity(FOREIGN))
                }
            }
            Trust::Pins(pins) => {
                let root = RootPin::find(pins, others).ok_or(CertificateError::UnknownIssuer)?;
                let anchor = chain::anchor(root).map_err(refuse_chain)?;
                chain::verify(leaf, others, &[anchor], Purpose::Server, now)
                    .map_err(refuse_chain)?;
                master_cluster(leaf).map(drop).map_err(refuse_identity)
            }
        }
    }
}

impl ServerCertVerifier for MasterVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Which cluster's master showed this chain (DER, leaf first). For a newcomer, after a handshake with
/// [`enrolment_client_config`](crate::enrolment_client_config) has verified it.
pub fn master_of_chain(chain: &[Bytes]) -> Result<ClusterId, IdentityError> {
    master_cluster(chain.first().ok_or(IdentityError::Missing)?)
}

fn master_cluster(leaf: &[u8]) -> Result<ClusterId, IdentityError> {
    match read_leaf(leaf)? {
        PeerIdentity::Master { cluster } => Ok(cluster),
        _ => Err(IdentityError::Unacceptable {
            problem: "it is not a master's",
        }),
    }
}

const FOREIGN: IdentityError = IdentityError::Unacceptable {
    problem: "it belongs to another cluster",
};
/// An intermediate and the roots of a rotation are 3; a longer list is not ours and would only cost time.
const MAX_PRESENTED: usize = 8;
