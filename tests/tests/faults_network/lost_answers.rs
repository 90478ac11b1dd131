//! FN1: what was said arrives, and the answer does not.

use jobyard_tests::{Way, assert_once, attempts, in_background};
use uuid::Uuid;

use crate::site::Site;

/// How many bytes lie between two places where what the master says ends. The answer to a submit is several times as
/// long, and what is said before it differs by a few bytes from talk to talk.
const STEP: u64 = 8;

/// The network ends after each of many numbers of bytes of what the master says: after it has heard of the job, before,
/// and in the handshake. Guards: the id that the client chose goes with each repeat (`jobyard submit`), and the master
/// knows it again (`Engine::on_submit`).
#[test]
fn fn1_submit_whose_answer_is_lost_is_repeated_and_makes_one_job() {
    let site = Site::impatient();
    let _worker = site.worker("w", &[]);
    let network = jobyard_tests::Proxy::to(site.cluster.address());
    let submit = |id: &str| {
        let arguments = ["submit", "--id", id, "--", "sh", "-c", &site.runs.note()];
        in_background(site.cluster.command_at(&network.address(), &arguments))
    };
    let mut jobs = Vec::new();
    let mut submit_cut_after = |bytes| {
        let id = Uuid::now_v7().to_string();
        let (cut, submit) = network.cut_in(Way::FromMaster, bytes, || submit(&id));
        let accepted = site.cluster.cli(&["show", &id]).code == Some(0);
        network.heal();
        let submitted = submit.join().expect("it was waited for").ok().text();
        assert_eq!(submitted, id);
        jobs.push(id);
        (cut, accepted)
    };
    // The first is not cut, and tells how much there is to say.
    let (cut, _) = submit_cut_after(u64::MAX);
    assert!(!cut);
    let said = network.delivered(Way::FromMaster);
    // From the last byte back, until the master has not heard of the job: a talk that had less to say ends before.
    let mut answers_lost = 0;
    let mut bytes = said;
    loop {
        bytes = bytes
            .checked_sub(STEP)
            .expect("a question is lost, at the latest in the handshake");
        match submit_cut_after(bytes) {
            (true, true) => answers_lost += 1,
            (true, false) => break,
            (false, accepted) => assert!(accepted),
        }
    }
    assert!(answers_lost > 0, "no answer was lost");
    for part in 0..4 {
        let (cut, accepted) = submit_cut_after(bytes * part / 4);
        assert!(cut && !accepted);
    }
    site.cluster.wait_for(&jobs);
    site.runs.assert_each_once(&jobs);
    for job in &jobs {
        assert_once(&site.cluster.show(job));
    }
    let listed = site.cluster.cli(&["jobs", "--json", "--limit", "1000"]);
    let listed = listed.ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(jobs.len()));
}

/// The assignment is lost on its way. Guards: what a worker does not list in its hello, and the same boot never accepted,
/// goes elsewhere (`Engine::on_session_opened`), even if the job is not repeatable, because it surely never ran.
#[test]
fn fn1_assignment_that_is_lost_is_sent_again_as_another_attempt() {
    let site = Site::impatient();
    let mut worker = site.worker("w", &[]);
    let _ = site.cluster.submit_and_print("echo first");
    for option in [None, Some("--not-repeatable")] {
        site.proxy.hold(Way::FromMaster);
        let job = site.cluster.submit(option.as_slice(), &site.runs.note());
        site.wait_for_job(&job, |shown| shown["state"] == "assigned");
        site.proxy.cut_and_heal();
        worker.wait_for("is connected");
        let shown = site.end(&job);
        assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
        assert_eq!(site.runs.of(&job).len(), 1, "{shown}");
        site.runs.assert_no_attempt_twice();
    }
}

/// The assignment arrives, and the answer, that it was started, does not. Guards: the inventory of the worker's hello,
/// and that the master keeps what it lists (`Engine::reconcile`).
#[test]
fn fn1_start_that_is_not_heard_of_is_not_made_twice() {
    let site = Site::impatient();
    let mut worker = site.worker("w", &[]);
    // The worker's first word has arrived.
    let _ = site.cluster.submit_and_print("echo first");
    site.proxy.hold(Way::ToMaster);
    let job = site.cluster.submit(&[], &site.held_job());
    site.begun(1);
    site.proxy.wait_for_held(Way::ToMaster);
    let state = site.cluster.show(&job)["state"].clone();
    assert_eq!(state, "assigned", "nobody told the master");
    site.proxy.cut_and_heal();
    worker.wait_for("is connected");
    site.wait_for_job(&job, |shown| shown["state"] == "running");
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    site.runs.assert_each_once(&[job]);
}

/// The end is heard of, and the worker does not hear that it was. Guards: reports are repeated in the inventory until the
/// master says `forget`, and it says so for what is settled already (`Engine::reconcile`, `Agent::on_forget`).
#[test]
fn fn1_end_whose_answer_is_lost_is_reported_again_and_counts_once() {
    let site = Site::impatient();
    let mut worker = site.worker("w", &["--slots", "1"]);
    // Of the one without output, nothing is left to settle when it is reported again.
    let outputs = ["output", ""];
    let jobs = outputs.map(|output| {
        let script = format!("printf '{output}'; {}", site.held_job());
        let job = site.cluster.submit(&[], &script);
        site.begun(1);
        site.proxy.hold(Way::FromMaster);
        site.gate.let_through(1);
        let before = site.end(&job);
        assert_once(&before);
        site.proxy.cut_and_heal();
        worker.wait_for("is connected");
        let log = site.cluster.cli(&["logs", "--follow", &job]);
        assert_eq!(log.ok().text(), output);
        let after = site.cluster.show(&job);
        assert_once(&after);
        assert_eq!(before["outcome"], after["outcome"]);
        assert_eq!(before["finished_at"], after["finished_at"]);
        // Its slot is free, and was freed once.
        let shown = site.wait_for_worker("w", |shown| shown["slots"]["used"] == 0);
        assert_eq!(attempts(&after).len(), 1, "{shown}");
        assert_eq!(site.cluster.submit_and_print("echo next"), "next");
        job
    });
    site.runs.assert_each_once(&jobs);
    // It has nothing more to report.
    worker.signal("TERM");
    let (_, log) = worker.wait();
    assert!(log.contains("the worker has finished"), "{log}");
}

/// The master hears the heartbeats, and the worker does not hear its answers; again and again, for longer than the lease.
/// Guards: a session that is replaced keeps the attempts of its worker (`Engine::on_session_opened`).
#[test]
fn fn1_renewals_whose_answers_are_lost_cost_no_attempt() {
    let site = Site::impatient();
    let mut worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], &site.held_job());
    let process = jobyard_tests::Process::named(&site.begun(1));
    for _ in 0..5 {
        site.proxy.wait_for_delivered(Way::ToMaster, 1);
        site.proxy.hold(Way::FromMaster);
        site.proxy.wait_for_held(Way::FromMaster);
        site.proxy.cut_and_heal();
        worker.wait_for("is connected");
    }
    assert!(process.runs());
    site.gate.let_through(1);
    assert_once(&site.end(&job));
    site.runs.assert_each_once(&[job]);
}
