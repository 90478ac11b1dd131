//! What happened is told in one sequence, each event with the commit of what it tells of.

use jobyard_core::{Change, Event, Happening, StopOptions, WorkerCommand};
use jobyard_master::engine::Input;
use jobyard_master::records::{EVENT, MAX_RECORD_EVENTS, read_events};

use crate::cluster::{Cluster, in_order};
use crate::step::Step;
use crate::vocabulary::{
    attempt, complete, draft, exit, hello, job, name, running, submission, worker,
};

fn kinds(step: &Step) -> Vec<String> {
    let kind = |event: &Event| {
        let json = serde_json::to_value(event).expect("JSON");
        json["kind"].as_str().expect("a kind").to_owned()
    };
    step.events().iter().map(kind).collect()
}

#[test]
fn the_life_of_a_job_is_told_in_order() {
    let (mut cluster, session) = Cluster::with_one(1);
    let step = cluster.submit(1);
    assert_eq!(kinds(&step), ["job_submitted", "attempt_assigned"]);
    let step = cluster.started(session, attempt(1, 1));
    assert_eq!(kinds(&step), ["attempt_started"]);
    let step = cluster.finished(session, attempt(1, 1), exit(3), 9);
    assert_eq!(kinds(&step), ["attempt_finished"]);
    let step = cluster.log_settled(attempt(1, 1), complete(9));
    assert_eq!(kinds(&step), ["job_finished"]);
    let last = &step.events()[0];
    let (job_id, outcome) = (job(1), exit(3));
    assert_eq!(last.what, Happening::JobFinished { job_id, outcome });
    assert_eq!(last.time, cluster.now.wall);
    in_order(&cluster);
}

#[test]
fn what_happens_to_workers_is_told() {
    let mut cluster = Cluster::with_workers(1);
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(kinds(&step), ["worker_connected"]);
    let step = cluster.set_worker(&name(1), WorkerCommand::Suspend);
    assert_eq!(kinds(&step), ["worker_suspended"]);
    let step = cluster.set_worker(&name(1), WorkerCommand::Resume);
    let (worker_id, by) = (worker(1), "olga".to_owned());
    assert_eq!(
        step.events()[0].what,
        Happening::WorkerResumed { worker_id, by }
    );
    let step = cluster.disconnect(session);
    assert_eq!(kinds(&step), ["worker_disconnected"]);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(kinds(&step), ["worker_connected"]);
    let (_, step) = cluster.greet(1, hello(1, Vec::new()));
    assert_eq!(kinds(&step), ["worker_disconnected", "worker_connected"]);
    let step = cluster.set_worker(&name(1), WorkerCommand::Remove);
    assert_eq!(kinds(&step)[0], "worker_removed");
    in_order(&cluster);
}

#[test]
fn heartbeats_and_repeats_are_no_events() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    assert!(cluster.submit(1).events().is_empty());
    cluster.started(session, attempt(1, 1));
    assert!(cluster.started(session, attempt(1, 1)).events().is_empty());
    assert!(!cluster.confirm(session).is_durable());
    cluster.stop(1);
    let end = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(kinds(&end), ["attempt_finished", "job_finished"]);
    let again = cluster.stop_with(1, StopOptions::default());
    assert!(again.events().is_empty(), "it was over");
}

#[test]
fn r8_the_sequence_has_no_gap_across_a_crash_and_tells_of_nothing_that_is_not_true() {
    let (mut cluster, session) = Cluster::with_one(2);
    cluster.submit(1);
    let before = in_order(&cluster);
    let reply = cluster.reply_to();
    let jobs = vec![submission(2, draft("{}"))];
    let by = "ann".to_owned();
    let step = cluster.tell_and_crash(Input::Submit { reply, by, jobs });
    let epoch = cluster.epoch();
    let began = Happening::TermBegan { epoch };
    assert_eq!(step.events()[0].what, began);
    assert_eq!(
        step.events()[0].seq,
        before + 1,
        "what was lost had no place"
    );
    cluster.connect_as(1, hello(2, vec![running(attempt(1, 1))]));
    let _ = session;
    in_order(&cluster);
    let told = cluster
        .records
        .values()
        .filter(|record| record.kind == EVENT);
    let mut told = told.flat_map(|record| read_events(record).expect("events"));
    assert!(
        !told.any(|kept| matches!(kept.event.what,
            Happening::JobSubmitted { job_id, .. } if job_id == job(2))),
        "nobody accepted it"
    );
}

#[test]
fn an_event_of_a_job_says_whose_it_is() {
    let (mut cluster, session) = Cluster::with_one(1);
    cluster.submit(1);
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    let Some(Change::Put(record)) = step.changes.last() else {
        panic!("{step:?}");
    };
    let kept = read_events(record).expect("events");
    assert!(kept.iter().all(|kept| kept.owner.as_deref() == Some("ann")));
    let step = cluster.disconnect(session);
    let Some(Change::Put(record)) = step.changes.last() else {
        panic!("{step:?}");
    };
    assert_eq!(read_events(record).expect("events")[0].owner, None);
}

#[test]
fn many_events_at_once_are_several_records_without_a_gap() {
    let mut cluster = Cluster::new();
    let jobs = MAX_RECORD_EVENTS as u128;
    let reply = cluster.reply_to();
    let all = (1..=jobs).map(|n| submission(n, draft("{}"))).collect();
    let by = "ann".to_owned();
    let first = Input::Submit {
        reply,
        by: by.clone(),
        jobs: all,
    };
    cluster.engine.handle(cluster.now, first);
    let reply = cluster.reply_to();
    let one_more = vec![submission(jobs + 1, draft("{}"))];
    let step = cluster.tell(Input::Submit {
        reply,
        by,
        jobs: one_more,
    });
    let records = step
        .changes
        .iter()
        .filter(|change| matches!(change, Change::Put(record) if record.kind == EVENT));
    assert_eq!(records.count(), 2);
    in_order(&cluster);
}
