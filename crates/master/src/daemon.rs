//! A whole master on one data directory and one port: the parts put together as the shipped binary has them.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobyard_clock::SystemClock;
use jobyard_core::{CertAuthority, Clock, Control, LeadError, Profile, Role, Store};
use jobyard_pki::{
    ClientProfile, ClusterAuthenticator, Credentials, Door, InvalidMasters, IssueCredentialsError,
    LocalAuthority, OpenAuthorityError, PrivateFileError, ProfileError, ServerTls, TlsConfigError,
    issue_credentials,
};
use jobyard_scheduler::Policy;
use jobyard_store::{
    DirectoryArchive, FileLogs, LogArchive, LogOptions, OpenLogsError, OpenStoreError,
    SqliteOptions, SqliteStore,
};
use jobyard_transport::{ServeError, Server, Services};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::client_threads::ClientThreads;
use crate::config::MasterConfig;
use crate::engine::{Retention, Timings};
use crate::shell::{Master, MasterEnded, StartError};

/// Where a master listens if nobody says.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7411";

/// The records, in the data directory.
pub(crate) const DATABASE: &str = "master.db";

/// The output of jobs.
pub(crate) const LOGS: &str = "logs";

/// The certificate authority.
pub(crate) const AUTHORITY: &str = "pki";

/// The profile of the first administrator.
pub(crate) const ADMIN_PROFILE: &str = "admin.toml";

/// The name of the first administrator, in its certificate and in the audit trail.
const FIRST_ADMIN: &str = "admin";

/// How long connections may take to end once the master has.
const CLOSING_TIME: std::time::Duration = std::time::Duration::from_secs(5);

/// How long the records are looked through after an end that was none of the master's own: some million records.
const CHECK_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// What a daemon is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DaemonConfig {
    /// Where it keeps everything: `master.db`, `logs/`, `pki/` and `admin.toml`. Made if it is missing.
    pub data: PathBuf,
    /// Where it listens. Port 0 takes any that is free.
    pub listen: SocketAddr,
    /// What it is called.
    pub name: String,
    /// How clients on other machines reach it, as `host` or `host:port`; `None`: by the address that it listens on.
    pub advertise: Option<String>,
    /// How patient it is.
    pub timings: Timings,
    /// What it keeps of what is over.
    pub retention: Retention,
    /// Where output goes that is over: a directory, or, where the program was built for that, the URL of an object store.
    /// `None`: it stays in `data`.
    pub log_archive: Option<String>,
    /// Who runs where.
    pub policy: Policy,
}

impl DaemonConfig {
    /// A master on this directory and address.
    pub fn new(data: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            data: data.into(),
            listen,
            name: "jobyard".to_owned(),
            advertise: None,
            timings: Timings::default(),
            retention: Retention::default(),
            log_archive: None,
            policy: Policy::default(),
        }
    }
}

/// A running master with its network side.
pub struct Daemon {
    master: Master,
    address: SocketAddr,
    profile: PathBuf,
    authority: Arc<LocalAuthority>,
    closing: CancellationToken,
    server: tokio::task::JoinHandle<Result<(), ServeError>>,
}

impl Daemon {
    /// Opens the directory, leads its store, and serves. Returns when requests are answered and the administrator's
    /// profile is written.
    ///
    /// # Errors
    ///
    /// Each names the file or address that is wrong; nothing of the master runs then.
    pub async fn open(config: DaemonConfig) -> Result<Self, DaemonError> {
        let DaemonConfig {
            data,
            listen,
            name,
            advertise,
            timings,
            retention,
            log_archive,
            policy,
        } = config;
        make_private_dir(&data)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let database = data.join(DATABASE);
        // The authority first: records without it are a cluster that nobody trusts any more.
        let authority = open_authority(&data.join(AUTHORITY), database.exists(), &clock)?;
        let store = match SqliteStore::open(&database, &SqliteOptions::default()) {
            Err(OpenStoreError::Held { .. }) => return Err(DaemonError::InUse { path: data }),
            opened => opened?,
        };
        let mut log_options = LogOptions::default();
        log_options.archive = log_archive.as_deref().map(open_archive).transpose()?;
        let logs = match FileLogs::open_with(data.join(LOGS), log_options) {
            Err(OpenLogsError::Held { .. }) => return Err(DaemonError::InUse { path: data }),
            opened => opened?,
        };
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| DaemonError::Listen {
                address: listen,
                source,
            })?;
        let address = listener
            .local_addr()
            .map_err(|source| DaemonError::Listen {
                address: listen,
                source,
            })?;

