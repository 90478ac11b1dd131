//! A master and a worker that run.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use jobyard_core::{Caller, Fleet, NewToken};
use jobyard_pki::{ClientProfile, client_config};
use jobyard_transport::{ConnectOptions, GrpcControl};
use tempfile::TempDir;

use super::Programs;
use super::process::Process;

/// A fresh master with an SQLite store in a directory of its own, and one worker that joined it. Dropping it ends both
/// and removes everything.
#[derive(Debug)]
pub struct Cluster {
    control: GrpcControl,
    // The processes are dropped before the directory in which they write.
    _worker: Process,
    _master: Process,
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
            _worker: worker,
            _master: master,
            _dir: dir,
        })
    }

    /// What its client calls.
    pub const fn control(&self) -> &GrpcControl {
        &self.control
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
