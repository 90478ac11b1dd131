//! Configurations for the master's end.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jobyard_core::PeerIdentity;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, NoKeyLog, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::provider::{ALPN_ENROLL, ALPN_H2, TlsConfigError, VERSIONS, provider, refuse_identity};
use crate::credentials::Credentials;
use crate::identity::ClusterAuthenticator;

/// The two doors of a master's one port, told apart by the protocol that a peer offers (ALPN).
///
/// * Make: [`new`](Self::new) from the master's credentials.
/// * Per connection: read the client's hello, ask [`door`](Self::door), and continue with
///   [`config`](Self::config); a peer that offers neither protocol is turned away.
/// * While running: [`replace`](Self::replace) the certificate; connections that are open keep theirs.
#[derive(Debug)]
pub struct ServerTls {
    master: PeerIdentity,
    main: Arc<ServerConfig>,
    enrolment: Arc<ServerConfig>,
    main_key: Arc<LiveKey>,
    enrolment_key: Arc<LiveKey>,
}

/// Which service a peer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// Everything but joining: demands the certificate of a worker or a client of this cluster.
    Main,
    /// Joining, and nothing else: demands no certificate.
    Enrolment,
}

impl Door {
    /// The door for the protocols that a client offers. A client that offers the main one never gets the other,
    /// so that nobody is let in without a certificate by offering both.
    pub fn of_protocols<'a>(offered: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        offered.fold(None, |door, protocol| match protocol {
            ALPN_H2 => Some(Self::Main),
            ALPN_ENROLL => door.or(Some(Self::Enrolment)),
            _ => door,
        })
    }
}

impl ServerTls {
    /// From the credentials of a master. The roots in them are those that clients are checked against.
    pub fn new(credentials: &Credentials) -> Result<Self, TlsConfigError> {
        let main_key = Arc::new(LiveKey::new(main_key(credentials)?));
        let enrolment_key = Arc::new(LiveKey::new(enrolment_key(credentials)?));
        let demand = Arc::new(PeerVerifier::new(credentials)?);
        Ok(Self {
            master: credentials.identity().clone(),
            main: config(demand, Arc::clone(&main_key), ALPN_H2)?,
            enrolment: config(
                Arc::new(NoClientAuth),
                Arc::clone(&enrolment_key),
                ALPN_ENROLL,
            )?,
            main_key,
            enrolment_key,
        })
    }

    /// The door that a client asks for; `None` for a stranger, whose connection is to be closed.
    pub fn door(&self, hello: &ClientHello<'_>) -> Option<Door> {
        Door::of_protocols(hello.alpn()?)
    }

    /// The configuration behind a door.
    pub fn config(&self, door: Door) -> Arc<ServerConfig> {
        match door {
            Door::Main => Arc::clone(&self.main),
            Door::Enrolment => Arc::clone(&self.enrolment),
        }
    }

    /// Shows another certificate of the same master from the next handshake on. The roots stay those of
    /// [`new`](Self::new). On an error nothing has changed.
    pub fn replace(&self, credentials: &Credentials) -> Result<(), TlsConfigError> {
        let (main, enrolment) = (main_key(credentials)?, enrolment_key(credentials)?);
        if *credentials.identity() != self.master {
            return Err(TlsConfigError::OtherCluster);
        }
        self.main_key.current.store(Arc::new(main));
        self.enrolment_key.current.store(Arc::new(enrolment));
        Ok(())
    }
}

/// The key and chain that the next handshake shows.
#[derive(Debug)]
struct LiveKey {
    current: ArcSwap<CertifiedKey>,
}

impl LiveKey {
    fn new(key: CertifiedKey) -> Self {
        Self {
            current: ArcSwap::from_pointee(key),
        }
    }
}

impl ResolvesServerCert for LiveKey {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// Demands a client certificate of the cluster: webpki checks the chain, then our own parser the identity, so that
/// anything but a worker or a client fails in the handshake.
#[derive(Debug)]
struct PeerVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    identity: ClusterAuthenticator,
}

impl PeerVerifier {
    fn new(credentials: &Credentials) -> Result<Self, TlsConfigError> {
        let mut roots = RootCertStore::empty();
        for root in credentials.roots() {
            roots.add(root.clone())?;
        }
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Self {
            chain,
            identity: ClusterAuthenticator::new(credentials.cluster()),
        })
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        match self
            .identity
            .identify_leaf(end_entity)
            .map_err(refuse_identity)?
        {
            PeerIdentity::Worker { .. } | PeerIdentity::Client { .. } => Ok(verified),
            _ => Err(refuse_identity(jobyard_core::IdentityError::Unacceptable {
                problem: "it is neither a worker's nor a client's",
            })),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

fn config(
    clients: Arc<dyn ClientCertVerifier>,
    key: Arc<LiveKey>,
    alpn: &[u8],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(key);
    config.alpn_protocols = vec![alpn.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.key_log = Arc::new(NoKeyLog);
    Ok(Arc::new(config))
}

/// Leaf and intermediate: peers behind this door have the root.
fn main_key(credentials: &Credentials) -> Result<CertifiedKey, TlsConfigError> {
    if !matches!(credentials.identity(), PeerIdentity::Master { .. }) {
        return Err(TlsConfigError::WrongKind { wanted: "master" });
    }
    Ok(credentials.certified_key()?)
}

/// With the roots: a newcomer knows only the hash of one of them.
fn enrolment_key(credentials: &Credentials) -> Result<CertifiedKey, TlsConfigError> {
    let mut key = main_key(credentials)?;
    key.cert.extend(credentials.roots().iter().cloned());
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offering_both_protocols_leads_to_the_door_that_demands_a_certificate() {
        let door = |offered: &[&'static [u8]]| Door::of_protocols(offered.iter().copied());
        assert_eq!(door(&[ALPN_ENROLL]), Some(Door::Enrolment));
        assert_eq!(door(&[ALPN_H2]), Some(Door::Main));
        assert_eq!(door(&[ALPN_ENROLL, ALPN_H2]), Some(Door::Main));
        assert_eq!(door(&[ALPN_H2, ALPN_ENROLL]), Some(Door::Main));
        assert_eq!(door(&[b"http/1.1"]), None);
        assert_eq!(door(&[]), None);
    }
}
