//! A worker lets go of its jobs, and another one takes them over.

use jobyard_tests::Process;

use crate::machine::{Machine, assert_ran_once};

#[test]
fn fw2_worker_that_detaches_leaves_its_jobs_to_the_next() {
    let mut machine = Machine::new(&["--on-term", "detach"]);
    let script = format!(
        "echo before; {}; {}; echo between; {}; {}; echo after; exit 7",
        machine.note("$$"),
        machine.hold(),
        machine.note("between"),
        machine.hold(),
    );
    let job = machine.cluster.submit(&[], &script);
    let process = Process::named(&machine.notes.next());
    let launcher = machine.launcher();

    machine.worker.signal("TERM");
    let (status, log) = machine.worker.wait();
    assert!(status.success(), "{log}");
    assert!(process.runs(), "it goes on");
    machine.gate.let_through(1);
    assert_eq!(
        machine.notes.next(),
        "between",
        "and prints while nobody is there"
    );

    machine.start_again();
    assert_eq!(machine.launcher().pid(), launcher.pid());
    assert!(process.runs());
    machine.gate.let_through(1);
    let (log, shown) = machine.end(&job);
    assert_eq!(String::from_utf8_lossy(&log), "before\nbetween\nafter\n");
    assert_ran_once(&shown, 7);
}

#[test]
fn worker_that_stops_leaves_nothing_running() {
    let mut machine = Machine::new(&["--on-term", "stop"]);
    let script = format!("{}; {}", machine.note("$$"), machine.hold());
    let job = machine.cluster.submit(&["--infra-retries", "0"], &script);
    let process = Process::named(&machine.notes.next());
    machine.worker.signal("TERM");
    let (status, log) = machine.worker.wait();
    assert!(status.success(), "{log}");
    assert!(!process.runs());
    assert!(machine.tree().is_empty());
    let (_, shown) = machine.end(&job);
    assert_eq!(shown["outcome"]["kind"], "infra", "{shown}");
}

#[test]
fn launcher_that_runs_already_is_used_again() {
    let mut machine = Machine::new(&["--on-term", "detach"]);
    let launcher = machine.launcher();
    for _ in 0..3 {
        machine.worker.signal("TERM");
        let (status, log) = machine.worker.wait();
        assert!(status.success(), "{log}");
        machine.start_again();
        assert_eq!(machine.cluster.submit_and_print("echo here"), "here");
        assert_eq!(machine.launcher().pid(), launcher.pid());
    }
}
