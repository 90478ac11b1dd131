//! Configurations for the end that connects.

use std::net::Ipv4Addr;
use std::sync::Arc;

use jobyard_core::PeerIdentity;
use rustls::client::{Resumption, WantsClientCert};
use rustls::{ClientConfig, ConfigBuilder, NoKeyLog};
use rustls_pki_types::ServerName;

use super::provider::{ALPN_ENROLL, ALPN_H2, TlsConfigError, VERSIONS, provider};
use super::server_verifier::{MasterVerifier, Trust};
use crate::credentials::Credentials;
use crate::token::RootPin;

/// For a worker or a person: shows the certificate of `credentials`, accepts the master of their cluster alone.
/// Offers [`ALPN_H2`].
pub fn client_config(credentials: &Credentials) -> Result<Arc<ClientConfig>, TlsConfigError> {
    if matches!(credentials.identity(), PeerIdentity::Master { .. }) {
        return Err(TlsConfigError::WrongKind {
            wanted: "worker or a client",
        });
    }
    let trust = Trust::Cluster {
        cluster: credentials.cluster(),
        anchors: credentials.anchors()?,
    };
    let key = Arc::new(credentials.certified_key()?);
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    Ok(finish(
        builder(trust)?.with_client_cert_resolver(resolver),
        ALPN_H2,
    ))
}

/// For a newcomer who has a token with these pins: shows no certificate, accepts a master whose chain ends in a
/// pinned root. The handshake fails otherwise, so that nothing is sent. Offers [`ALPN_ENROLL`].
pub fn enrolment_client_config(pins: &[RootPin]) -> Result<Arc<ClientConfig>, TlsConfigError> {
    Ok(finish(
        builder(Trust::Pins(pins.to_vec()))?.with_no_client_auth(),
        ALPN_ENROLL,
    ))
}

/// What to pass where the TLS library wants a server's name. It is neither sent nor compared: the master is known
/// by its cluster, not by its host.
pub fn server_name() -> ServerName<'static> {
    ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into())
}

fn builder(trust: Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = provider();
    let verifier = MasterVerifier {
        trust,
        provider: Arc::clone(&provider),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier)))
}

fn finish(mut config: ClientConfig, alpn: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    config.key_log = Arc::new(NoKeyLog);
    Arc::new(config)
}
