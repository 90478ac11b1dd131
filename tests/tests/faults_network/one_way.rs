//! FN3: one side hears the other, and is not heard.

use jobyard_tests::{Process, Program, Way, assert_once, attempts};

use crate::site::Site;

/// Both sides find out, although one of them hears everything. Guards: the keepalive of the connection, and that each
/// side waits for what the other says (`Phase::deadline`, `Timer::SessionSilent`).
fn both_notice(way: Way) {
    let mut site = Site::impatient();
    let mut worker: Program = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    let connections = site.proxy.connections();
    site.proxy.hold(way);
    site.cluster.master.wait_for("session over");
    site.proxy.wait_for_connections(connections + 1);
    assert!(process.runs(), "it was to finish");
    site.proxy.cut_and_heal();
    worker.wait_for("is connected");
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    site.runs.assert_each_once(&[job]);
}

#[test]
fn fn3_worker_that_is_not_heard_finds_out_and_keeps_its_job() {
    both_notice(Way::ToMaster);
}

#[test]
fn fn3_master_that_is_not_heard_finds_out_and_keeps_the_attempt() {
    both_notice(Way::FromMaster);
}

/// Guards: the worker counts its lease from what it sent and was answered, the master from what it heard, whichever way
/// is cut.
fn never_two_at_once(way: Way) {
    let site = Site::impatient();
    let _away = site.worker("away", &["--tag", "here"]);
    let options = ["--tag", "here", "--on-disconnect", "stop"];
    let job = site.cluster.submit(&options, &site.held_job());
    let first = Process::named(&site.begun(1));
    site.proxy.hold(way);
    let _near = site.cluster.worker("near", &site.token, &["--tag", "here"]);
    // One may be sent to the worker that does not hear it: that one never begins, and has a number.
    let again = site.begun_again();
    assert!(!first.runs(), "two at once");
    site.gate.let_through(1);
    let shown = site.end(&job);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
    assert_eq!(attempts(&shown)[0]["outcome"]["kind"], "infra", "{shown}");
    assert!(again > 1, "attempt {again}");
    assert_eq!(site.runs.of(&job), [1, again]);
}

#[test]
fn fn3_job_that_stops_never_overlaps_when_its_worker_is_not_heard() {
    never_two_at_once(Way::ToMaster);
}

#[test]
fn fn3_job_that_stops_never_overlaps_when_its_master_is_not_heard() {
    never_two_at_once(Way::FromMaster);
}
