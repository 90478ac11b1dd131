//! FW13 and FW14: a worker is to take nothing more.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jobyard_tests::{Proxy, Ran, Site, Way, assert_once, in_background};
use serde_json::Value;

/// Guards: `ShutdownMode::Drain`: what runs is finished, nothing new is taken, and what waits goes elsewhere.
#[test]
fn fw13_worker_that_is_told_to_end_finishes_what_it_holds_and_takes_nothing_new() {
    let site = Site::with(&[]);
    let mut worker = site.worker("w", &["--slots", "4"]);
    let held = site.cluster.submit(&[], &site.held_job());
    site.begun(1);
    worker.signal("TERM");
    worker.wait_for("told to end");
    let next = site.cluster.submit(&[], &site.runs.note());
    assert_eq!(site.cluster.show(&held)["state"], "running");
    site.gate.let_through(1);
    assert_once(&site.end(&held));
    let (status, log) = worker.wait();
    assert!(status.success(), "{log}");
    assert_eq!(site.runs.of(&next), [] as [u32; 0]);
    let _other = site.worker("other", &[]);
    assert_once(&site.end(&next));
    site.runs.assert_each_once(&[held, next]);
}

/// Guards: a drain that takes too long stops what is left, as a failure of the infrastructure: it runs elsewhere.
#[test]
fn fw13_worker_whose_drain_takes_too_long_hands_its_job_over() {
    let site = Site::with(&["--retry-first", "100ms"]);
    let mut worker = site.worker("w", &["--drain-timeout", "1s"]);
    let job = site.cluster.submit(&["--grace", "0s"], &site.held_job());
    let process = jobyard_tests::Process::named(&site.begun(1));
    worker.signal("TERM");
    let (status, log) = worker.wait();
    assert!(status.success(), "{log}");
    assert!(!process.runs());
    let _other = site.worker("other", &[]);
    site.begun(2);
    site.assert_second_does_well(&job);
}

/// Jobs are submitted without a pause while the worker is drained: wherever the drain falls, nothing begins there after
/// its acknowledgement. Guards: the fence on assignments that are under way (`Engine::on_drain`), the message
/// `Draining`, and that the answer waits for the worker.
#[test]
fn fw14_nothing_begins_on_a_worker_after_its_drain_was_acknowledged() {
    let site = Site::with(&["--retry-first", "100ms"]);
    // So slow a network that something is always under way.
    let network = Proxy::to(site.cluster.address());
    network.delay(Duration::from_millis(300));
    let (address, slots) = (network.address(), ["--slots", "3"]);
    let _leaves = site
        .cluster
        .worker_at(&address, "leaves", &site.token, &slots);
    let _stays = site.worker("stays", &["--slots", "3"]);
    let starts = site.cluster.path("starts");
    // When its process was made, by the kernel, in hundredths of a second since the machine was.
    let script = format!(
        "echo $JOBYARD_WORKER_NAME $(cut -d ' ' -f 22 /proc/$$/stat) >> {}; {}",
        starts.display(),
        site.runs.note(),
    );
    for _ in 0..3 {
        let submitting = Submitting::begin(&site, &script);
        // It is under way once some of them have run.
        let happenings = site.cluster.happenings();
        for _ in 0..5 {
            happenings.next();
        }
        let _ = site.cluster.cli(&["worker", "drain", "leaves"]).ok();
        let acknowledged = hundredths_since_boot();
        let _ = site.cluster.submit_and_print("sleep 1");
        let jobs = submitting.end();
        site.cluster.wait_for(&jobs);
        for line in fs::read_to_string(&starts).expect("they ran").lines() {
            let (worker, start) = line.split_once(' ').expect("two words");
            let start: u64 = start.parse().expect("a number");
            assert!(
                worker != "leaves" || start <= acknowledged,
                "began after the drain: {start}, and {acknowledged}"
            );
        }
        site.runs.assert_each_once(&jobs);
        fs::write(&starts, "").expect("ours");
        let _ = site.cluster.cli(&["worker", "resume", "leaves"]).ok();
    }
}

/// An assignment is under way when the drain comes, and stays so: the network holds it. Guards: that the answer waits for
/// the worker (`Engine::check_drain`).
#[test]
fn fw14_drain_is_not_acknowledged_while_an_assignment_is_under_way() {
    let site = Site::with(&["--retry-first", "100ms"]);
    let network = Proxy::to(site.cluster.address());
    let address = network.address();
    let _leaves = site.cluster.worker_at(&address, "leaves", &site.token, &[]);
    network.hold(Way::FromMaster);
    let job = site.cluster.submit(&[], &site.runs.note());
    let happenings = site.cluster.happenings();
    let is = |kind: &'static str| move |event: &Value| event["kind"] == kind;
    happenings.wait_for(is("attempt_assigned"));
    network.wait_for_held(Way::FromMaster);
    let drain = in_background(site.cluster.command(&["worker", "drain", "leaves"]));
    happenings.wait_for(is("worker_draining"));
    // Whoever asks later is answered, from beginning to end of a program.
    for _ in 0..5 {
        site.cluster.show(&job);
        assert!(!drain.is_finished(), "it may begin there");
    }
    network.heal();
    let _ = drain.join().expect("it asks").ok();
    let _stays = site.worker("stays", &[]);
    site.cluster.wait_for(std::slice::from_ref(&job));
    site.runs.assert_each_once(&[job]);
}

fn hundredths_since_boot() -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").expect("Linux");
    let uptime: String = uptime.split(' ').take(1).collect();
    uptime.replace('.', "").parse().expect("a number")
}

/// Somebody who submits one job after another.
struct Submitting {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Submitting {
    fn begin(site: &Site, script: &str) -> Self {
        let command = || site.cluster.command(&["submit", "--", "sh", "-c", script]);
        let commands: Vec<_> = (0..1_000).map(|_| command()).collect();
        let enough = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&enough);
        let thread = thread::spawn(move || {
            let commands = commands.into_iter();
            let wanted = commands.take_while(|_| !told.load(Ordering::Relaxed));
            wanted
                .map(|mut command| Ran::of(&mut command).ok().text())
                .collect()
        });
        Self { enough, thread }
    }

    fn end(self) -> Vec<String> {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("it submits")
    }
}
