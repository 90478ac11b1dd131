//! Workers that take nothing by their own judgement of their machine.

use jobyard_core::{
    Complaint, ComplaintKind, Explanation, Help, MAX_COMPLAINTS, SessionId, WaitReason,
    WaitVerdict, WorkerCommand, WorkerComplaints, WorkerMessage, WorkerState,
};
use jobyard_master::engine::Input;

use crate::cluster::Cluster;
use crate::step::Step;
use crate::vocabulary::{attempt, hello, job, name, worker};

fn disk() -> Complaint {
    Complaint::new(ComplaintKind::Disk, "1 GiB left of the 5 GiB wanted")
}

fn tainted() -> Complaint {
    Complaint::new(ComplaintKind::Tainted, "process 77 could not be killed")
}

fn complain(cluster: &mut Cluster, session: SessionId, complaints: &[Complaint]) -> Step {
    cluster.say(session, WorkerMessage::Complaints(complaints.to_vec()))
}

fn complaints(cluster: &Cluster, n: u128) -> Vec<Complaint> {
    let worker = cluster.engine.worker(worker(n));
    worker.expect("a worker").complaints
}

fn why(cluster: &Cluster, n: u128) -> Explanation {
    cluster
        .engine
        .explain(cluster.now, job(n))
        .expect("it is there")
}

#[test]
fn a_worker_that_complains_keeps_its_jobs_and_gets_none() {
    let (mut cluster, session) = Cluster::with_one(2);
    cluster.submit(1);
    let step = complain(&mut cluster, session, &[disk()]);
    assert!(step.only_tells() && step.effects.is_empty(), "{step:?}");
    assert!(cluster.submit(2).assigned().is_empty());
    cluster.finishes_and_gets_no_more(session);
}

#[test]
fn what_waits_is_assigned_in_the_step_in_which_the_last_complaint_is_gone() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk(), tainted()]);
    cluster.submit(1);
    let step = complain(&mut cluster, session, &[tainted()]);
    assert!(step.assigned().is_empty());
    let step = complain(&mut cluster, session, &[]);
    assert_eq!(step.assigned_to(session), [attempt(1, 1)]);
}

#[test]
fn complaints_come_and_go_with_the_word_for_older_masters() {
    let (mut cluster, session) = Cluster::with_one(1);
    let both = |accepting, complaints: Vec<Complaint>| Input::Said {
        session,
        messages: vec![
            WorkerMessage::Accepting(accepting),
            WorkerMessage::Complaints(complaints),
        ],
    };
    cluster.tell(both(false, vec![disk()]));
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.state(), WorkerState::Active, "it is not about to end");
    assert_eq!(shown.complaints, [disk()]);
    cluster.submit(1);
    let step = cluster.tell(both(true, Vec::new()));
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}

#[test]
fn a_worker_that_ends_gets_nothing_when_its_complaints_are_gone() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.say(session, WorkerMessage::Accepting(false));
    complain(&mut cluster, session, &[disk()]);
    cluster.submit(1);
    assert!(complain(&mut cluster, session, &[]).assigned().is_empty());
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.state(), WorkerState::Draining);
}

#[test]
fn a_worker_that_only_says_that_it_takes_jobs_still_complains() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk()]);
    cluster.submit(1);
    let step = cluster.say(session, WorkerMessage::Accepting(true));
    assert!(step.assigned().is_empty());
}

#[test]
fn complaints_replace_what_was_said_before_and_are_shown() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk()]);
    complain(&mut cluster, session, &[tainted()]);
    assert_eq!(complaints(&cluster, 1), [tainted()]);
    let shown = &cluster.engine.workers(false)[0];
    assert_eq!(shown.complaints, [tainted()]);
    complain(&mut cluster, session, &vec![disk(); MAX_COMPLAINTS + 9]);
    assert_eq!(complaints(&cluster, 1).len(), MAX_COMPLAINTS);
}

#[test]
fn complaints_end_with_their_session() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk()]);
    cluster.disconnect(session);
    assert_eq!(complaints(&cluster, 1), []);
    cluster.submit(1);
    // What a worker does that still has them: it says with its first word that it takes none, and then why.
    let mut again = hello(1, Vec::new());
    again.accepting = false;
    let (second, step) = cluster.connect_as(1, again);
    assert!(step.assigned().is_empty());
    let late = complain(&mut cluster, session, &[tainted()]);
    assert_eq!(late, Step::default(), "of a session that is over");
    complain(&mut cluster, second, &[disk()]);
    assert_eq!(complaints(&cluster, 1), [disk()]);
    cluster.say(second, WorkerMessage::Accepting(true));
    let step = complain(&mut cluster, second, &[]);
    assert_eq!(step.assigned_to(second), [attempt(1, 1)]);
}

#[test]
fn a_worker_that_comes_back_without_complaints_gets_what_waits() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk()]);
    cluster.submit(1);
    // The older session is not known to be over.
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned_to(session), [attempt(1, 1)]);
    assert_eq!(complaints(&cluster, 1), []);
}

#[test]
fn complaints_are_not_kept_over_a_restart_of_the_master() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk()]);
    cluster.restart();
    assert_eq!(complaints(&cluster, 1), []);
}

#[test]
fn a_suspended_worker_that_complains_waits_for_both() {
    let (mut cluster, session) = Cluster::with_one(1);
    complain(&mut cluster, session, &[disk()]);
    cluster.set_worker(&name(1), WorkerCommand::Suspend);
    cluster.submit(1);
    assert_eq!(
        why(&cluster, 1).reasons,
        [WaitReason::Suspended { workers: 1 }]
    );
    let step = cluster.set_worker(&name(1), WorkerCommand::Resume);
    assert!(step.assigned().is_empty());
    let step = complain(&mut cluster, session, &[]);
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}

#[test]
fn an_explanation_quotes_what_workers_say() {
    let mut cluster = Cluster::with_workers(2);
    let (first, _) = cluster.connect(1, 1);
    let (second, _) = cluster.connect(2, 1);
    complain(&mut cluster, first, &[disk(), tainted()]);
    complain(&mut cluster, second, &[tainted()]);
    cluster.submit(1);
    let explanation = why(&cluster, 1);
    assert_eq!(explanation.verdict, Some(WaitVerdict::NotNow));
    let said = vec![
        WorkerComplaints::new(name(1), vec![disk(), tainted()]),
        WorkerComplaints::new(name(2), vec![tainted()]),
    ];
    let complaining = WaitReason::Complaining { workers: 2, said };
    assert_eq!(explanation.reasons, std::slice::from_ref(&complaining));
    let relieve = |n| Help::Relieve { name: name(n) };
    assert_eq!(explanation.help, [relieve(1), relieve(2)]);
    assert_eq!(
        complaining.to_string(),
        "matching workers that take no jobs for a reason of their own: 2 (`worker-1`: disk: 1 GiB left of the 5 GiB \
         wanted; tainted: process 77 could not be killed, `worker-2`: tainted: process 77 could not be killed)"
    );
}
