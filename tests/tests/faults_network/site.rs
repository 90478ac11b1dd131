//! A master, and workers and clients that reach it through a network of the test.

use jobyard_tests::{Cluster, Gate, Notes, Program, Proxy, Ran, Runs, Token};
use serde_json::Value;

/// Short, so that a test lives long enough to see the end of each.
pub(crate) const LEASE_SECONDS: u32 = 4;
pub(crate) const PATIENCE: [&str; 18] = [
    "--lease-margin",
    "2s",
    "--lease-grace",
    "1s",
    "--failover-grace",
    "3s",
    "--retry-first",
    "100ms",
    "--heartbeat",
    "500ms",
    "--lease",
    "4s",
    "--reconcile-for",
    "5s",
    "--log-drain",
    "2s",
    "--fleet-grace",
    "2s",
];

pub(crate) struct Site {
    pub(crate) notes: Notes,
    pub(crate) gate: Gate,
    pub(crate) runs: Runs,
    /// Between the workers and the master.
    pub(crate) proxy: Proxy,
    pub(crate) token: Token,
    pub(crate) cluster: Cluster,
}

impl Site {
    /// A master with these options.
    pub(crate) fn with(options: &[&str]) -> Self {
        let cluster = Cluster::start_with(options);
        Self {
            notes: Notes::new(cluster.path("notes")),
            gate: Gate::new(cluster.path("gate")),
            runs: Runs::new(cluster.path("runs")),
            proxy: Proxy::to(cluster.address()),
            token: cluster.token("join.token", &["--uses", "4"]),
            cluster,
        }
    }

    /// A master that is not patient.
    pub(crate) fn new() -> Self {
        Self::with(&PATIENCE)
    }

    /// A worker behind the network.
    pub(crate) fn worker(&self, name: &str, options: &[&str]) -> Program {
        self.cluster
            .worker_at(&self.proxy.address(), name, &self.token, options)
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

    /// Waits for the note of another attempt of [`held_job`](Self::held_job); its number.
    pub(crate) fn begun_again(&self) -> u32 {
        let note = self.notes.next();
        let number = note
            .split(' ')
            .nth(1)
            .and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("not a note of an attempt: {note}"))
    }

    /// What is known of a job once it is finished.
    pub(crate) fn end(&self, job: &str) -> Value {
        let _ = self.cluster.cli(&["wait", job]);
        let shown = self.cluster.show(job);
        assert_eq!(shown["state"], "finished", "{shown}");
        shown
    }

    /// Waits until the master says of this worker what this function wants.
    pub(crate) fn wait_for_worker(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
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
    pub(crate) fn wait_for_job(&self, job: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        self.cluster.wait_until(|| {
            let shown = self.cluster.show(job);
            is_so(&shown).then_some(shown)
        })
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
pub(crate) fn in_background(mut command: std::process::Command) -> std::thread::JoinHandle<Ran> {
    std::thread::spawn(move || Ran::of(&mut command))
}
