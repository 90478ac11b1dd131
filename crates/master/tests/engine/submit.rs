//! Jobs come in.

use jobyard_core::{ControlError, JobState, MAX_SUBMIT_JOBS, Submitted};
use jobyard_master::engine::Answer;
use jobyard_master::records::{JOB, SPEC};

use crate::cluster::Cluster;
use crate::vocabulary::{attempt, draft, exit, job, submission};

fn created(step: &crate::step::Step) -> Vec<bool> {
    match step.answer() {
        Answer::Submitted(jobs) => jobs.iter().map(|job| job.created).collect(),
        other => panic!("accepted: {other:?}"),
    }
}

fn assert_exists(step: &crate::step::Step, n: u128) {
    let error = ControlError::AlreadyExists {
        what: "job",
        id: job(n).to_string(),
    };
    assert_eq!(step.answer(), Answer::Refused(error));
    assert!(!step.is_durable(), "nothing changed");
}

#[test]
fn an_accepted_job_is_durable_before_its_submitter_hears() {
    let mut cluster = Cluster::new();
    let step = cluster.submit(1);
    assert!(step.is_durable());
    assert_eq!(
        step.answer(),
        Answer::Submitted(vec![Submitted::new(job(1), true)])
    );
    let record = cluster.job(1);
    assert_eq!(record.state, JobState::Queued);
    assert_eq!(record.submitted_by, "ann");
    assert!(cluster.is_live(1));
    assert!(!cluster.record(SPEC, &job(1).to_string()).fields.live);
}

#[test]
fn the_same_job_again_has_no_second_effect() {
    let mut cluster = Cluster::new();
    cluster.submit(1);
    let again = cluster.submit(1);
    assert_eq!(created(&again), [false]);
    assert!(!again.is_durable());
    assert_eq!(cluster.engine.counters().job_sequence, 1);
}

#[test]
fn the_same_job_twice_in_one_call_is_one_job() {
    let mut cluster = Cluster::new();
    let twice = vec![submission(1, draft("{}")), submission(1, draft("{}"))];
    assert_eq!(created(&cluster.submit_all(twice)), [true, false]);
    assert_eq!(cluster.jobs().len(), 1);
}

#[test]
fn another_spec_under_a_known_id_is_refused() {
    let mut cluster = Cluster::new();
    cluster.submit(1);
    assert_exists(&cluster.submit_spec(1, draft("[]")), 1);
}

#[test]
fn two_specs_under_one_id_in_one_call_are_refused() {
    let mut cluster = Cluster::new();
    let both = vec![submission(1, draft("{}")), submission(1, draft("[]"))];
    assert_exists(&cluster.submit_all(both), 1);
    assert!(cluster.jobs().is_empty());
}

#[test]
fn a_job_that_only_the_store_knows_is_known() {
    let mut cluster = Cluster::new();
    let mut same = submission(1, draft("{}"));
    same.known = Some(same.digest.clone());
    let mut other = submission(1, draft("[]"));
    other.known.clone_from(&same.known);
    assert_eq!(created(&cluster.submit_all(vec![same])), [false]);
    assert_exists(&cluster.submit_all(vec![other]), 1);
    assert!(cluster.jobs().is_empty());
}

#[test]
fn a_job_that_has_just_finished_is_known() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert!(!cluster.is_live(1));
    assert_eq!(created(&cluster.submit(1)), [false]);
    assert_exists(&cluster.submit_spec(1, draft("[]")), 1);
    assert_eq!(cluster.job(1).state, JobState::Finished);
}

#[test]
fn all_jobs_of_a_call_are_accepted_or_none() {
    let mut cluster = Cluster::new();
    cluster.submit(2);
    let jobs = vec![
        submission(1, draft("{}")),
        submission(2, draft("[]")),
        submission(3, draft("{}")),
    ];
    assert_exists(&cluster.submit_all(jobs), 2);
    assert_eq!(cluster.jobs().len(), 1);
    assert!(!cluster.records.contains_key(&(SPEC, job(1).to_string())));
}

#[test]
fn jobs_leave_in_the_order_of_their_submission() {
    let mut cluster = Cluster::with_workers(1);
    // Neither by id nor by call.
    cluster.submit_all(vec![submission(9, draft("{}")), submission(2, draft("{}"))]);
    cluster.submit(5);
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(9, 1)]);
    let step = cluster.finished(session, attempt(9, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
    let step = cluster.finished(session, attempt(2, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(5, 1)]);
    assert_eq!(cluster.record(JOB, &job(5).to_string()).fields.order, 3);
}

#[test]
fn more_jobs_than_one_call_takes_are_refused() {
    let mut cluster = Cluster::new();
    let jobs = |count: usize| (1..=count as u128).map(|n| submission(n, draft("{}")));
    let step = cluster.submit_all(jobs(MAX_SUBMIT_JOBS + 1).collect());
    assert!(matches!(
        step.answer(),
        Answer::Refused(ControlError::Invalid { .. })
    ));
    assert!(cluster.jobs().is_empty());
    let step = cluster.submit_all(jobs(MAX_SUBMIT_JOBS).collect());
    assert_eq!(created(&step).len(), MAX_SUBMIT_JOBS);
}
