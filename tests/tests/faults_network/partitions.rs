//! FN2: nobody hears anybody, for a moment, for almost as long as a lease lasts, and for longer.

use std::time::Duration;

use jobyard_tests::{LEASE_SECONDS, Process, Program, Way, assert_once, attempts};

use crate::site::{Site, assert_one_session};

/// The network is whole again, and the job ends as if nothing had been.
fn assert_heals_unnoticed(site: &Site, worker: &mut Program, job: String) {
    site.proxy.heal();
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    assert_one_session(worker);
    site.runs.assert_each_once(&[job]);
}

/// Guards: a lease is longer than a few heartbeats, and what was held arrives late, not never.
#[test]
fn fn2_partition_for_a_moment_is_not_noticed() {
    let site = Site::impatient();
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    site.proxy.hold_all();
    site.proxy.wait_for_held(Way::ToMaster);
    let moment = Duration::from_secs(u64::from(LEASE_SECONDS)) / 4;
    assert!(!process.has_ended_within(moment), "nobody may end it");
    assert_heals_unnoticed(&site, &mut worker, job);
}

/// Guards: neither side gives the other up before the lease is over, and the worker does not end what it holds.
#[test]
fn fn2_partition_that_is_shorter_than_the_lease_costs_nothing() {
    let site = Site::impatient();
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    site.proxy.hold_all();
    site.proxy.wait_for_held(Way::ToMaster);
    let almost = Duration::from_secs(u64::from(LEASE_SECONDS)) * 5 / 8;
    assert!(!process.has_ended_within(almost), "nobody may end it");
    assert_heals_unnoticed(&site, &mut worker, job);
}

/// A job that finishes by policy: the worker goes on, the master begins another attempt elsewhere, the first is revoked
/// when it is back. The overlap is declared. Guards: `Timer::ReconcileOver`, and the verdict `stop` for an attempt that
/// is not the job's last.
#[test]
fn fn2_job_that_finishes_goes_on_in_a_long_partition_and_is_revoked_after_it() {
    let site = Site::impatient();
    let mut away = site.worker("away", &["--tag", "here"]);
    let job = site.cluster.submit(&["--tag", "here"], &site.held_job());
    let first = Process::named(&site.begun(1));
    site.proxy.hold_all();
    let _near = site.cluster.worker("near", &site.token, &["--tag", "here"]);
    let second = Process::named(&site.begun(2));
    assert!(first.runs(), "it was to finish");
    let shown = site.cluster.show(&job);
    let lost = &attempts(&shown)[0];
    assert_eq!(lost["outcome"]["kind"], "infra", "{shown}");
    assert_eq!(lost["residue"]["unconfirmed"], true, "{shown}");
    site.proxy.cut_and_heal();
    away.wait_for("is connected");
    first.wait_for_end();
    assert!(
        second.runs(),
        "the last attempt is not the one that is revoked"
    );
    site.assert_second_does_well(&job);
}

/// A job that must not overlap: all of the first attempt is dead before the second begins, although nobody can reach its
/// worker. Guards: the end of the lease as the worker and its launcher see it, and `lease + grace` as the master does.
fn is_dead_before_its_next_attempt(part: impl FnOnce(&Site)) {
    let site = Site::impatient();
    let mut away = site.worker("away", &["--tag", "here"]);
    let script = format!("(setsid sleep 1000 &); {}", site.held_job());
    let options = ["--tag", "here", "--on-disconnect", "stop"];
    let job = site.cluster.submit(&options, &script);
    let first = Process::named(&site.begun(1));
    let tree = jobyard_tests::descendants(site.cluster.launcher("away").pid());
    part(&site);
    let _near = site.cluster.worker("near", &site.token, &["--tag", "here"]);
    let second = Process::named(&site.begun(2));
    assert!(!first.runs(), "two at once");
    for process in &tree {
        assert!(
            !process.runs(),
            "{process:?} runs beside the second attempt"
        );
    }
    site.proxy.cut_and_heal();
    away.wait_for("is connected");
    assert!(second.runs());
    site.assert_second_does_well(&job);
}

#[test]
fn fn2_job_that_stops_is_dead_before_its_next_attempt_begins() {
    is_dead_before_its_next_attempt(|site| site.proxy.hold_all());
}

/// The master knows at once that nobody is there, and has to wait all the same.
#[test]
fn fn2_job_that_stops_is_dead_before_its_next_attempt_begins_if_its_connection_was_reset() {
    is_dead_before_its_next_attempt(|site| {
        site.proxy.hold_all();
        site.proxy.cut();
    });
}
