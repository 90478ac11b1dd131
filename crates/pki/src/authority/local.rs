//! The authority that lives in a directory.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jobyard_core::{
    CertAuthority, CertSerial, Clock, ClusterId, IssueError, IssuedChain, Profile, RotateError,
    RotationPhase, Timestamp, TrustBundle, check_name,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use uuid::Uuid;

use super::files::{self, OpenAuthorityError};
use super::issuer::{CaIssuer, LeafSpec, Problem, SERIAL_BYTES};
use super::lifetime::{BACKDATE, CLIENT_LIFETIME, SERVER_LIFETIME, Validity};
use crate::chain::{self, Purpose};
use crate::credentials::root_cluster;
use crate::csr::CsrKey;
use crate::key_request::KeyRequest;
use crate::random;
use crate::spiffe::{Holder, SpiffeName};
use crate::token::RootPin;

/// A certificate authority whose keys are files of the master: a root, an intermediate that signs the master's
/// certificates, and one that signs those of workers and people. Each intermediate can sign one purpose only.
///
/// The cluster's id is made with the root and stands in it, so that authority and cluster cannot come apart.
///
/// * Open: [`open_or_create`](Self::open_or_create), once per process, by one process at a time.
/// * Ask: [`cluster`](Self::cluster), [`root_pin`](Self::root_pin).
/// * Sign: the methods of [`CertAuthority`]. They do no IO and never wait.
pub struct LocalAuthority {
    cluster: ClusterId,
    root: CertificateDer<'static>,
    root_pin: RootPin,
    servers: CaIssuer,
    clients: CaIssuer,
    clock: Arc<dyn Clock>,
}

impl LocalAuthority {
    /// Opens the authority in `dir`, or makes one if the directory is missing or empty. Blocks on the disk.
    ///
    /// The directory gets mode 0700 and its files 0600. It is written under the name `dir` with `.new` appended
    /// first; a crash leaves nothing or a usable authority. What is there is checked: files that are missing,
    /// broken, readable by others, or do not belong together are an error that names the file. Expired
    /// certificates are no error here; they are when something is to be signed.
    pub fn open_or_create(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenAuthorityError> {
        if !files::exists(dir)? {
            let contents = generate(clock.now().wall)
                .map_err(|problem| OpenAuthorityError::Create { problem })?;
            files::create(dir, &contents)?;
        }
        Self::open(dir, clock)
    }

    /// The cluster that this authority speaks for.
    pub const fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// By this a newcomer recognises the root: goes into join tokens.
    pub const fn root_pin(&self) -> RootPin {
        self.root_pin
    }

    fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenAuthorityError> {
        let broken = |name: &str, problem| OpenAuthorityError::Broken {
            path: dir.join(name),
            problem,
        };
        let root = files::load(dir, files::ROOT)?.certificate().clone();
        let cluster =
            root_cluster(&root).ok_or_else(|| broken(files::ROOT, "it names no cluster"))?;
        let root_pin = RootPin::of_certificate(&root)
            .ok_or_else(|| broken(files::ROOT, "its certificate is malformed"))?;
        let servers = files::load(dir, files::SERVERS)?;
        let clients = files::load(dir, files::CLIENTS)?;
        let authority = Self {
            cluster,
            root,
            root_pin,
            servers,
            clients,
            clock,
        };
        for (name, purpose) in [
            (files::SERVERS, Purpose::Server),
            (files::CLIENTS, Purpose::Client),
        ] {
            authority
                .prove(purpose)
                .map_err(|problem| broken(name, problem))?;
        }
        Ok(authority)
    }

    /// Signs a certificate that nobody gets and verifies it as a peer would: key, purpose, path and root of an
    /// intermediate belong together. Done as of the last second of the intermediate's life, since the end of that
    /// life is no damage.
    fn prove(&self, purpose: Purpose) -> Result<(), Problem> {
        let issuer = self.issuer(purpose);
        if !issuer.is_bound_to(purpose) {
            return Err("it is not the intermediate that belongs there");
        }
        let seconds = issuer.not_after().unix_timestamp().saturating_sub(1);
        let then = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        let request = KeyRequest::generate().map_err(|_| "no key could be made to check it")?;
        let key = CsrKey::from_request_der(request.request_der())
            .map_err(|_| "no key could be made to check it")?;
        let spec = LeafSpec {
            uri: "spiffe://check",
            common_name: "check",
            purpose,
            serial: &[1],
            validity: Validity::starting(then, BACKDATE, Some(issuer.not_after()))
                .ok_or("its certificate has no life")?,
        };
        let leaf = issuer.sign(&key, &spec)?;
        let anchor = chain::anchor(&self.root).map_err(|_| FOREIGN)?;
        let intermediates = [issuer.certificate().clone()];
        let then: UnixTime = chain::unix_time(then);
        chain::verify(&leaf, &intermediates, &[anchor], purpose, then).map_err(|_| FOREIGN)
    }

    const fn issuer(&self, purpose: Purpose) -> &CaIssuer {
        match purpose {
            Purpose::Server => &self.servers,
            Purpose::Client => &self.clients,
        }
    }

    fn sign(&self, key: &CsrKey, name: &SpiffeName) -> Result<IssuedChain, IssueError> {
        let (purpose, lifetime) = match name.holder {
            Holder::Master => (Purpose::Server, SERVER_LIFETIME),
            Holder::Worker(_) | Holder::Client { .. } => (Purpose::Client, CLIENT_LIFETIME),
        };
        let unavailable = |problem: &str| IssueError::Unavailable {
            problem: problem.to_owned(),
        };
        let issuer = self.issuer(purpose);
        let validity =
            Validity::starting(self.clock.now().wall, lifetime, Some(issuer.not_after()))
                .ok_or_else(|| unavailable("its own certificate has expired"))?;
        let serial: [u8; SERIAL_BYTES] =
            random::bytes().map_err(|error| unavailable(&error.to_string()))?;
        let spec = LeafSpec {
            uri: &name.to_uri(),
            common_name: &common_name(&name.holder),
            purpose,
            serial: &serial,
            validity,
        };
        let leaf = issuer.sign(key, &spec).map_err(unavailable)?;
        let not_after = validity
            .not_after
            .unix_timestamp()
            .saturating_mul(1_000_000);
        Ok(IssuedChain {
            certificates: vec![to_bytes(&leaf), to_bytes(issuer.certificate())],
            serial: CertSerial::from_bytes(&serial),
            not_after: Timestamp::from_micros(not_after),
        })
    }
}

#[async_trait]
impl CertAuthority for LocalAuthority {
    fn trust_bundle(&self) -> TrustBundle {
        TrustBundle {
            generation: GENERATION,
            cluster: self.cluster,
            roots: vec![to_bytes(&self.root)],
        }
    }

