//! Queues: what an operator sets holds at once, and after a restart.

use jobyard_core::{ControlError, JobSpec, MAX_QUEUES, QueueChange, QueueInfo, QueueSettings};
use jobyard_master::engine::Answer;
use jobyard_master::records::QUEUE;

use crate::cluster::Cluster;
use crate::step::Step;
use crate::vocabulary::{attempt, draft, exit, hello, running};

fn in_queue(queue: &str) -> JobSpec {
    let mut spec = draft("{}");
    queue.clone_into(&mut spec.queue);
    spec
}

fn cap(limit: Option<u64>) -> QueueChange {
    let mut change = QueueChange::default();
    change.max_running = Some(limit);
    change
}

fn weight(weight: u32) -> QueueChange {
    let mut change = QueueChange::default();
    change.weight = Some(weight);
    change
}

fn shown(step: &Step) -> QueueInfo {
    match step.answer() {
        Answer::Queue(queue) => *queue,
        other => panic!("a queue: {other:?}"),
    }
}

fn refused(step: &Step) -> ControlError {
    match step.answer() {
        Answer::Refused(error) => error,
        other => panic!("a refusal: {other:?}"),
    }
}

#[test]
fn a_change_is_durable_audited_and_shown() {
    let mut cluster = Cluster::new();
    let step = cluster.set_queue("team", weight(3));
    assert!(step.is_durable());
    let queue = shown(&step);
    assert_eq!((queue.name.as_str(), queue.settings.weight), ("team", 3));
    let entry = &step.audit()[0];
    assert_eq!((&*entry.who, &*entry.action), ("olga", "queue.set"));
    assert_eq!(&*entry.subject, "team");
    assert_eq!(entry.result, "ok: class 0, weight 3, any number running");

    let queue = shown(&cluster.set_queue("team", cap(Some(2))));
    assert_eq!(queue.settings.weight, 3, "what is not named stays");
    assert_eq!(queue.settings.max_running, Some(2));
    assert_eq!(cluster.engine.queues(), [queue]);
}

#[test]
fn a_cap_holds_and_a_higher_one_starts_the_next_job_in_the_same_step() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_queue("team", cap(Some(1)));
    let (session, _) = cluster.connect(1, 4);
    for n in 1..=3 {
        cluster.submit_spec(n, in_queue("team"));
    }
    let queue = &cluster.engine.queues()[0];
    assert_eq!((queue.running, queue.queued), (1, 2));
    let step = cluster.set_queue("team", cap(Some(2)));
    assert_eq!(step.assigned_to(session), [attempt(2, 1)]);
    assert_eq!((shown(&step).running, shown(&step).queued), (2, 1));
    let step = cluster.set_queue("team", cap(None));
    assert_eq!(step.assigned(), [attempt(3, 1)]);
}

#[test]
fn a_cap_holds_after_a_restart_for_jobs_that_run_and_for_jobs_that_wait() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_queue("team", cap(Some(1)));
    let (session, _) = cluster.connect(1, 4);
    cluster.submit_spec(1, in_queue("team"));
    cluster.submit_spec(2, in_queue("team"));
    cluster.started(session, attempt(1, 1));
    cluster.restart();
    let (session, step) = cluster.connect_as(1, hello(4, vec![running(attempt(1, 1))]));
    assert!(step.assigned().is_empty());
    assert_eq!(cluster.engine.queues()[0].settings.max_running, Some(1));
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

#[test]
fn a_queue_of_a_higher_class_goes_first() {
    let mut cluster = Cluster::with_workers(1);
    let mut urgent = QueueChange::default();
    urgent.class = Some(1);
    cluster.set_queue("urgent", urgent);
    cluster.submit_spec(1, in_queue("other"));
    cluster.submit_spec(2, in_queue("urgent"));
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

#[test]
fn queues_share_by_weight() {
    let mut cluster = Cluster::with_workers(1);
    cluster.set_queue("heavy", weight(3));
    for n in 0..20 {
        cluster.submit_spec(1 + n, in_queue("heavy"));
        cluster.submit_spec(101 + n, in_queue("light"));
    }
    let (_, step) = cluster.connect(1, 8);
    let heavy = step
        .assigned()
        .iter()
        .filter(|id| **id < attempt(100, 1))
        .count();
    assert_eq!((heavy, step.assigned().len()), (6, 8));
}

#[test]
fn settings_that_are_the_default_are_not_kept() {
    let mut cluster = Cluster::new();
    cluster.set_queue("team", weight(3));
    assert_eq!(
        cluster.records.keys().filter(|key| key.0 == QUEUE).count(),
        1
    );
    cluster.set_queue("team", weight(1));
    assert_eq!(
        cluster.records.keys().filter(|key| key.0 == QUEUE).count(),
        0
    );
    assert!(cluster.engine.queues().is_empty());
    cluster.restart();
    assert!(cluster.engine.queues().is_empty());
}

#[test]
fn repeating_a_change_is_no_error() {
    let mut cluster = Cluster::new();
    let first = shown(&cluster.set_queue("team", weight(3)));
    assert_eq!(shown(&cluster.set_queue("team", weight(3))), first);
}

#[test]
fn a_bad_name_and_bad_settings_are_refused_by_name() {
    let mut cluster = Cluster::new();
    for (name, change) in [("no/slash", weight(2)), ("team", weight(0))] {
        let step = cluster.set_queue(name, change);
        let error = refused(&step);
        assert!(
            matches!(&error, ControlError::Invalid { field, .. } if field == "queue"),
            "{error}"
        );
        assert!(!step.is_durable());
    }
    assert!(cluster.engine.queues().is_empty());
}

#[test]
fn so_many_queues_have_settings_and_no_more() {
    let mut cluster = Cluster::new();
    for n in 0..MAX_QUEUES {
        cluster.set_queue(&format!("q{n}"), weight(2));
    }
    let error = refused(&cluster.set_queue("more", weight(2)));
    assert!(error.to_string().contains("set one back"), "{error}");
    cluster.set_queue("q7", weight(5));
    cluster.set_queue("q7", weight(QueueSettings::default().weight));
    let queue = shown(&cluster.set_queue("more", weight(2)));
    assert_eq!(queue.settings.weight, 2);
}

#[test]
fn the_tally_counts_what_waits_by_queue() {
    let (mut cluster, _) = Cluster::with_one(1);
    for n in 1..=3 {
        cluster.submit_spec(n, in_queue("team"));
    }
    cluster.submit_spec(4, in_queue("other"));
    cluster.set_queue("idle", weight(2));
    let tally = cluster.engine.tally();
    let waiting: Vec<_> = tally.queues.into_iter().collect();
    assert_eq!(waiting, [("other".to_owned(), 1), ("team".to_owned(), 2)]);
    let jobs: Vec<_> = tally.jobs.into_iter().collect();
    assert_eq!(jobs, [("assigned".to_owned(), 1), ("queued".to_owned(), 3)]);
}
