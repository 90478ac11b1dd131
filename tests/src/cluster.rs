//! A master and its workers on this machine.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::happenings::Happenings;
use crate::launchers::{end_all_beneath, launcher_beneath, launchers_beneath};
use crate::master_program::MasterProgram;
use crate::process::Process;
use crate::program::{Program, Ran, program, within};

/// A master in a directory of its own, and the way to talk to it.
#[derive(Debug)]
pub struct Cluster {
    dir: TempDir,
    address: String,
    program: MasterProgram,
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
        Self::start_with(&[])
    }

    /// The same, with these options.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start_with(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(dir, MasterProgram::shipped().options(options))
    }

    /// Starts this master, which keeps its data in `master` of this directory.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start_in(dir: TempDir, program: MasterProgram) -> Self {
        // Jobs may run as another user, who has to come through.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o711)).expect("it is ours");
        let mut master = Program::start(&mut program.command(dir.path()));
        let line = master.wait_for("the master serves");
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address="))
            .unwrap_or_else(|| panic!("no address in {line}"))
            .to_owned();
        Self {
            dir,
            program: program.listening_on(&address),
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
        self.master = Program::start(&mut self.program.command(self.dir.path()));
        self.master.wait_for("the master serves");
    }

    /// The same, once with this variable in the master's environment.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn restart_master_with(&mut self, variable: &str, value: &str) {
        let program = self.program.clone().variable(variable, value);
        self.master = Program::start(&mut program.command(self.dir.path()));
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
        self.command_with(&self.path("master/admin.toml"), arguments)
    }

    /// The same, with the master behind this address.
    ///
    /// # Panics
    ///
    /// When the administrator's profile cannot be copied.
    pub fn command_at(&self, address: &str, arguments: &[&str]) -> Command {
        let profile = std::fs::read_to_string(self.path("master/admin.toml"));
        let profile = profile.expect("the master has written it");
        let lines = profile
            .lines()
            .map(|line| match line.strip_prefix("masters =") {
                Some(_) => format!("masters = [\"{address}\"]\n"),
                None => format!("{line}\n"),
            });
        let path = self.path(&format!("{address}.toml"));
        std::fs::write(&path, lines.collect::<String>()).expect("the profile is written");
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is ours");
        self.command_with(&path, arguments)
    }

    fn command_with(&self, profile: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("jobyard"));
        command.arg("--profile").arg(profile).args(arguments);
        within(self.program.prefix(), &command)
    }

    /// Runs the CLI to its end.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Submits a job with these options and this script, and gives its id.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn submit(&self, options: &[&str], script: &str) -> String {
        let arguments = [&["submit"], options, &["--", "sh", "-c", script]].concat();
        self.cli(&arguments).ok().text()
    }

    /// Runs a script that succeeds; what it printed.
    ///
    /// # Panics
    ///
    /// When it does not succeed.
    pub fn submit_and_print(&self, script: &str) -> String {
        self.cli(&["run", "--", "sh", "-c", script]).ok().text()
    }

    /// Submits the jobs of a file that holds this, and gives their ids in order.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub fn submit_all(&self, jobs: &[Value]) -> Vec<String> {
        let file = self.path("jobs.json");
        let text = serde_json::to_vec(jobs).expect("values can be written");
        std::fs::write(&file, text).expect("the file is written");
        let file = file.to_str().expect("a UTF-8 path");
        let ids = self.cli(&["submit", "-f", file]).ok().text();
        ids.lines().map(str::to_owned).collect()
    }

    /// Waits until these jobs are over, and checks that they did well.
    ///
    /// # Panics
    ///
    /// When one of them did not.
    pub fn wait_for(&self, jobs: &[String]) {
        let mut arguments = vec!["wait"];
        arguments.extend(jobs.iter().map(String::as_str));
        let _ = self.cli(&arguments).ok();
    }

    /// Why a job waits, as data.
    ///
    /// # Panics
    ///
    /// When the master does not say.
    pub fn explain(&self, job: &str) -> Value {
        self.cli(&["explain", job, "--json"]).ok().json()
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
        self.worker_command_at(&self.address, name, token, options)
    }

    /// The same, with the master behind this address.
    pub fn worker_command_at(
        &self,
        address: &str,
        name: &str,
        token: Option<&Token>,
        options: &[&str],
    ) -> Command {
        let mut command = Command::new(program("jobyard-worker"));
        command
            .args(["--name", name, "--master", address, "--data"])
            .arg(self.path(name))
            .arg("--allow-root-jobs")
            .args(options)
            .env_remove("JOBYARD_JOIN")
            // Tests share their machine with other tests, and say themselves when a worker shall complain.
            .env("JOBYARD_MIN_FREE_DISK", "0")
            .env("JOBYARD_MIN_FREE_MEMORY", "0")
            .env("JOBYARD_MAX_MEMORY_PRESSURE", "100");
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

    /// Starts a worker whose master is behind this address, and waits until it is connected.
    ///
    /// # Panics
    ///
    /// When it does not connect.
    pub fn worker_at(&self, address: &str, name: &str, token: &Token, options: &[&str]) -> Program {
        let mut command = self.worker_command_at(address, name, Some(token), options);
        let mut worker = Program::start(&mut command);
        worker.wait_for("is connected");
        worker
    }

    /// Starts a worker that has joined in an earlier life, and waits until it is connected.
    ///
    /// # Panics
    ///
    /// When it does not connect.
    pub fn worker_again(&self, name: &str, options: &[&str]) -> Program {
        let mut worker = Program::start(&mut self.worker_command(name, None, options));
        worker.wait_for("is connected");
        worker
    }

    /// All launchers of this worker: one, or an older one beside it that still holds something.
    pub fn launchers(&self, worker: &str) -> Vec<Process> {
        launchers_beneath(&self.path(worker))
    }

    /// The one launcher of this worker.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one.
    pub fn launcher(&self, worker: &str) -> Process {
        launcher_beneath(&self.path(worker))
    }

    /// What happens from now on, and what has happened.
    pub fn happenings(&self) -> Happenings {
        Happenings::of(self.command(&["events", "--follow", "--from", "1", "--json"]))
    }

    /// Asks until there is an answer: now, and again whenever something has happened.
    ///
    /// # Panics
    ///
    /// When nothing happens any more before.
    pub fn wait_until<T>(&self, mut ask: impl FnMut() -> Option<T>) -> T {
        let happenings = self.happenings();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            happenings.next();
        }
    }

    /// What is known of a job.
    ///
    /// # Panics
    ///
    /// When the master does not say.
    pub fn show(&self, job: &str) -> Value {
        self.cli(&["show", job, "--json"]).ok().json()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        end_all_beneath(self.dir.path());
    }
}
