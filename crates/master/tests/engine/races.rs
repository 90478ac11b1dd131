//! Where a job can stand, and what can happen to it there: exactly one outcome, whatever comes first.

use std::time::Duration;

use jobyard_core::{
    InfraReason, JobState, Outcome, SessionId, StopOptions, WorkerCommand, WorkerMessage,
};
use jobyard_master::engine::Timings;

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{attempt, complete, draft, exit, infra, job, lost_from, name};

const WAIT: Duration = Duration::from_secs(8);

const DRAIN: WorkerCommand = WorkerCommand::Drain {
    deadline: Some(Duration::ZERO),
};

/// Where a job stands.
const STAGES: [&str; 7] = [
    "queued", "backoff", "sent", "running", "stopping", "draining", "finished",
];

/// One worker, and job 1 in this stage, by its first attempt.
fn standing(stage: &str) -> (Cluster, SessionId) {
    let timings = Timings {
        retry_first: WAIT,
        ..TIMINGS
    };
    let mut cluster = Cluster::with_timings(timings).and_workers(1);
    let (session, _) = cluster.connect(1, u32::from(stage != "queued"));
    let mut spec = draft("{}");
    (spec.retries, spec.queue_timeout) = (1, Some(WAIT * 100));
    cluster.submit_spec(1, spec);
    let report = |cluster: &mut Cluster, code, bytes| {
        cluster.finished(session, attempt(1, 1), exit(code), bytes);
    };
    match stage {
        "backoff" => report(&mut cluster, 7, 0),
        "running" => drop(cluster.started(session, attempt(1, 1))),
        "stopping" => drop(cluster.stop(1)),
        "draining" => report(&mut cluster, 0, 300),
        "finished" => {
            report(&mut cluster, 0, 300);
            cluster.pass_in_touch(session, TIMINGS.log_drain);
        }
        _ => {}
    }
    (cluster, session)
}

/// What happens to it.
fn happen(cluster: &mut Cluster, session: SessionId, event: &str) {
    let id = attempt(1, 1);
    match event {
        "started" => drop(cluster.started(session, id)),
        "succeeded" => drop(cluster.finished(session, id, exit(0), 0)),
        "failed" => drop(cluster.finished(session, id, exit(7), 0)),
        "declined" => {
            let reason = jobyard_core::DeclineReason::Stale;
            let attempt = id;
            cluster.say(session, WorkerMessage::Declined { attempt, reason });
        }
        "gone" => {
            cluster.disconnect(session);
            cluster.pass(TIMINGS.reconcile_for);
        }
        "stop" => drop(cluster.stop(1)),
        "force" => drop(cluster.stop_with(1, StopOptions::new(None, true))),
        "log" => drop(cluster.log_settled(id, complete(300))),
        "drain" => {
            cluster.set_worker(&name(1), DRAIN);
            cluster.pass_in_touch(session, TIMINGS.heartbeat);
        }
        "remove" => drop(cluster.set_worker(&name(1), WorkerCommand::Remove)),
        "wait" => drop(cluster.pass_in_touch(session, WAIT)),
        "restart" => drop(cluster.restart()),
        other => panic!("{other}"),
    }
}

/// Where it stands then, and what its first attempt came to.
fn outcome_of(cluster: &Cluster) -> String {
    let record = cluster.job(1);
    let named = |outcome: Outcome| match outcome {
        Outcome::Cancelled { .. } => "cancelled".to_owned(),
        Outcome::Infra { .. } => outcome.rule().reason.to_owned(),
        _ if outcome == exit(0) => "ok".to_owned(),
        _ => outcome.rule().kind.to_owned(),
    };
    let first = record.attempts.first().and_then(|first| first.outcome);
    let state = match record.state {
        JobState::Queued if record.retry_left.is_some() => "backoff",
        state => state.as_str(),
    };
    let mut shown = state.to_owned();
    if record.drained {
        shown += " (told)";
    }
    if let Some(outcome) = record.outcome.or(first) {
        shown = format!("{shown}: {}", named(outcome));
    }
    shown
}

/// Rows are events, columns stages. A job that has failed or lost its worker has one more retry to pay for it; output
/// that has not arrived keeps a job that is over where it was.
const TABLE: &str = "
          | queued              | backoff             | sent                    | running                 | stopping            | draining     | finished
