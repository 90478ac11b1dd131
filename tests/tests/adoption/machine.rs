//! A worker that is killed and started again.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Stdio;

use jobyard_tests::{Cluster, GUARD, Gate, Notes, Process, Program, descendants};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use serde_json::Value;

const WORKER: &str = "w";

pub(crate) struct Machine {
    pub(crate) notes: Notes,
    pub(crate) gate: Gate,
    pub(crate) worker: Program,
    pub(crate) cluster: Cluster,
    options: Vec<String>,
}

impl Machine {
    /// A worker with these options.
    pub(crate) fn new(options: &[&str]) -> Self {
        let cluster = Cluster::start();
        let token = cluster.token("join.token", &[]);
        let worker = cluster.worker(WORKER, &token, options);
        Self {
            notes: Notes::new(cluster.path("notes")),
            gate: Gate::new(cluster.path("gate")),
            worker,
            cluster,
            options: options.iter().copied().map(str::to_owned).collect(),
        }
    }

    /// Starts the worker again, in the same place, once it has ended.
    pub(crate) fn start_again(&mut self) {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.worker = self.cluster.worker_again(WORKER, &options);
    }

    pub(crate) fn launcher(&self) -> Process {
        self.cluster.launcher(WORKER)
    }

    /// The directory of its launcher, by whose name its control groups are called.
    pub(crate) fn launcher_dir(&self) -> PathBuf {
        let launchers = fs::read_dir(self.cluster.path(WORKER).join("launcher"));
        let mut launchers = launchers.expect("launchers live there").flatten();
        launchers.next().expect("one").path()
    }

    /// Waits until its launcher has written this into its journal.
    pub(crate) fn wait_for_journal(&self, text: &str) {
        let journal = self.launcher_dir().join("journal");
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC).expect("Linux");
        inotify::add_watch(&changes, &journal, inotify::WatchFlags::MODIFY).expect("it is there");
        let mut wanted = [PollFd::from_borrowed_fd(changes.as_fd(), PollFlags::IN)];
        let guard = Timespec::try_from(GUARD).expect("minutes");
        // What was written before the watch began is there as well.
        while !fs::read_to_string(&journal).expect("text").contains(text) {
            let ready = poll(&mut wanted, Some(&guard)).expect("no signals here");
            assert!(ready > 0, "nobody writes {text} into the journal");
            let mut events = [0; 4096];
            let _ = rustix::io::read(&changes, &mut events).expect("there is something to read");
        }
    }

    /// All processes of all jobs, with those of ours that stand above them.
    pub(crate) fn tree(&self) -> Vec<Process> {
        descendants(self.launcher().pid())
    }

    pub(crate) fn note(&self, text: &str) -> String {
        format!("echo {text} > {}", self.notes.path().display())
    }

    pub(crate) fn hold(&self) -> String {
        format!("read go < {}", self.gate.path().display())
    }

    /// Waits until the master has so much of the output of its first attempt.
    pub(crate) fn wait_for_stored(&self, job: &str, bytes: usize) {
        let mut reader = self.cluster.command(&["logs", "--follow", job]);
        let mut reader = reader
            .stdout(Stdio::piped())
            .spawn()
            .expect("the CLI starts");
        let mut output = reader.stdout.take().expect("it is piped");
        output.read_exact(&mut vec![0; bytes]).expect("it prints");
        reader.kill().expect("it follows");
        reader.wait().expect("it ends");
    }

    /// All of its output, once it has ended, and what is known of it.
    pub(crate) fn end(&self, job: &str) -> (Vec<u8>, Value) {
        let log = self.cluster.cli(&["logs", "--follow", job]);
        let shown = self.cluster.show(job);
        assert_eq!(shown["state"], "finished", "{shown}");
        (log.stdout, shown)
    }
}

/// Its attempts, so many of them.
pub(crate) fn attempts(shown: &Value, number: usize) -> &[Value] {
    let attempts = shown["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), number, "{shown}");
    attempts
}

/// That of its output this is stored, and that whatever followed is lost.
pub(crate) fn assert_cut_off(attempt: &Value, stored: &[u8], log: &[u8]) {
    assert_eq!(log, stored);
    assert_eq!(attempt["log"], "lost", "{attempt}");
    assert_eq!(attempt["log_bytes"], stored.len(), "{attempt}");
}

/// That it ended with this code, in one attempt, with all of its output.
pub(crate) fn assert_ran_once(shown: &Value, code: i32) {
    let attempt = &attempts(shown, 1)[0];
    let ended = &attempt["outcome"]["exit_code"];
    // Successes do not repeat their code.
    assert!(
        *ended == code || (code == 0 && attempt["outcome"]["kind"] == "succeeded"),
        "{shown}"
    );
    assert_eq!(attempt["log"], "complete", "{shown}");
    assert_eq!(attempt["log_dropped"], 0, "{shown}");
    assert_eq!(attempt["residue"]["unconfirmed"], false, "{shown}");
}
