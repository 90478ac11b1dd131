//! A process that cannot be killed: one that the test holds in a frozen control group of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use jobyard_tests::{GUARD, Process};

use crate::site::{Site, WORKER, assert_gone};

/// A frozen control group of version 1. What is in it does not even die by SIGKILL before it is thawed, as what waits for
/// a disk or a file server does not.
struct Frozen(PathBuf);

impl Frozen {
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("Linux");
        let mut mounts = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let is_freezer = |mount: &Vec<&str>| {
            mount[2] == "cgroup" && mount[3].split(',').any(|option| option == "freezer")
        };
        let mount = mounts.find(is_freezer).expect("a freezer is mounted");
        let dir = Path::new(mount[1]).join(format!("test-of-jobyard-{}", std::process::id()));
        fs::create_dir(&dir).expect("root may make control groups");
        Self(dir)
    }

    /// Freezes a process.
    fn take(&self, process: &Process) {
        let write = |file: &str, text: &str| fs::write(self.0.join(file), text).expect("ours");
        write("cgroup.procs", &process.pid().to_string());
        write("freezer.state", "FROZEN");
        // The kernel tells nobody when it is done, which takes no time worth naming.
        let begun = Instant::now();
        while fs::read_to_string(self.0.join("freezer.state"))
            .expect("ours")
            .trim()
            != "FROZEN"
        {
            assert!(begun.elapsed() < GUARD, "{process:?} does not freeze");
            thread::yield_now();
        }
    }

    fn thaw(&self) {
        fs::write(self.0.join("freezer.state"), "THAWED").expect("ours");
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // What was killed dies now. Nothing can be done here about what does not.
        let _ = fs::write(self.0.join("freezer.state"), "THAWED");
        let left = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for process in left
            .lines()
            .filter_map(|pid| pid.parse().ok())
            .filter_map(Process::find)
        {
            process.kill_9();
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// An attempt that cannot be proven to be over taints its worker, in words, until it is.
fn unkillable_taints(containment: &str) {
    let mut site = Site::new(&["--containment", containment]);
    let frozen = Frozen::new();
    let script = format!("sleep 1000 >/dev/null 2>&1 & {}; wait", site.note("$!"));
    let job = site.cluster.submit(&[], &script);
    let stuck = Process::named(&site.notes.next());
    frozen.take(&stuck);

    let _ = site.cluster.cli(&["stop", &job, "--grace", "0s"]).ok();
    let ended = site.end(&job);
    assert!(stuck.runs(), "the test means that it cannot be killed");
    assert_eq!(ended.kind(), "cancelled", "{}", ended.job);
    assert_eq!(ended.residue()["unconfirmed"], true, "{}", ended.job);

    let waiting = site.cluster.submit(&[], "echo clean");
    let why = site.cluster.explain(&waiting);
    assert_eq!(why["verdict"], "not_now", "{why}");
    assert!(why.to_string().contains("could not be killed"), "{why}");
    let shown = site.worker();
    assert_eq!(shown["complaints"][0]["kind"], "tainted", "{shown}");
    let text = shown["complaints"][0]["text"].as_str().expect("words");
    assert!(text.contains(&stuck.pid().to_string()), "{text}");

    // As long as it is there, a new life of the worker says the same.
    site.worker.kill_9();
    site.worker = site
        .cluster
        .worker_again(WORKER, &["--containment", containment]);
    let why = site.cluster.explain(&waiting);
    assert_eq!(why["verdict"], "not_now", "{why}");

    frozen.thaw();
    stuck.wait_for_end();
    site.worker.kill_9();
    site.worker = site
        .cluster
        .worker_again(WORKER, &["--containment", containment]);
    assert_eq!(site.end(&waiting).output, "clean");
    assert_gone(&[stuck]);
    assert_eq!(
        site.worker()["complaints"].as_array().map(Vec::len),
        Some(0)
    );
}

#[test]
fn xj7_process_that_cannot_be_killed_taints_its_worker() {
    unkillable_taints("cgroup2");
}

#[test]
fn xj7_process_that_cannot_be_killed_taints_its_worker_without_control_groups() {
    unkillable_taints("subreaper");
}
