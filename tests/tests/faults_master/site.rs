//! A master that dies, and workers whose jobs tell the test what they do.

use std::process::Command;
use std::thread::{self, JoinHandle};

use jobyard_tests::{Cluster, Gate, MasterProgram, Notes, Program, Ran, Runs, Token};
use serde_json::Value;

pub(crate) const PATIENCE: [&str; 18] = [
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

pub(crate) struct Site {
    pub(crate) notes: Notes,
    pub(crate) gate: Gate,
    pub(crate) runs: Runs,
    pub(crate) token: Token,
    pub(crate) cluster: Cluster,
}

impl Site {
    /// This master.
    pub(crate) fn of(program: MasterProgram) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::in_cluster(Cluster::start_in(dir, program))
    }

    pub(crate) fn in_cluster(cluster: Cluster) -> Self {
        Self {
            notes: Notes::new(cluster.path("notes")),
            gate: Gate::new(cluster.path("gate")),
            runs: Runs::new(cluster.path("runs")),
            token: cluster.token("join.token", &["--uses", "1000"]),
            cluster,
        }
    }

    pub(crate) fn worker(&self, name: &str, options: &[&str]) -> Program {
        self.cluster.worker(name, &self.token, options)
    }

    /// A script that says that it has begun, and waits at the gate.
    pub(crate) fn held_job(&self) -> String {
        format!(
            "{}; echo begun $JOBYARD_ATTEMPT $$ > {}; read go < {}",
            self.runs.note(),
            self.notes.path().display(),
            self.gate.path().display(),
        )
    }

    /// Waits for the note of an attempt of [`held_job`](Self::held_job); the number of its process.
    pub(crate) fn begun(&self, attempt: u32) -> String {
        let note = self.notes.next();
        let pid = note.strip_prefix(&format!("begun {attempt} "));
        pid.unwrap_or_else(|| panic!("not attempt {attempt}: {note}"))
            .to_owned()
    }

    /// What is known of a job once it is finished.
    pub(crate) fn end(&self, job: &str) -> Value {
        let _ = self.cluster.cli(&["wait", job]);
        let shown = self.cluster.show(job);
        assert_eq!(shown["state"], "finished", "{shown}");
        shown
    }
}

/// Its attempts.
pub(crate) fn attempts(shown: &Value) -> &Vec<Value> {
    shown["attempts"].as_array().expect("attempts")
}

/// That it did well, in one attempt.
pub(crate) fn assert_once(shown: &Value) {
    assert_eq!(attempts(shown).len(), 1, "{shown}");
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
}

/// A CLI that runs in the background.
pub(crate) fn in_background(mut command: Command) -> JoinHandle<Ran> {
    thread::spawn(move || Ran::of(&mut command))
}
