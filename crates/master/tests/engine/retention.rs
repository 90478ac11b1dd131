//! Finished jobs are forgotten, and known all the same.

use jobyard_core::{JobOrigin, TOMBSTONE};
use jobyard_master::engine::{Answer, Forgotten, Input};
use jobyard_master::records::{JOB, JobRecord, RETENTION, RetentionRecord, SPEC, Tomb, read};

use crate::cluster::Cluster;
use crate::step::Step;
use crate::vocabulary::{attempt, draft, exit, job, submission};

fn forgotten(record: &JobRecord) -> Forgotten {
    Forgotten {
        id: record.id,
        sequence: record.sequence,
        tomb: Tomb::of(record),
        attempts: record.attempts.iter().map(|attempt| attempt.id).collect(),
    }
}

fn forget(cluster: &mut Cluster, jobs: &[u128]) -> Step {
    let jobs = jobs.iter().map(|n| forgotten(&cluster.job(*n))).collect();
    let reply = cluster.reply_to();
    cluster.tell(Input::Forget { reply, jobs })
}

fn over(cluster: &mut Cluster, session: jobyard_core::SessionId, n: u128) {
    cluster.submit(n);
    cluster.finished(session, attempt(n, 1), exit(0), 0);
}

#[test]
fn what_ended_has_its_place_among_what_ended() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let key = job(1).to_string();
    assert_eq!(cluster.record(JOB, &key).fields.ended, None);
    cluster.finished(session, attempt(1, 1), exit(0), 9);
    assert_eq!(
        cluster.record(JOB, &key).fields.ended,
        None,
        "its log is open"
    );
    cluster.log_settled(attempt(1, 1), crate::vocabulary::complete(9));
    let ended = cluster.record(JOB, &key).fields.ended;
    let finished = cluster.job(1).finished_at.expect("finished").as_micros();
    assert_eq!(ended, u64::try_from(finished).ok());
}

#[test]
fn a_job_goes_with_its_spec_and_leaves_a_tombstone() {
    let (mut cluster, session) = Cluster::with_one(1);
    over(&mut cluster, session, 1);
    let record = cluster.job(1);
    let step = forget(&mut cluster, &[1]);
    assert_eq!(step.answer(), Answer::Done);
    assert!(step.is_durable());
    let key = job(1).to_string();
    for kind in [JOB, SPEC] {
        assert!(!cluster.records.contains_key(&(kind, key.clone())));
    }
    let tomb: Tomb = read(cluster.record(TOMBSTONE, &key)).expect("a tomb");
    assert_eq!((&tomb.digest, tomb.owner.as_str()), (&record.digest, "ann"));
    assert_eq!(tomb.origin, JobOrigin::Manual);
    let kept: RetentionRecord =
        read(cluster.record(RETENTION, RetentionRecord::KEY)).expect("a record");
    assert_eq!(kept.logs, [attempt(1, 1)], "their output goes next");
    assert_eq!(kept.sequence, 1);
}

#[test]
fn i11_a_repeated_submit_of_a_forgotten_job_makes_no_second_run() {
    let (mut cluster, session) = Cluster::with_one(1);
    over(&mut cluster, session, 1);
    let digest = cluster.job(1).digest;
    forget(&mut cluster, &[1]);
    cluster.restart();
    let mut again = submission(1, draft("{}"));
    // As the shell finds it in the tombstone.
    again.known = Some(digest.clone());
    let step = cluster.submit_all(vec![again]);
    let Answer::Submitted(jobs) = step.answer() else {
        panic!("{step:?}");
    };
    assert!(!jobs[0].created && !step.is_durable());
    let mut other = submission(1, draft("other"));
    other.known = Some(digest);
    let step = cluster.submit_all(vec![other]);
    assert!(matches!(step.answer(), Answer::Refused(_)));
}

#[test]
fn a_job_that_is_not_over_is_not_forgotten() {
    let (mut cluster, _) = Cluster::with_one(1);
    cluster.submit(1);
    forget(&mut cluster, &[1]);
    assert_eq!(cluster.job(1).attempts.len(), 1, "it is still there");
    let key = (TOMBSTONE, job(1).to_string());
    assert!(!cluster.records.contains_key(&key));
}
