//! How a machine becomes a worker.

use std::path::Path;
use std::time::Duration;

use jobyard_core::{
    Clock, ConnectError, EnrolRequest, Enrolled, SecretText, WorkerFacts, WorkerId,
};
use jobyard_pki::{
    CredentialsError, JoinToken, KeyRequest, KeyRequestError, PrivateFileError, TlsConfigError,
    enrolment_client_config,
};
use jobyard_transport::{Backoff, ConnectOptions, GrpcEnrolment, InvalidEndpoint};

use super::{Identity, IdentityError};

/// How long a machine that wants to join waits for a master that cannot be reached: master and workers are often
/// started together.
pub const JOIN_PATIENCE: Duration = Duration::from_secs(30);

/// A machine that wants to become a worker.
#[derive(Debug)]
pub struct Join {
    /// The token.
    pub token: JoinToken,
    /// Addresses of the master, each `HOST:PORT`.
    pub masters: Vec<String>,
    /// The name that it would like to have.
    pub name: String,
    /// What it says of itself.
    pub facts: WorkerFacts,
}

impl Join {
    /// Makes a key, has it certified, and keeps both in `dir`. The token goes to a master whose root it pins, and to
    /// nobody else; the key goes nowhere. May be repeated after any failure: as long as the key waits in `dir`, the master
    /// recognises the same machine. Cancel-safe in that sense.
    pub async fn run(self, dir: &Path, clock: &dyn Clock) -> Result<Identity, JoinError> {
        let request = KeyRequest::open_pending(dir)?;
        let tls = enrolment_client_config(self.token.pins())?;
        let way = GrpcEnrolment::new(self.masters.clone(), &tls, ConnectOptions::default())?;
        let enrolled = self.ask(&way, &request).await?;
        let now = clock.now().wall;
        let credentials = request.complete(&enrolled.certificates, &enrolled.roots, now)?;
        let identity = Identity::new(dir, credentials.clone())?;
        if identity.worker() != enrolled.worker {
            return Err(JoinError::WrongWorker {
                named: enrolled.worker,
                certified: identity.worker(),
            });
        }
        credentials.save(dir)?;
        tracing::info!(worker = %enrolled.worker, name = enrolled.name,
            "joined the cluster as worker {} ({})", enrolled.name, enrolled.worker);
        Ok(identity)
    }

    /// Asks until there is an answer, or patience ends.
    async fn ask(&self, way: &GrpcEnrolment, key: &KeyRequest) -> Result<Enrolled, JoinError> {
        let request = || {
            let token = SecretText::new(self.token.expose().as_str());
            let der = key.request_der().to_vec();
            EnrolRequest::new(token, der, self.name.clone(), self.facts.clone())
        };
        let backoff = Backoff::default();
        // Only spreads the waits of many machines that join at once.
        let spread = WorkerId::from_uuid(uuid::Uuid::now_v7());
        let deadline = tokio::time::Instant::now() + JOIN_PATIENCE;
        let mut tries = 0;
        loop {
            let error = match way.enrol(request()).await {
                Ok(enrolled) => return Ok(enrolled),
                Err(error) => error,
            };
            let wait = backoff.delay(spread, tries);
            if !is_temporary(&error) || tokio::time::Instant::now() + wait > deadline {
                return Err(JoinError::NotAdmitted(error));
            }
            tracing::warn!(%error, "could not join yet");
            tokio::time::sleep(wait).await;
            tries += 1;
        }
    }
}

fn is_temporary(error: &ConnectError) -> bool {
    match error {
        ConnectError::Unreachable { .. } => true,
        ConnectError::Refused(refusal) => refusal.reason.is_temporary(),
        _ => false,
    }
}

/// Why a machine did not become a worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no key to ask a certificate for. This machine's matter.
    #[error(transparent)]
    Key(#[from] KeyRequestError),
    /// TLS cannot be set up with the pins of the token.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// An address is none.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// The master did not admit the machine, or could not be reached.
    #[error("could not join: {0}")]
    NotAdmitted(#[source] ConnectError),
    /// What the master gave cannot be used. The master's fault, or that of a clock.
    #[error("the master's answer cannot be used: {0}")]
    BadAnswer(#[from] CredentialsError),
    /// The certificate is not a worker's.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate is for another worker than the answer says. The master's fault.
    #[error("the master admitted worker {named} and certified {certified}")]
    WrongWorker {
        /// Who the answer named.
        named: WorkerId,
        /// Who the certificate names.
        certified: WorkerId,
    },
    /// The identity could not be kept. The operator's matter; the join can be repeated.
    #[error(transparent)]
    Save(#[from] PrivateFileError),
}