    async fn trust_bundle_changed(&self, seen: u64) {
        // The bundle of this authority never changes: whoever has seen it waits for as long as it likes.
        if seen >= GENERATION {
            std::future::pending::<()>().await;
        }
    }

    async fn issue(
        &self,
        request_der: &[u8],
        profile: &Profile,
    ) -> Result<IssuedChain, IssueError> {
        let bad = |problem: String| IssueError::BadRequest { problem };
        if let Profile::Client { name, .. } = profile {
            check_name(name).map_err(|error| bad(format!("the client's name: {error}")))?;
        }
        let name = SpiffeName::of_profile(self.cluster, profile)
            .ok_or_else(|| bad("this authority does not know such a profile".to_owned()))?;
        let key = CsrKey::from_request_der(request_der).map_err(|error| bad(error.to_string()))?;
        self.sign(&key, &name)
    }

    async fn rotate(&self, _to: RotationPhase) -> Result<RotationPhase, RotateError> {
        Err(RotateError::Unsupported)
    }
}

impl fmt::Debug for LocalAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAuthority")
            .field("cluster", &self.cluster)
            .field("root_pin", &self.root_pin)
            .finish_non_exhaustive()
    }
}

/// Makes a cluster: its id, its root and both intermediates.
fn generate(now: Timestamp) -> Result<files::Contents, Problem> {
    let cluster = new_cluster(now)?;
    let (root, root_pem) = CaIssuer::new_root(cluster, now)?;
    let (_, servers_pem) = root.new_intermediate(cluster, Purpose::Server, now)?;
    let (_, clients_pem) = root.new_intermediate(cluster, Purpose::Client, now)?;
    Ok([
        (files::ROOT, root_pem),
        (files::SERVERS, servers_pem),
        (files::CLIENTS, clients_pem),
    ])
}

/// A UUID of version 7.
fn new_cluster(now: Timestamp) -> Result<ClusterId, Problem> {
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
    let random: [u8; 10] = random::bytes().map_err(|_| "the system gave no random bytes")?;
    let uuid: Uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    Ok(ClusterId::from_uuid(uuid))
}

/// For people who look at a certificate. At most 64 characters, the limit of the field.
fn common_name(holder: &Holder) -> String {
    match holder {
        Holder::Master => "master".to_owned(),
        Holder::Worker(id) => format!("worker {id}"),
        Holder::Client { name, .. } => name.clone(),
    }
}

fn to_bytes(der: &CertificateDer<'_>) -> Bytes {
    Bytes::copy_from_slice(der)
}

/// Of the one bundle that this authority ever has.
const GENERATION: u64 = 1;
const FOREIGN: Problem = "it does not belong to the root beside it";
