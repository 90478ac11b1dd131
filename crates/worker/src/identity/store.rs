//! The identity that a worker has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobyard_core::{PeerIdentity, WorkerId};
use jobyard_pki::{Credentials, LoadCredentialsError, TlsConfigError, client_config};
use jobyard_transport::{ConnectOptions, GrpcTransport, InvalidEndpoint};

/// A worker's key and certificate, and where they are kept.
///
/// * Get: [`load`](Self::load), or [`Join::run`](super::Join::run).
/// * Use: [`worker`](Self::worker), [`transport`](Self::transport), and [`dir`](Self::dir) for
///   [`WorkerConfig::identity`](crate::WorkerConfig::identity).
#[derive(Clone, Debug)]
pub struct Identity {
    dir: PathBuf,
    worker: WorkerId,
    credentials: Credentials,
}

impl Identity {
    /// Where the identity of a worker with this data directory is.
    pub fn dir_in(data: &Path) -> PathBuf {
        data.join("identity")
    }

    /// What is kept in `dir`; `None` if there is nothing. Blocks on the disk.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let Some(credentials) = Credentials::load(dir)? else {
            return Ok(None);
        };
        Self::new(dir, credentials).map(Some)
    }

    pub(super) fn new(dir: &Path, credentials: Credentials) -> Result<Self, IdentityError> {
        let PeerIdentity::Worker { id, .. } = credentials.identity() else {
            return Err(IdentityError::NoWorker {
                dir: dir.to_owned(),
            });
        };
        Ok(Self {
            dir: dir.to_owned(),
            worker: *id,
            credentials,
        })
    }

    /// Who it makes its holder.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The way to the master at one of these addresses, each `HOST:PORT`, over mutual TLS.
    pub fn transport(&self, masters: Vec<String>) -> Result<Arc<GrpcTransport>, IdentityError> {
        let tls = client_config(&self.credentials)?;
        Ok(Arc::new(GrpcTransport::new(
            masters,
            &tls,
            ConnectOptions::default(),
        )?))
    }
}

/// Why an identity cannot be used. The operator's matter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The files cannot be read, or are not what was written.
    #[error(transparent)]
    Load(#[from] LoadCredentialsError),
    /// They belong to a master or to a person.
    #[error("{} holds no certificate of a worker: use another data directory", dir.display())]
    NoWorker {
        /// Where.
        dir: PathBuf,
    },
    /// TLS does not take them.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// An address is none.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
}