started   | queued              | backoff: failed     | running                 | running                 | stopping            | assigned: ok | finished: ok
succeeded | queued              | backoff: failed     | finished: ok            | finished: ok            | finished: cancelled | assigned: ok | finished: ok
failed    | queued              | backoff: failed     | backoff: failed         | backoff: failed         | finished: cancelled | assigned: ok | finished: ok
declined  | queued              | backoff: failed     | backoff: worker_fault   | backoff: worker_fault   | finished: cancelled | assigned: ok | finished: ok
gone      | queued              | queued: failed      | backoff: worker_lost    | backoff: worker_lost    | stopping: cancelled | finished: ok | finished: ok
stop      | finished: cancelled | finished: cancelled | stopping                | stopping                | stopping            | assigned: ok | finished: ok
force     | finished: cancelled | finished: cancelled | stopping: forced        | stopping: forced        | stopping: forced    | assigned: ok | finished: ok
log       | queued              | backoff: failed     | assigned                | running                 | stopping            | finished: ok | finished: ok
drain     | queued              | backoff: failed     | assigned (told)         | running (told)          | stopping            | assigned: ok | finished: ok
remove    | queued              | backoff: failed     | backoff: worker_removed | backoff: worker_removed | stopping: cancelled | assigned: ok | finished: ok
wait      | queued              | assigned: failed    | assigned                | running                 | stopping            | assigned: ok | finished: ok
restart   | queued              | backoff: failed     | assigned                | running                 | stopping            | assigned: ok | finished: ok
";

#[test]
fn every_stage_takes_every_event_as_the_table_says() {
    let mut rows = TABLE.trim_matches('\n').lines().map(cells);
    let stages = rows.next().expect("a header");
    for row in rows {
        let event = row[0];
        for (stage, expected) in stages.iter().zip(&row).skip(1) {
            let (mut cluster, session) = standing(stage);
            happen(&mut cluster, session, event);
            assert_eq!(outcome_of(&cluster), *expected, "{event} in stage {stage}");
        }
    }
}

fn cells(row: &str) -> Vec<&str> {
    row.split('|').map(str::trim).collect()
}

/// Two things at once, in either order, and then everything that can still come: one outcome, which stays.
#[test]
fn i8_whatever_comes_first_one_outcome_wins_and_stays() {
    let events = [
        "succeeded",
        "failed",
        "declined",
        "gone",
        "stop",
        "force",
        "drain",
        "remove",
        "restart",
    ];
    for stage in STAGES {
        for first in events {
            for second in events {
                let (mut cluster, session) = standing(stage);
                let stopped = |event| event == "stop" || event == "force";
                let wanted = job(1);
                let was_over = cluster
                    .job(1)
                    .attempts
                    .iter()
                    .any(|one| one.outcome == Some(exit(0)));
                for event in [first, second] {
                    let is_known = cluster.engine.workers(false).len() == 1;
                    if event != "drain" && event != "remove" || is_known {
                        happen(&mut cluster, session, event);
                    }
                }
                let before = cluster.job(1);
                // Whatever is still to come: the report again, logs, time.
                happen(&mut cluster, session, "succeeded");
                for number in 1..=before.attempts.len() {
                    let number = u32::try_from(number).expect("few");
                    cluster.log_settled(attempt(1, number), lost_from(0));
                }
                cluster.pass(TIMINGS.reconcile_for);
                let after = cluster.job(1);
                let what = format!("{stage}: {first}, {second}: {before:#?} {after:#?} {wanted}");
                for (known, now) in before.attempts.iter().zip(&after.attempts) {
                    assert!(
                        known.outcome.is_none() || known.outcome == now.outcome,
                        "{what}"
                    );
                }
                assert!(
                    before.outcome.is_none() || before.outcome == after.outcome,
                    "{what}"
                );
                if stopped(first) && !was_over {
                    assert_eq!(after.attempts.len(), before.attempts.len(), "{what}");
                    let ended = after.outcome.expect(&what);
                    let forced = ended == infra(InfraReason::Forced);
                    assert!(
                        forced || matches!(ended, Outcome::Cancelled { .. }),
                        "{what}"
                    );
                }
            }
        }
    }
}
