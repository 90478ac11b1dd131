//! A master and a worker in this process, connected as if they were on two machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobyard_clock::SystemClock;
use jobyard_core::{Caller, Executor, Fleet, NewToken, Resources, TagSet};
use jobyard_executor::launcher::{Launcher, LauncherCommand};
use jobyard_executor::{DEFAULT_PATH, ProcessExecutor};
use jobyard_master::{DEFAULT_LISTEN, Daemon, DaemonConfig};
use jobyard_pki::JoinToken;
use jobyard_worker::agent::ShutdownMode;
use jobyard_worker::{DataDirLock, Identity, Join, Worker, WorkerConfig, WorkerHandle, facts};

use super::DevArgs;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::job_options::unique;

/// What the worker is called.
const NAME: &str = "local";

/// How long jobs of others, who attached to this master, may go on when our own command has ended.
const DRAIN: Duration = Duration::from_mins(10);

/// What runs in this process.
pub(super) struct Local {
    daemon: Daemon,
    worker: WorkerHandle,
    slots: u32,
}

impl Local {
    /// Starts both; returns when the worker is connected.
    pub(super) async fn start(args: &DevArgs) -> Result<Self, Failure> {
        let listen = address(args)?;
        let mut config = DaemonConfig::new(args.data.clone(), listen);
        config.name = String::from("dev");
        let daemon = Daemon::open(config).await.map_err(failed("the master"))?;
        let reach = vec![reachable(daemon.address()).to_string()];
        let data = args.data.join("worker");
        let lock = DataDirLock::take(&data).map_err(failed("the worker"))?;
        let identity = identity(&daemon, data.clone(), reach.clone()).await?;
        let executor = executor(&data).await?;
        let config = worker_config(args, &identity, reach, vec![Arc::new(executor)])?;
        let slots = config.capacity.slots;
        let worker = Worker::start_locked(config, lock)
            .await
            .map_err(failed("the worker"))?;
        worker.connected().await;
        Ok(Self {
            daemon,
            worker,
            slots,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    pub(super) const fn slots(&self) -> u32 {
        self.slots
    }

    pub(super) fn profile(&self) -> &Path {
        self.daemon.profile_path()
    }

    /// Returns when either has ended by itself.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.daemon.ended() => {}
            _ = self.worker.wait() => {}
        }
    }

    /// Ends both: the worker first, so that its last reports arrive. Without `now`, jobs of others may finish, unless
    /// an interrupt comes.
    pub(super) async fn end(self, now: bool, interrupts: &mut Interrupts) {
        let mode = if now {
            ShutdownMode::Stop
        } else {
            ShutdownMode::Drain { timeout: DRAIN }
        };
        self.worker.shutdown(mode).await;
        loop {
            tokio::select! {
                _ = self.worker.wait() => break,
                () = interrupts.next() => self.worker.shutdown(ShutdownMode::Stop).await,
            }
        }
        self.daemon.shutdown().await;
    }
}

/// Where to listen: for one command any port does when the usual one is taken and none was asked for.
fn address(args: &DevArgs) -> Result<SocketAddr, Failure> {
    if let Some(address) = args.listen {
        return Ok(address);
    }
    let usual: SocketAddr = DEFAULT_LISTEN.parse().map_err(failed("the master"))?;
    let is_free = std::net::TcpListener::bind(usual).is_ok();
    if is_free || args.command.is_empty() {
        return Ok(usual);
    }
    Ok(SocketAddr::new(usual.ip(), 0))
}

/// An address that means "everywhere" is reached by way of this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let local = if address.is_ipv4() {
        std::net::Ipv4Addr::LOCALHOST.into()
    } else {
        std::net::Ipv6Addr::LOCALHOST.into()
    };
    SocketAddr::new(local, address.port())
}

/// The worker's identity: the one from before, or a new one by way of a join token.
async fn identity(
    daemon: &Daemon,
    data: PathBuf,
    masters: Vec<String>,
) -> Result<Identity, Failure> {
    let dir = Identity::dir_in(&data);
    if let Some(identity) = Identity::load(&dir).map_err(failed("the worker"))? {
        return Ok(identity);
    }
    let host = Caller::host();
    let created = daemon
        .master()
        .create_token(&host, NewToken::default())
        .await?;
    let token = JoinToken::parse(created.token.expose()).map_err(failed("the master"))?;
    let join = Join {
        token,
        masters,
        name: NAME.to_owned(),
        facts: facts::of_this_machine(),
    };
    join.run(&dir, &SystemClock::new())
        .await
        .map_err(failed("the worker"))
}

/// Runs processes by a launcher, which is this program once more, or `jobyard-launcher` beside it; from within this
/// program where there are no launchers.
async fn executor(data: &Path) -> Result<ProcessExecutor, Failure> {
    if !cfg!(target_os = "linux") {
        return Ok(ProcessExecutor::new());
    }
    let data = std::path::absolute(data).map_err(failed("the launcher of jobs"))?;
    let launcher = Launcher::open(data.join("launcher"), LauncherCommand::beside()).await;
    launcher
        .map(ProcessExecutor::launched)
        .map_err(failed("the launcher of jobs"))
}

fn worker_config(
    args: &DevArgs,
    identity: &Identity,
    masters: Vec<String>,
    executors: Vec<Arc<dyn Executor>>,
) -> Result<WorkerConfig, Failure> {
    let transport = identity.transport(masters).map_err(failed("the worker"))?;
    let env = passed_env();
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let facts = facts::of_this_machine();
    let mut tags = facts::auto_tags(&facts, path, &executors);
    for tag in &args.tags {
        tags.insert(tag.clone())
            .map_err(|error| Failure::usage(format!("--tag: {error}")))?;
    }
    let exclusive = TagSet::try_from(args.exclusive_tags.clone())
        .map_err(|error| Failure::usage(format!("--exclusive-tag: {error}")))?;
    let data = args.data.join("worker");
    let mut config = WorkerConfig::new(data, identity.worker(), transport, executors);
    config.facts = facts;
    config.tags = tags;
    config.env = env;
    config.identity = Some(identity.dir().to_owned());
    config.exclusive = exclusive;
    offer(args, &mut config.capacity)?;
    Ok(config)
}

/// What the worker has for jobs: all that the machine has, but where something else was asked for.
fn offer(args: &DevArgs, capacity: &mut Resources) -> Result<(), Failure> {
    if let Some(slots) = args.slots {
        capacity.slots = slots;
    }
    if let Some(cores) = &args.cpu {
        capacity.cpu_millis = cores.millis;
    }
    if let Some(memory) = &args.memory {
        capacity.memory_bytes = memory.value;
    }
    capacity.counts = unique("--resource", args.resources.clone())?;
    capacity
        .check()
        .map_err(|error| Failure::usage(error.to_string()))
}

/// What jobs inherit: they are the commands of the person who started us.
fn passed_env() -> BTreeMap<String, String> {
    ["PATH", "HOME"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect()
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure::jobyard("start", format!("{what} does not start: {error}"))
}