        let store = Arc::new(store);
        let mut parts = MasterConfig::new(
            name,
            Arc::clone(&store) as Arc<dyn Store>,
            Arc::new(logs),
            Arc::clone(&authority) as Arc<dyn CertAuthority>,
            Arc::clone(&clock),
        );
        parts.store_name = format!("sqlite:{}", database.display());
        parts.timings = timings;
        parts.retention = retention;
        parts.policy = policy;
        parts.listen = Some(address);
        let master = match Master::start(parts).await {
            Err(StartError::Lead(LeadError::Held { .. })) => {
                return Err(DaemonError::InUse { path: data });
            }
            started => started?,
        };

        let wall = clock.now().wall;
        let own = issue_credentials(&*authority, &Profile::Master, wall).await?;
        let closing = CancellationToken::new();
        let server = serve(&master, &authority, &own, listener, closing.clone()).await?;
        let profile = data.join(ADMIN_PROFILE);
        let reach = reachable(advertise.as_deref(), address);
        write_admin(&profile, &authority, reach, wall).await?;
        if !store.ended_cleanly() {
            tokio::spawn(look_for_damage(store));
        }
        info!(%address, cluster = %authority.cluster(), "the master serves");
        Ok(Self {
            master,
            address,
            profile,
            authority,
            closing,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The master itself, for callers in the same program.
    pub fn master(&self) -> &Master {
        &self.master
    }

    /// Everything that can be asked of it.
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::new(self.master.clone())
    }

    /// The first administrator's profile.
    pub fn profile_path(&self) -> &Path {
        &self.profile
    }

    /// Its certificate authority.
    pub fn authority(&self) -> &LocalAuthority {
        &self.authority
    }

    /// Returns when the master has ended by itself: another leads its store, or the store is out of order.
    pub async fn ended(&self) {
        self.master.ended().await;
    }

    /// Why it has ended by itself; `None` while it runs, and after a shutdown.
    pub fn why_ended(&self) -> Option<MasterEnded> {
        self.master.why_ended()
    }

    /// Accepts nothing more, commits what was accepted, tells the workers to reconnect, and ends.
    pub async fn shutdown(self) {
        self.master.shutdown().await;
        self.closing.cancel();
        // Sessions end with the master; a client that keeps its connection open is not waited for.
        let mut server = self.server;
        match tokio::time::timeout(CLOSING_TIME, &mut server).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(problem))) => warn!(%problem, "the network side failed"),
            Ok(Err(_)) => warn!("the network side did not end cleanly"),
            Err(_) => server.abort(),
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What a directory or a URL names.
fn open_archive(place: &str) -> Result<Arc<dyn LogArchive>, DaemonError> {
    if !place.contains("://") {
        return Ok(Arc::new(DirectoryArchive::new(place)));
    }
    #[cfg(feature = "object-store")]
    {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let archive = jobyard_store::ObjectArchive::at_url(place, variables);
        Ok(Arc::new(archive?))
    }
    #[cfg(not(feature = "object-store"))]
    Err(DaemonError::NoObjectStores {
        place: place.to_owned(),
    })
}

/// Opens the authority, or creates it for a cluster that has no records yet.
fn open_authority(
    dir: &Path,
    has_records: bool,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<LocalAuthority>, DaemonError> {
    if has_records && !dir.exists() {
        let path = dir.to_owned();
        return Err(DaemonError::AuthorityMissing { path });
    }
    let authority = LocalAuthority::open_or_create(dir, Arc::clone(clock))?;
    Ok(Arc::new(authority))
}

async fn serve(
    master: &Master,
    authority: &LocalAuthority,
    credentials: &Credentials,
    listener: TcpListener,
    closing: CancellationToken,
) -> Result<tokio::task::JoinHandle<Result<(), ServeError>>, DaemonError> {
    let tls = Arc::new(ServerTls::new(credentials)?);
    let (main, enrolment) = (Arc::clone(&tls), tls);
    let tls = jobyard_transport::ServerTls::new(
        Arc::new(move || main.config(Door::Main)),
        Arc::new(move || enrolment.config(Door::Enrolment)),
    );
    let services = Services {
        sessions: Arc::new(master.clone()),
        enrolment: Arc::new(master.clone()),
        control: Arc::new(master.clone()),
        authenticator: Arc::new(ClusterAuthenticator::new(authority.cluster())),
    };
    let threads = ClientThreads::start().map_err(DaemonError::Threads)?;
    let server = Server::new(services, tls)
        .await?
        .with_clients_on(threads.handle());
    Ok(tokio::spawn(async move {
        let served = server.serve(listener, closing).await;
        drop(threads);
        served
    }))
}

/// After an end that was none of its own, the store is looked through while the master serves: whoever reads a damaged
/// record hears so anyway, but the operator should hear first.
async fn look_for_damage(store: Arc<SqliteStore>) {
    match store.check(CHECK_TIME).await {
        Ok(report) if report.is_sound() => {
            info!(
                records = report.records,
                complete = report.is_complete,
                "the master was not told to end the last time; its records are sound"
            );
        }
        Ok(report) => error!(
            problems = ?report.problems, damaged = ?report.damaged,
            "the store is damaged: make a backup of what is there, and look for one that is whole"
        ),
        Err(problem) => warn!(%problem, "the store cannot be looked through"),
    }
}

/// How clients reach the master: by the address that it listens on, which is the shortest way on its own machine, then
/// by what it was told. An address that means "everywhere" is of no use to a client.
fn reachable(advertise: Option<&str>, address: SocketAddr) -> Vec<String> {
    let nearest = if address.ip().is_unspecified() {
        format!("127.0.0.1:{}", address.port())
    } else {
        address.to_string()
    };
    let advertised = advertise.map(|host| match host.rsplit_once(':') {
        Some(_) => host.to_owned(),
        None => format!("{host}:{}", address.port()),
    });
    std::iter::once(nearest).chain(advertised).collect()
}

/// Writes the administrator's profile at the first start; later only the address may change.
async fn write_admin(
    path: &Path,
    authority: &LocalAuthority,
    reach: Vec<String>,
    now: jobyard_core::Timestamp,
) -> Result<(), DaemonError> {
    let credentials = if path.exists() {
        ClientProfile::load(path)?.credentials().clone()
    } else {
        let admin = Profile::Client {
            name: FIRST_ADMIN.to_owned(),
            role: Role::Admin,
        };
        issue_credentials(authority, &admin, now).await?
    };
    ClientProfile::new(reach, credentials)?.save(path)?;
    Ok(())
}

fn make_private_dir(path: &Path) -> Result<(), DaemonError> {
    let failed = |source| DaemonError::Directory {
        path: path.to_owned(),
        source,
    };
    fs::create_dir_all(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Why a daemon did not start. All are for an operator to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// The data directory cannot be used.
    #[error("the data directory {} cannot be used: {source}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another master has the directory.
    #[error(
        "another master works in {}: stop it first, or choose another directory with --data",
        path.display()
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The records cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// The logs cannot be opened.
    #[error(transparent)]
    Logs(#[from] OpenLogsError),
    /// The archive of logs is no place that can be reached.
    #[cfg(feature = "object-store")]
    #[error("no archive of logs: {0}")]
    Archive(#[from] jobyard_store::InvalidArchive),
    /// The archive of logs is in an object store.
    #[cfg(not(feature = "object-store"))]
    #[error(
        "no archive of logs: `{place}` is an object store, and this program was built without the feature `object-store`"
    )]
    NoObjectStores {
        /// What was named.
        place: String,
    },
    /// There are records of a cluster, and its certificate authority is gone. A new one would be trusted by nobody.
    #[error(
        "the certificate authority {} is missing: restore it from a backup, or start on an empty data directory",
        path.display()
    )]
    AuthorityMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The certificate authority cannot be opened.
    #[error(transparent)]
    Authority(#[from] OpenAuthorityError),
    /// No certificate could be made for the master or its administrator.
    #[error(transparent)]
    Credentials(#[from] IssueCredentialsError),
    /// The master's certificate does not serve.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The system gives no more threads. Raise the limit for processes of the user, or have other programs end.
    #[error("no threads for clients: {0}")]
    Threads(#[source] io::Error),
    /// The services are not complete.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The administrator's profile cannot be read.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The administrator's profile cannot be written.
    #[error(transparent)]
    WriteProfile(#[from] PrivateFileError),
    /// The address cannot stand in a profile.
    #[error(transparent)]
    Masters(#[from] InvalidMasters),
    /// The master itself did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}
