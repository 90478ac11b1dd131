//! Certificates for one pair, made anew for each run, and the TLS configurations of its two ends.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The name in the master's certificate.
pub(super) const MASTER_NAME: &str = "master.bare";

const WORKER_NAME: &str = "worker.bare";
const ROOT: &str = "root";
const ALPN: &[u8] = b"h2";

/// Writes a root and what both ends need into the directory.
pub(super) fn make(dir: &Path) -> Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    fs::write(dir.join(ROOT), root.der())?;
    for (name, usage) in [
        (MASTER_NAME, ExtendedKeyUsagePurpose::ServerAuth),
        (WORKER_NAME, ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![usage];
        let leaf = params.signed_by(&key, &root)?;
        fs::write(dir.join(name), leaf.der())?;
        fs::write(key_file(dir, name), key.serialize_der())?;
    }
    Ok(())
}

/// For the master: demands a certificate of the same root. TLS 1.3, no tickets, as the real one.
pub(super) fn server(dir: &Path) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(dir)?), Arc::clone(&provider))
            .build()?;
    let (certificate, key) = own(dir, MASTER_NAME)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// For the worker: shows its certificate and accepts a master of the same root.
pub(super) fn client(dir: &Path) -> Result<Arc<ClientConfig>> {
    let (certificate, key) = own(dir, WORKER_NAME)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(dir)?)
        .with_client_auth_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn roots(dir: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(read(&dir.join(ROOT))?))?;
    Ok(roots)
}

fn own(dir: &Path, name: &str) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let certificate = CertificateDer::from(read(&dir.join(name))?);
    let key = PrivatePkcs8KeyDer::from(read(&key_file(dir, name))?);
    Ok((certificate, key.into()))
}

fn key_file(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(format!("{name}.key"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("{} could not be read", file.display()))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use rustls::{ClientConnection, ServerConnection};

    use super::*;

    #[test]
    fn both_ends_show_certificates_and_take_them() {
        let dir = tempfile::tempdir().expect("a directory");
        make(dir.path()).expect("certificates");
        let name = ServerName::try_from(MASTER_NAME).expect("a name");
        let mut worker = ClientConnection::new(client(dir.path()).expect("a configuration"), name)
            .expect("a client");
        let mut master =
            ServerConnection::new(server(dir.path()).expect("a configuration")).expect("a server");
        while worker.is_handshaking() || master.is_handshaking() {
            let mut wire = Vec::new();
            worker.write_tls(&mut wire).expect("in memory");
            master.read_tls(&mut wire.as_slice()).expect("in memory");
            master.process_new_packets().expect("the worker is known");
            wire.clear();
            master.write_tls(&mut wire).expect("in memory");
            worker.read_tls(&mut wire.as_slice()).expect("in memory");
            worker.process_new_packets().expect("the master is known");
        }
        assert_eq!(master.peer_certificates().map(<[_]>::len), Some(1));
        assert_eq!(worker.peer_certificates().map(<[_]>::len), Some(1));
    }
}
