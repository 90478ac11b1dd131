//! The worker is killed in the middle of jobs, twenty times, and no byte is lost.

use std::collections::BTreeSet;
use std::fs;
use std::hint::spin_loop;
use std::time::{Duration, Instant};

use jobyard_tests::Process;
use sha2::{Digest, Sha256};

use crate::machine::{Machine, assert_ran_once};

const ROUNDS: u64 = 20;
/// How many lines each job prints, and how often it says how far it is.
const LINES: u32 = 10_000;
const NOTES: u32 = 20;

#[test]
fn fw1_every_byte_and_the_exit_survive_twenty_kills_of_the_worker() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut machine = Machine::new(&["--slots", "2"]);
    let launcher = machine.launcher();
    for round in 0..ROUNDS {
        let code = random.i32(1..200);
        let copy = machine.cluster.path(&format!("copy-{round}"));
        // Each line goes out before its copy is written.
        let script = format!(
            "exec 3> {copy}; i=0\n\
             while [ $i -lt {LINES} ]; do\n\
               i=$((i+1))\n\
               echo \"round {round}, line $i\"; echo \"round {round}, line $i\" >&3\n\
               if [ $((i % {every})) = 0 ]; then {note}; fi\n\
             done\n\
             exit {code}",
            copy = copy.display(),
            every = LINES / NOTES,
            note = machine.note("$i"),
        );
        let job = machine.cluster.submit(&[], &script);
        let last = random.u32(1..=NOTES);
        machine.notes.take(last as usize);
        spin(Duration::from_micros(random.u64(0..5_000)));
        machine.worker.kill_9();
        machine.start_again();

        let (log, shown) = machine.end(&job);
        assert_ran_once(&shown, code);
        machine.notes.take((NOTES - last) as usize);
        let copy = fs::read(&copy).expect("the job wrote it");
        assert_eq!(log.len(), copy.len(), "seed {seed}, round {round}");
        assert_eq!(
            Sha256::digest(&log),
            Sha256::digest(&copy),
            "seed {seed}, round {round}"
        );
        assert_eq!(
            machine.launcher().pid(),
            launcher.pid(),
            "the same launcher"
        );
    }
}

#[test]
fn fw1_no_attempt_starts_twice_when_the_worker_is_killed_around_its_start() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let mut machine = Machine::new(&[]);
    for round in 0..8 {
        let starts = machine.cluster.path(&format!("starts-{round}"));
        let script = format!("echo $JOBYARD_ATTEMPT >> {}; exit 7", starts.display());
        let job = machine.cluster.submit(&[], &script);
        spin(Duration::from_micros(random.u64(0..20_000)));
        machine.worker.kill_9();
        machine.start_again();
        // It may never have been started, or not be known to have been: then another attempt follows.
        let (_, shown) = machine.end(&job);
        assert_eq!(shown["outcome"]["exit_code"], 7, "seed {seed}: {shown}");
        let starts = fs::read_to_string(&starts).expect("it ran");
        let unique: BTreeSet<&str> = starts.lines().collect();
        assert_eq!(
            unique.len(),
            starts.lines().count(),
            "seed {seed}: {starts}"
        );
        for attempt in shown["attempts"].as_array().expect("attempts") {
            let is_known_not_to_run = attempt["outcome"]["reason"] == "never_started";
            let ran = unique.contains(attempt["number"].to_string().as_str());
            assert!(!is_known_not_to_run || !ran, "seed {seed}: {shown}");
        }
    }
}

/// By which everything that happens at random can be had again.
fn seed() -> u64 {
    let given = std::env::var("JOBYARD_TEST_SEED").ok();
    let given = given.and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("JOBYARD_TEST_SEED={seed}");
    seed
}

/// Waits without an event to wait for: the moment of the kill is meant to be any.
fn spin(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        spin_loop();
    }
}

#[test]
fn fw1_job_that_ends_while_its_worker_is_dead_is_reported_as_it_ended() {
    let mut machine = Machine::new(&[]);
    let script = format!(
        "echo before; {}; {}; echo after; exit 7",
        machine.note("$$"),
        machine.hold()
    );
    let job = machine.cluster.submit(&[], &script);
    let process = Process::named(&machine.notes.next());
    machine.worker.kill_9();
    machine.gate.let_through(1);
    process.wait_for_end();
    machine.start_again();
    let (log, shown) = machine.end(&job);
    assert_eq!(String::from_utf8_lossy(&log), "before\nafter\n");
    assert_ran_once(&shown, 7);
    assert_eq!(machine.cluster.cli(&["wait", &job]).code, Some(7));
}

#[test]
fn job_can_be_stopped_after_its_worker_was_killed() {
    let mut machine = Machine::new(&[]);
    let script = format!(
        "trap '' TERM; setsid sleep 1000 & {}; {}",
        machine.note("ready"),
        machine.hold()
    );
    let job = machine.cluster.submit(&["--grace", "200ms"], &script);
    assert_eq!(machine.notes.next(), "ready");
    let tree = machine.tree();
    machine.worker.kill_9();
    machine.start_again();
    let _ = machine.cluster.cli(&["stop", &job]).ok();
    let (_, shown) = machine.end(&job);
    assert_eq!(shown["outcome"]["kind"], "cancelled", "{shown}");
    for process in &tree {
        assert!(!process.runs(), "{process:?}");
    }
}

#[test]
fn timeout_goes_on_while_the_worker_is_dead() {
    let mut machine = Machine::new(&[]);
    let script = format!("{}; {}", machine.note("ready"), machine.hold());
    let job = machine
        .cluster
        .submit(&["--timeout", "3s", "--grace", "0s"], &script);
    assert_eq!(machine.notes.next(), "ready");
    machine.worker.kill_9();
    machine.start_again();
    let (_, shown) = machine.end(&job);
    assert_eq!(shown["outcome"]["kind"], "timed_out", "{shown}");
    assert_eq!(
        shown["attempts"].as_array().map(Vec::len),
        Some(1),
        "{shown}"
    );
}
