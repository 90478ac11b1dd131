//! A master with one worker, whose jobs tell the test what they do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use jobyard_tests::{Cluster, Gate, Notes, Process, Program, Ran, descendants};
use serde_json::Value;

/// What the worker is called.
pub(crate) const WORKER: &str = "w";

pub(crate) struct Site {
    pub(crate) notes: Notes,
    pub(crate) gate: Gate,
    pub(crate) worker: Program,
    pub(crate) cluster: Cluster,
}

/// A job that has ended.
pub(crate) struct Ended {
    pub(crate) job: Value,
    /// Its only attempt.
    pub(crate) attempt: Value,
    /// Its standard output.
    pub(crate) output: String,
}

impl Site {
    /// A worker with these options, whose jobs run as its own user, which is root.
    pub(crate) fn new(options: &[&str]) -> Self {
        let cluster = Cluster::start();
        let token = cluster.token("join.token", &[]);
        let worker = cluster.worker(WORKER, &token, options);
        Self::of(cluster, worker)
    }

    /// The same; jobs run as another user.
    pub(crate) fn of_nobody(options: &[&str]) -> Self {
        Self::new(&[&["--job-user", "nobody"], options].concat())
    }

    pub(crate) fn of(cluster: Cluster, worker: Program) -> Self {
        Self {
            notes: Notes::new(cluster.path("notes")),
            gate: Gate::new(cluster.path("gate")),
            worker,
            cluster,
        }
    }

    pub(crate) fn launcher(&self) -> Process {
        self.cluster.launcher(WORKER)
    }

    /// What the worker shows of itself.
    pub(crate) fn worker(&self) -> Value {
        let shown = self.cluster.cli(&["worker", "show", WORKER, "--json"]);
        shown.ok().json()
    }

    /// Whether the worker offers this tag.
    pub(crate) fn offers(&self, tag: &str) -> bool {
        let tags = self.worker()["tags"].clone();
        let mut tags = tags.as_array().expect("tags").iter();
        tags.any(|offered| offered == tag)
    }

    /// A part of a script that tells the test this.
    pub(crate) fn note(&self, text: &str) -> String {
        format!("echo {text} > {}", self.notes.path().display())
    }

    /// A part of a script that waits until the test opens the gate. Forks nothing.
    pub(crate) fn hold(&self) -> String {
        format!("read go < {}", self.gate.path().display())
    }

    /// A file that everybody may read.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.cluster.path(name);
        fs::write(&path, text).expect("the file is written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// All processes of all jobs that run, with those of ours that stand above them.
    pub(crate) fn tree(&self) -> Vec<Process> {
        descendants(self.launcher().pid())
    }

    /// Waits until a job is over.
    pub(crate) fn end(&self, job: &str) -> Ended {
        // Ends with the job.
        let log = self.cluster.cli(&["logs", "--follow", job]);
        let shown = self.cluster.show(job);
        assert_eq!(shown["state"], "finished", "{shown}");
        let attempts = shown["attempts"].as_array().expect("attempts");
        assert_eq!(attempts.len(), 1, "{shown}");
        Ended {
            attempt: attempts[0].clone(),
            job: shown,
            output: text(&log),
        }
    }

    /// Runs a script to its end.
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Ended {
        let job = self.cluster.submit(options, script);
        self.end(&job)
    }

    /// Runs a script that succeeds; what it printed.
    pub(crate) fn prints(&self, options: &[&str], script: &str) -> String {
        let ended = self.run(options, script);
        assert_eq!(ended.kind(), "succeeded", "{} {}", ended.job, ended.output);
        ended.output
    }
}

impl Ended {
    pub(crate) fn kind(&self) -> &str {
        self.attempt["outcome"]["kind"].as_str().expect("a kind")
    }

    pub(crate) fn reason(&self) -> &str {
        self.attempt["outcome"]["reason"].as_str().unwrap_or("")
    }

    pub(crate) fn residue(&self) -> &Value {
        &self.attempt["residue"]
    }

    /// How many processes had to be killed.
    pub(crate) fn killed(&self) -> u64 {
        self.residue()["killed"].as_u64().expect("a number")
    }
}

fn text(ran: &Ran) -> String {
    let text = String::from_utf8_lossy(&ran.stdout);
    text.trim_end_matches('\n').to_owned()
}

/// That none of these lives.
pub(crate) fn assert_gone(processes: &[Process]) {
    for process in processes {
        assert!(!process.runs(), "{process:?} is still there");
    }
}
