//! A certificate authority of a few lines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use jobyard_core::{
    Authenticator, CertSerial, ClusterId, IdentityError, PeerIdentity, Role, WorkerId,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use uuid::Uuid;

pub struct Authority {
    root: CertifiedIssuer<'static, KeyPair>,
    /// Whom each certificate was made for.
    issued: Mutex<HashMap<Vec<u8>, PeerIdentity>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self {
            root,
            issued: Mutex::default(),
        }
    }

    fn pair(&self) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["jobyard".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.root).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (vec![certificate.der().clone()], key.into())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der().clone()).unwrap();
        Arc::new(roots)
    }

    pub fn main_server(&self) -> Arc<ServerConfig> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider());
        let (chain, key) = self.pair();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }

    pub fn enrolment_server(&self) -> Arc<ServerConfig> {
        let (chain, key) = self.pair();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"jobyard-enroll".to_vec()];
        Arc::new(config)
    }

    pub fn worker(&self, id: WorkerId) -> Arc<ClientConfig> {
        self.with_certificate(PeerIdentity::Worker {
            cluster: cluster(),
            id,
            serial: CertSerial::from_bytes(&[1]),
        })
    }

    pub fn client(&self, name: &str, role: Role) -> Arc<ClientConfig> {
        self.with_certificate(PeerIdentity::Client {
            cluster: cluster(),
            name: name.to_owned(),
            role,
            serial: CertSerial::from_bytes(&[2]),
        })
    }

    /// A certificate of this authority that the cluster's rules know nothing of.
    pub fn unknown(&self) -> Arc<ClientConfig> {
        self.config(self.pair())
    }

    pub fn with_certificate(&self, identity: PeerIdentity) -> Arc<ClientConfig> {
        let pair = self.pair();
        let leaf = pair.0[0].to_vec();
        self.issued.lock().unwrap().insert(leaf, identity);
        self.config(pair)
    }

    /// A certificate of this authority for a client that trusts another one, and the other way round.
    pub fn client_that_trusts(&self, other: &Self) -> Arc<ClientConfig> {
        let (chain, key) = self.pair();
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(other.roots())
            .with_client_auth_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    fn config(&self, (chain, key): Pair) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    /// Trusts the authority and shows nothing.
    pub fn without_certificate(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        Arc::new(config)
    }
}

fn cluster() -> ClusterId {
    ClusterId::from_uuid(Uuid::from_u128(0xc))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

impl Authenticator for Authority {
    fn identify(&self, chain: &[Bytes]) -> Result<PeerIdentity, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::Missing)?;
        let issued = self.issued.lock().unwrap();
        issued
            .get(&leaf[..])
            .cloned()
            .ok_or(IdentityError::Unacceptable {
                problem: "it was made for nobody",
            })
    }
}
