//! FM2: the master is killed while a thousand jobs run, and others wait.

use jobyard_tests::{MasterProgram, Site, assert_once};
use serde_json::json;

const RUNNING: usize = 1_000;
const WORKERS: usize = 4;
const WAITING: usize = 20;

/// Guards: the restore of the engine from its records, the inventory of each worker, the verdict `keep`, and that leases
/// count as renewed at the start of a term.
#[test]
fn fm2_thousand_running_jobs_survive_a_master_that_is_killed_and_run_once_each() {
    let mut site = Site::of(MasterProgram::shipped());
    let slots = (RUNNING / WORKERS).to_string();
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|number| site.worker(&format!("w{number}"), &["--slots", &slots]))
        .collect();
    let lane = ["--slots", "1", "--exclusive-tag", "lane"];
    let mut in_lane = site.worker("lane", &lane);

    // One after another, in the order of their submission.
    let order = site.cluster.path("order");
    let first = site.cluster.submit(&["--tag", "lane"], &site.held_job());
    site.begun(1);
    let waiting: Vec<String> = (0..WAITING)
        .map(|number| {
            let script = format!("{}; echo {number} >> {}", site.runs.note(), order.display());
            site.cluster.submit(&["--tag", "lane"], &script)
        })
        .collect();
    let job = json!({"script": site.held_job()});
    let running = site.cluster.submit_all(&vec![job; RUNNING]);
    for _ in 0..RUNNING {
        site.begun(1);
    }

    site.cluster.master.kill_9();
    // Some end while nobody is there to hear of it.
    site.gate.let_through(RUNNING / 10);
    site.cluster.restart_master();
    for worker in workers.iter_mut().chain([&mut in_lane]) {
        worker.wait_for("is connected");
    }
    // In portions that a pipe takes.
    for _ in 0..9 {
        site.gate.let_through(RUNNING / 10);
    }
    site.gate.let_through(1);
    for portion in running.chunks(100) {
        site.cluster.wait_for(portion);
    }
    site.cluster.wait_for(&waiting);
    assert_once(&site.end(&first));
    site.runs.assert_each_once(&running);
    site.runs.assert_each_once(&waiting);
    for job in running.iter().step_by(100).chain(&waiting) {
        assert_once(&site.cluster.show(job));
    }
    let ran = std::fs::read_to_string(&order).expect("they ran");
    let ran: Vec<usize> = ran.lines().map(|n| n.parse().expect("a number")).collect();
    assert_eq!(ran, (0..WAITING).collect::<Vec<_>>(), "in their order");
}
