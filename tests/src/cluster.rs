//! A master and its workers on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::{Program, Ran, program};

/// A master in a directory of its own, and the way to talk to it.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    address: String,
    /// The master.
    pub master: Program,
}

/// A join token in a file.
#[derive(Debug)]
pub struct Token {
    /// Where it is.
    pub file: PathBuf,
}

impl Cluster {
    /// Starts a master on a free port.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut master = Program::start(&mut master_command(dir.path(), "127.0.0.1:0"));
        let line = master.wait_for("the master serves");
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="))
            .unwrap_or_else(|| panic!("no address in {line}"))
            .to_owned();
        Self {
            dir,
            address,
            master,
        }
    }

    /// Starts the master again, in the same place, after it was killed.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn restart_master(&mut self) {
        self.master = Program::start(&mut master_command(self.dir.path(), &self.address));
        self.master.wait_for("the master serves");
    }

    /// Where the master listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A place for the test's own files, gone with the cluster.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The master's data directory.
    pub fn master_data(&self) -> PathBuf {
        self.path("master")
    }

    /// The CLI as the first administrator, with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("jobyard"));
        command.arg("--profile").arg(self.path("master/admin.toml"));
        command.args(arguments);
        command
    }

    /// Runs the CLI to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Makes a join token with these options.
    ///
    /// # Panics
    ///
    /// When the master refuses.
    pub fn token(&self, name: &str, options: &[&str]) -> Token {
        let file = self.path(name);
        let file_text = file.to_str().expect("a UTF-8 path");
        let mut arguments = vec!["token", "create", "--out", file_text];
        arguments.extend(options);
        let _ = self.cli(&arguments).ok();
        Token { file }
    }

    /// The command that starts a worker, joined or about to join.
    pub fn worker_command(&self, name: &str, token: Option<&Token>, options: &[&str]) -> Command {
        let mut command = Command::new(program("jobyard-worker"));
        command
            .args(["--name", name, "--master", &self.address, "--data"])
            .arg(self.path(name))
            .arg("--allow-root-jobs")
            .args(options)
            .env_remove("JOBYARD_JOIN");
        if let Some(token) = token {
            command.arg("--join-file").arg(&token.file);
        }
        command
    }

    /// Starts a worker and waits until it is connected.
    ///
    /// # Panics
    ///
    /// When it does not connect.
    pub fn worker(&self, name: &str, token: &Token, options: &[&str]) -> Program {
        let mut worker = Program::start(&mut self.worker_command(name, Some(token), options));
        worker.wait_for("is connected");
        worker
    }
}

fn master_command(dir: &Path, listen: &str) -> Command {
    let mut command = Command::new(program("jobyard-master"));
    command
        .args(["--listen", listen, "--data"])
        .arg(dir.join("master"));
    command
}
