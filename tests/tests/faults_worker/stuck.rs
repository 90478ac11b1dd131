//! FW11 and FW12: a worker that does not come to do anything, and one that hardly does.

use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use jobyard_tests::{Process, Site, assert_once};

/// The process is there, its connection is open, and the system answers for it; nobody at home. Guards: heartbeats come
/// from the task that does the work, so that the master misses them (`Timer::SessionSilent`), and the verdict `stop`
/// when the worker wakes up.
#[test]
fn fw11_worker_that_is_stuck_counts_as_silent_and_its_attempt_is_revoked_when_it_wakes() {
    let mut site = Site::impatient();
    let mut stuck = site.worker("stuck", &["--tag", "here"]);
    let job = site.cluster.submit(&["--tag", "here"], &site.held_job());
    let first = Process::named(&site.begun(1));
    stuck.signal("STOP");
    site.cluster.master.wait_for("session over");
    let _other = site.worker("other", &["--tag", "here"]);
    let second = Process::named(&site.begun(2));
    assert!(first.runs(), "its launcher holds it");
    stuck.signal("CONT");
    first.wait_for_end();
    stuck.wait_for("is connected");
    assert!(second.runs());
    site.assert_second_does_well(&job);
}

/// The same for a job that must not overlap: a worker that is stuck cannot stop it. Guards: the time until which its
/// launcher lets it run (`AttemptContext::until`).
#[test]
fn fw11_job_that_stops_is_ended_by_its_launcher_when_its_worker_is_stuck() {
    let site = Site::impatient();
    let stuck = site.worker("stuck", &["--tag", "here"]);
    let options = ["--tag", "here", "--on-disconnect", "stop"];
    let job = site.cluster.submit(&options, &site.held_job());
    let first = Process::named(&site.begun(1));
    stuck.signal("STOP");
    let _other = site.worker("other", &["--tag", "here"]);
    site.begun(2);
    assert!(!first.runs(), "two at once");
    site.gate.let_through(1);
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
    assert_eq!(site.runs.of(&job), [1, 2]);
    stuck.signal("CONT");
}

/// Programs that do nothing, as fast as they can. Ended when dropped, those and no others.
struct Load(Vec<Child>);

impl Load {
    fn new(loops: usize) -> Self {
        let busy = || {
            let mut command = Command::new("sh");
            command
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.spawn().expect("a shell")
        };
        Self((0..loops).map(|_| busy()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Two busy loops per core for a minute, and the lease of one that is not patient. Guards: nothing that the loop of the
/// worker does takes long, and a heartbeat that is due is sent before anything else.
#[test]
fn fw12_no_worker_is_declared_lost_while_its_machine_is_busy_for_a_minute() {
    let minute = Duration::from_mins(1);
    let mut site = Site::with(&[
        "--heartbeat",
        "3s",
        "--lease",
        "15s",
        "--reconcile-for",
        "15s",
    ]);
    let mut worker = site.worker("w", &["--slots", "8"]);
    let cores = available_parallelism().map_or(1, usize::from);
    let load = Load::new(2 * cores);
    // Both kinds, and a stream of small ones beside them.
    let finishes = site.cluster.submit(&[], &site.held_job());
    let held = Process::named(&site.begun(1));
    let stops = site
        .cluster
        .submit(&["--on-disconnect", "stop"], &site.held_job());
    site.begun(1);
    let small: Vec<String> = (0..20)
        .map(|_| {
            site.cluster
                .submit(&[], &format!("{}; sleep 1", site.runs.note()))
        })
        .collect();
    assert!(!held.has_ended_within(minute), "nobody may end it");
    site.gate.let_through(2);
    site.cluster.wait_for(&small);
    for job in small.iter().chain([&finishes, &stops]) {
        assert_once(&site.end(job));
    }
    drop(load);
    let log = site.cluster.master.log();
    assert_eq!(log.matches("worker connected").count(), 1, "{log}");
    assert!(!log.contains("session over"), "{log}");
    assert!(!worker.log().contains("no session"), "{}", worker.log());
    site.runs.assert_each_once(&small);
}
