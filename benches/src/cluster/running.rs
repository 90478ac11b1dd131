//! A master and a worker that run.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, bail};
use jobyard_core::{Caller, Fleet, NewToken};
use jobyard_pki::{ClientProfile, client_config};
use jobyard_transport::{ConnectOptions, GrpcControl};
use rustls::ClientConfig;
use tempfile::TempDir;

use super::Programs;
use super::process::Process;

/// A fresh master with an SQLite store in a directory of its own, and one worker that joined it. Dropping it ends both
/// and removes everything.
#[derive(Debug)]
pub struct Cluster {
    control: GrpcControl,
    tls: Arc<ClientConfig>,
    masters: Vec<String>,
    // The processes are dropped before the directory in which they write.
    worker: Process,
    master: Process,
    root: PathBuf,
    _dir: TempDir,
}

impl Cluster {
    /// Starts both, with the directory below `parent`, which decides whose disk is measured. The worker may still be on
    /// its way: the first job waits for it. Needs a Tokio runtime.
    pub async fn start(programs: &Programs, parent: &Path, slots: usize) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("jobyard-bench-")
            .tempdir_in(parent)?;
        // The programs may not run in ours.
        let root = fs::canonicalize(dir.path())?;
        let data = root.join("master");
        let mut command = Command::new(&programs.master);
        command
            .arg("--data")
            .arg(&data)
            .args(["--listen", "127.0.0.1:0"]);
        let master = Process::start(&mut command, Some(MASTER_SERVES))?;

        let profile = ClientProfile::load(&data.join("admin.toml"))?;
        let tls = client_config(profile.credentials())?;
        let masters = profile.masters().to_vec();
        let control = GrpcControl::new(masters.clone(), &tls, ConnectOptions::default())?;
        let token = root.join("join.token");
        write_token(&control, &token).await?;

        let mut command = Command::new(&programs.worker);
        command
            .arg("--join-file")
            .arg(&token)
            .arg("--data")
            .arg(root.join("worker"))
            .args(["--name", "bench", "--slots", &slots.to_string()]);
        if rustix::process::geteuid().is_root() {
            command.arg("--allow-root-jobs");
        }
        for address in &masters {
            command.args(["--master", address]);
        }
        let worker = Process::start(&mut command, None)?;
        Ok(Self {
            control,
            tls,
            masters,
            worker,
            master,
            root,
            _dir: dir,
        })
    }

    /// What its client calls.
    pub const fn control(&self) -> &GrpcControl {
        &self.control
    }

    /// Another client, with a connection of its own.
    pub fn another_control(&self) -> Result<GrpcControl> {
        let options = ConnectOptions::default();
        Ok(GrpcControl::new(self.masters.clone(), &self.tls, options)?)
    }

    /// The number of the master's process.
    pub fn master_id(&self) -> u32 {
        self.master.id()
    }

    /// The number of the worker's process.
    pub fn worker_id(&self) -> u32 {
        self.worker.id()
    }

    /// The number of the launcher's process: the one that was told a directory below the worker's. There is none until
    /// the worker is up, which it is at the latest when a job has ended. Linux only.
    pub fn launcher_id(&self) -> Result<u32> {
        let dir = self.root.join("worker");
        let dir = dir.as_os_str().as_bytes();
        let has_dir = |line: &[u8]| line.windows(dir.len()).any(|window| window == dir);
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(id) = entry.file_name().to_str().and_then(|id| id.parse().ok()) else {
                continue;
            };
            // A process may end meanwhile.
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if id != self.worker.id() && has_dir(&line) {
                return Ok(id);
            }
        }
        bail!("the worker has no launcher")
    }

    /// Where the master keeps the output of attempts.
    pub fn logs(&self) -> PathBuf {
        self.root.join("master").join("logs")
    }

    /// A place for files of the benchmark, on the disk that is measured.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// In the line with which the master says that it answers requests and that the administrator's profile is written.
const MASTER_SERVES: &str = "the administrator's profile is here";

async fn write_token(control: &GrpcControl, path: &Path) -> Result<()> {
    let caller = Caller::host();
    let created = control.create_token(&caller, NewToken::default()).await?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(created.token.expose().as_bytes())?;
    Ok(())
}
