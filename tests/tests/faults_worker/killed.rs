//! FW1 and FW9: the worker is killed, by a person or because memory runs out.

use std::fs;

use jobyard_tests::{Process, Site, attempts};

/// Many jobs at once, of which some end while nobody is there. Guards: the launcher holds what runs and what has ended
/// (`Executor::adopt`), and the worker's journal says what it is.
#[test]
fn fw1_all_jobs_of_a_killed_worker_are_taken_over_with_their_ends_and_their_output() {
    let site = Site::with(&[]);
    let mut worker = site.worker("w", &["--slots", "20"]);
    let script = |code: usize| {
        format!(
            "{}; echo before; echo begun > {}; read go < {}; echo after {code}; exit {code}",
            site.runs.note(),
            site.notes.path().display(),
            site.gate.path().display(),
        )
    };
    let jobs: Vec<String> = (0..20)
        .map(|code| site.cluster.submit(&[], &script(code + 1)))
        .collect();
    site.notes.take(jobs.len());
    let launcher = site.cluster.launcher("w").pid();
    worker.kill_9();
    // Some end meanwhile.
    site.gate.let_through(10);
    let _worker = site.cluster.worker_again("w", &["--slots", "20"]);
    assert_eq!(site.cluster.launcher("w").pid(), launcher);
    site.gate.let_through(10);
    for (code, job) in jobs.iter().enumerate() {
        let shown = site.end(job);
        assert_eq!(shown["outcome"]["exit_code"], code + 1, "{shown}");
        assert_eq!(attempts(&shown).len(), 1, "{shown}");
        let log = site.cluster.cli(&["logs", "--follow", job]);
        assert_eq!(log.text(), format!("before\nafter {}", code + 1));
    }
    site.runs.assert_each_once(&jobs);
}

fn oom_score(pid: u32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/oom_score_adj"));
    text.expect("it lives").trim().parse().expect("a number")
}

/// Guards: `harden_process`, and that the launcher gives jobs the usual rank back. Where the system does not let the
/// worker protect itself, it says so, and then nothing is promised of who is picked; what becomes of its jobs is FW1.
#[test]
fn fw9_jobs_are_picked_before_their_worker_when_memory_runs_out() {
    let site = Site::with(&[]);
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    let (own, launcher, its) = (
        oom_score(worker.pid()),
        oom_score(site.cluster.launcher("w").pid()),
        oom_score(process.pid()),
    );
    if worker.log().contains("killed like any other") {
        assert!(its >= own, "job {its}, worker {own}");
    } else {
        assert!(own < its && launcher < its, "{own} {launcher} {its}");
    }
    // The kernel's choice is a `kill -9`.
    worker.kill_9();
    let _worker = site.cluster.worker_again("w", &[]);
    assert!(process.runs());
    site.gate.let_through(1);
    jobyard_tests::assert_once(&site.end(&job));
    site.runs.assert_each_once(&[job]);
}
