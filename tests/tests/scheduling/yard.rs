//! A cluster whose jobs tell the test what they do.

use std::collections::BTreeSet;

use jobyard_tests::{Cluster, Gate, Notes, Program};
use serde_json::Value;

/// A master with workers, a pipe into which jobs write, and a gate at which they wait.
pub(crate) struct Yard {
    pub(crate) workers: Vec<Program>,
    pub(crate) notes: Notes,
    pub(crate) gate: Gate,
    pub(crate) cluster: Cluster,
}

impl Yard {
    /// Workers of these names with these options.
    pub(crate) fn new(workers: &[(&str, &[&str])]) -> Self {
        Self::with_cluster(Cluster::start(), workers)
    }

    pub(crate) fn with_cluster(cluster: Cluster, workers: &[(&str, &[&str])]) -> Self {
        let token = cluster.token("join.token", &["--uses", "9"]);
        let workers = workers
            .iter()
            .map(|(name, options)| cluster.worker(name, &token, options))
            .collect();
        Self {
            workers,
            notes: Notes::new(cluster.path("notes")),
            gate: Gate::new(cluster.path("gate")),
            cluster,
        }
    }

    /// A script that writes this line into the pipe.
    pub(crate) fn notes(&self, line: &str) -> String {
        format!("echo {line} > {}", self.notes.path().display())
    }

    /// A script that writes this line into the pipe and waits at the gate.
    pub(crate) fn holds(&self, line: &str) -> String {
        let gate = self.gate.path().display();
        format!("{}; read line < {gate}", self.notes(line))
    }

    /// A job that holds its worker: it runs when this returns, and ends when one is let through the gate.
    pub(crate) fn held(&self, options: &[&str]) -> String {
        let job = self.cluster.submit(options, &self.holds("held"));
        assert_eq!(self.notes.next(), "held");
        job
    }

    /// Lets so many jobs through the gate and waits until these are over.
    pub(crate) fn finish(&self, jobs: &[String]) {
        self.gate.let_through(jobs.len());
        self.cluster.wait_for(jobs);
    }

    /// On which workers four jobs like this run, all at once.
    pub(crate) fn where_four_run(&self, like: &Value) -> BTreeSet<String> {
        let mut job = like.clone();
        job["script"] = self.holds("$JOBYARD_WORKER_NAME").into();
        let ids = self.cluster.submit_all(&vec![job; 4]);
        let names = self.notes.take(4);
        self.finish(&ids);
        names.into_iter().collect()
    }
}

/// The first of these `reasons`, or of this `help`, of this kind.
pub(crate) fn of_kind(list: &Value, kind: &str) -> Value {
    let all = list.as_array().expect("a list");
    let found = all.iter().find(|said| said["kind"] == kind);
    found
        .unwrap_or_else(|| panic!("nothing of kind {kind} in {list}"))
        .clone()
}

/// A script that leaves a line in this file at its start and at its end, and takes some time between.
pub(crate) fn marks(file: &str) -> String {
    format!("echo start >> {file}; sleep 0.1; echo end >> {file}")
}

/// The most that ran at once, by what [`marks`] left.
pub(crate) fn most_at_once(file: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(file).expect("the jobs wrote");
    let (mut now, mut most) = (0_usize, 0);
    for line in text.lines() {
        match line {
            "start" => now += 1,
            _ => now -= 1,
        }
        most = most.max(now);
    }
    assert_eq!(now, 0, "one did not end: {text}");
    most
}
