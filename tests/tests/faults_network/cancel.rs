//! FN10: a job is stopped while nobody can reach its worker.

use jobyard_tests::{Process, Way, attempts};

use crate::site::Site;

/// A job that was stopped after the network had gone, and its process.
fn stopped_unheard(site: &Site) -> (String, Process) {
    let job = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    site.proxy.hold_all();
    let _ = site.cluster.cli(&["stop", &job]).ok();
    (job, process)
}

/// Guards: a stop is kept until the worker confirms it (`Stage::Stopping`), and the verdict `stop` at its return.
#[test]
fn fn10_stop_in_a_partition_is_carried_out_after_it_and_not_claimed_before() {
    let site = Site::with(&["--reconcile-for", "10m"]);
    let mut worker = site.worker("w", &[]);
    let (job, process) = stopped_unheard(&site);
    site.proxy.wait_for_held(Way::FromMaster);
    let shown = site.cluster.show(&job);
    assert_eq!(shown["state"], "stopping", "{shown}");
    assert!(shown["outcome"].is_null(), "{shown}");
    assert!(process.runs(), "nobody told it");
    // The stop itself is lost.
    site.proxy.cut_and_heal();
    worker.wait_for("is connected");
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "cancelled", "{shown}");
    assert_eq!(attempts(&shown).len(), 1, "{shown}");
    assert_eq!(
        attempts(&shown)[0]["residue"]["unconfirmed"],
        false,
        "{shown}"
    );
    assert!(!process.runs());
    site.runs.assert_each_once(&[job]);
}

/// The job ends by itself meanwhile. Guards: the master's order of commits decides, and the real end is kept.
#[test]
fn fn10_job_that_ends_by_itself_before_it_hears_of_its_stop_is_cancelled_once() {
    let site = Site::with(&["--reconcile-for", "10m"]);
    let mut worker = site.worker("w", &[]);
    let (job, process) = stopped_unheard(&site);
    site.gate.let_through(1);
    process.wait_for_end();
    site.proxy.cut_and_heal();
    worker.wait_for("is connected");
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "cancelled", "{shown}");
    assert_eq!(attempts(&shown).len(), 1, "{shown}");
    site.runs.assert_each_once(&[job]);
}
