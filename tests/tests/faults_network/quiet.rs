//! FN8: something between the two forgets connections on which nothing is said.

use std::time::Duration;

use jobyard_tests::{Process, assert_once};

use crate::site::{Site, assert_one_session};

/// Patience beyond all guards: nothing but the connection itself says anything, or notices anything.
const PATIENT: [&str; 4] = ["--heartbeat", "10m", "--lease", "1h"];

/// Guards: the pings of the connection, every 5 s (`KEEPALIVE_INTERVAL`), on a connection that is idle, too.
#[test]
fn fn8_connections_that_are_forgotten_when_idle_are_kept_alive() {
    let site = Site::with(&PATIENT);
    let worker_idle = Duration::from_secs(9);
    site.proxy.forget_idle_after(worker_idle);
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    assert!(!process.has_ended_within(worker_idle * 2));
    assert_eq!(site.proxy.forgotten(), 0, "nobody said anything");
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    assert_one_session(&mut worker);
}

/// Guards: pings that are not answered end the connection (`KEEPALIVE_TIMEOUT`), long before the lease does.
#[test]
fn fn8_connection_that_was_forgotten_is_missed_and_made_again() {
    let site = Site::with(&PATIENT);
    site.proxy.forget_idle_after(Duration::from_secs(2));
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    site.begun(1);
    site.proxy.wait_for_forgotten(1);
    worker.wait_for("the session with the master is over");
    worker.wait_for("is connected");
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    site.runs.assert_each_once(&[job]);
}
