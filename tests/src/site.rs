//! A cluster whose jobs tell the test what they do.

use std::process::Command;
use std::thread::{self, JoinHandle};

use serde_json::Value;

use crate::cluster::{Cluster, Token};
use crate::master_program::MasterProgram;
use crate::pipe::{Gate, Notes};
use crate::program::{Program, Ran};
use crate::runs::Runs;

/// How long a lease is of a master that is not [patient](PATIENCE).
pub const LEASE_SECONDS: u32 = 4;

/// Options of a master that gives up soon, so that a test lives long enough to see the end of each.
pub const PATIENCE: [&str; 18] = [
    "--heartbeat",
    "500ms",
    "--lease",
    "4s",
    "--lease-margin",
    "2s",
    "--lease-grace",
    "1s",
    "--failover-grace",
    "3s",
    "--reconcile-for",
    "5s",
    "--log-drain",
    "2s",
    "--fleet-grace",
    "2s",
    "--retry-first",
    "100ms",
];

/// How many workers may join a site.
const WORKERS: &str = "1000";

/// A master, a token for workers, and what jobs say through files.
#[derive(Debug)]
pub struct Site {
    /// What jobs say.
    pub notes: Notes,
    /// Where jobs wait.
    pub gate: Gate,
    /// Who has run.
    pub runs: Runs,
    /// For workers.
    pub token: Token,
    /// The master.
    pub cluster: Cluster,
}

impl Site {
    /// The shipped master with these options.
    pub fn with(options: &[&str]) -> Self {
        Self::in_cluster(Cluster::start_with(options))
    }

    /// One that is not patient.
    pub fn impatient() -> Self {
        Self::with(&PATIENCE)
    }

    /// This master.
    ///
    /// # Panics
    ///
    /// When there is no temporary directory.
    pub fn of(program: MasterProgram) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::in_cluster(Cluster::start_in(dir, program))
    }

    /// This cluster.
    pub fn in_cluster(cluster: Cluster) -> Self {
        Self {
            notes: Notes::new(cluster.path("notes")),
            gate: Gate::new(cluster.path("gate")),
            runs: Runs::new(cluster.path("runs")),
            token: cluster.token("join.token", &["--uses", WORKERS]),
            cluster,
        }
    }

    /// A worker that has joined.
    pub fn worker(&self, name: &str, options: &[&str]) -> Program {
        self.cluster.worker(name, &self.token, options)
    }

    /// A script that says that it has begun, and waits at the gate.
    pub fn held_job(&self) -> String {
        format!(
            "{}; echo begun $JOBYARD_ATTEMPT $$ > {}; read go < {}",
            self.runs.note(),
            self.notes.path().display(),
            self.gate.path().display(),
        )
    }

    /// Waits for the note of an attempt of [`held_job`](Self::held_job); the number of its process.
    ///
    /// # Panics
    ///
    /// When the note is of another attempt.
    pub fn begun(&self, attempt: u32) -> String {
        let note = self.notes.next();
        let pid = note.strip_prefix(&format!("begun {attempt} "));
        pid.unwrap_or_else(|| panic!("not attempt {attempt}: {note}"))
            .to_owned()
    }

    /// Waits for the note of another attempt of [`held_job`](Self::held_job); its number.
    ///
    /// # Panics
    ///
    /// When the note is none of an attempt.
    pub fn begun_again(&self) -> u32 {
        let note = self.notes.next();
        let number = note
            .split(' ')
            .nth(1)
            .and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("not a note of an attempt: {note}"))
    }

    /// What is known of a job once it is finished.
    ///
    /// # Panics
    ///
    /// When it cannot be waited for.
    pub fn end(&self, job: &str) -> Value {
        let _ = self.cluster.cli(&["wait", job]);
        let shown = self.cluster.show(job);
        assert_eq!(shown["state"], "finished", "{shown}");
        shown
    }

    /// Opens the gate to the second attempt of a job, whose first one was lost.
    ///
    /// # Panics
    ///
    /// Unless the second one does well, and was the last.
    pub fn assert_second_does_well(&self, job: &str) {
        self.gate.let_through(1);
        let shown = self.end(job);
        assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
        assert_eq!(attempts(&shown)[0]["outcome"]["kind"], "infra", "{shown}");
        assert_eq!(self.runs.of(job), [1, 2]);
    }

    /// Waits until the master says of this worker what this function wants.
    pub fn wait_for_worker(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.cluster.wait_until(|| {
            let shown = self
                .cluster
                .cli(&["worker", "show", name, "--json"])
                .ok()
                .json();
            is_so(&shown).then_some(shown)
        })
    }

    /// The same for a job.
    pub fn wait_for_job(&self, job: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.cluster.wait_until(|| {
            let shown = self.cluster.show(job);
            is_so(&shown).then_some(shown)
        })
    }
}

/// The attempts of a job that was shown.
///
/// # Panics
///
/// When no job was.
pub fn attempts(shown: &Value) -> &Vec<Value> {
    shown["attempts"].as_array().expect("attempts")
}

/// That a job did well, in one attempt.
///
/// # Panics
///
/// When it did not.
pub fn assert_once(shown: &Value) {
    assert_eq!(attempts(shown).len(), 1, "{shown}");
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
}

/// A CLI that runs in the background.
pub fn in_background(mut command: Command) -> JoinHandle<Ran> {
    thread::spawn(move || Ran::of(&mut command))
}
