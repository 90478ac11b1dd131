//! Attempts that must not outlive the lease.

use std::time::Duration;

use jobyard_core::{
    AttemptId, InfraReason, MasterMessage, Now, Outcome, Steady, StopCause, Verdict, WorkerMessage,
};

use super::rig::{
    GRACE, HEARTBEAT, LEASE, Rig, attempt, boot, bound_spec, names, sent, starts, welcome,
};
use crate::agent::{AttemptEnd, Input, JournalEntry, MAX_FENCE_GRACE, Output, ShutdownMode};

/// As the welcome of the rig says.
const MARGIN: Duration = Duration::from_millis(7_500);
const STOP_AFTER: Duration = LEASE.saturating_sub(MARGIN);

/// Attempts that are told to stop because of the lease, with their grace.
fn fenced(out: &[Output]) -> Vec<(AttemptId, Duration)> {
    let fence = |output: &Output| match output {
        Output::Stop {
            attempt,
            cause: StopCause::LeaseExpired,
            grace,
        } => Some((*attempt, *grace)),
        _ => None,
    };
    out.iter().filter_map(fence).collect()
}

fn extended(out: &[Output]) -> Vec<(AttemptId, Steady)> {
    let extension = |output: &Output| match output {
        Output::Extend { attempt, until } => Some((*attempt, *until)),
        _ => None,
    };
    out.iter().filter_map(extension).collect()
}

fn written(out: &[Output]) -> Option<(Steady, Steady)> {
    out.iter().find_map(|output| match output {
        Output::Journal(JournalEntry::Lease { stop_at, until, .. }) => Some((*stop_at, *until)),
        _ => None,
    })
}

/// A rig whose attempt runs, with the time at which its hello was sent.
fn rig_with(attempt: AttemptId) -> (Rig, Steady) {
    let mut rig = Rig::open();
    let asked = rig.now.steady;
    rig.run_bound(attempt);
    (rig, asked)
}

#[test]
fn attempt_is_stopped_a_margin_before_the_lease_ends_i5_fn2() {
    let a = attempt(1, 1);
    let (mut rig, asked) = rig_with(a);
    assert_eq!(rig.agent.runs_until(a), Some(asked + LEASE));
    let out = rig.pass_through(STOP_AFTER.saturating_sub(Duration::from_millis(1)));
    assert_eq!(fenced(&out), []);
    let out = rig.pass_through(Duration::from_millis(1));
    assert_eq!(fenced(&out), [(a, GRACE)]);
    let out = rig.pass_through(LEASE);
    assert_eq!(fenced(&out), [], "once");
}

#[test]
fn partition_shorter_than_the_lease_changes_nothing_fn2() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    rig.lose_session();
    let away = STOP_AFTER.saturating_sub(Duration::from_millis(1));
    // As long as it takes until a try to connect comes through.
    rig.pass(away);
    rig.hello();
    let out = rig.welcomed_with(vec![(a, Verdict::Keep)]);
    assert_eq!(extended(&out).len(), 1);
    let out = rig.pass_through(HEARTBEAT);
    assert_eq!(fenced(&out), []);
    assert_eq!(rig.states(), [(a, "running")]);
}

#[test]
fn lease_runs_on_without_a_session_and_over_failed_connects_fn2() {
    let a = attempt(1, 1);
    let (mut rig, asked) = rig_with(a);
    rig.lose_session();
    let mut out = Vec::new();
    while fenced(&out).is_empty() {
        out = rig.wait();
    }
    assert_eq!(rig.now.steady, asked + STOP_AFTER);
}

#[test]
fn lease_counts_from_when_the_answered_heartbeat_was_sent_i5() {
    let a = attempt(1, 1);
    let (mut rig, asked) = rig_with(a);
    let begun = rig.now.steady;
    rig.pass_through(HEARTBEAT);
    let late = Duration::from_secs(3);
    rig.pass_through(late);
    // The first heartbeat came with the welcome; its answer is late and says nothing new. The second one's does.
    assert_eq!(rig.answered(), []);
    let out = rig.answered();
    assert_eq!(extended(&out), [(a, begun + HEARTBEAT + LEASE)]);
    assert_eq!(rig.agent.runs_until(a), Some(begun + HEARTBEAT + LEASE));
    assert!(rig.agent.runs_until(a) > Some(asked + LEASE));
    assert_eq!(rig.answered(), [], "an answer to nothing");
}

#[test]
fn answers_belong_to_heartbeats_one_by_one_and_not_to_other_words_i5() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    let begun = rig.now.steady;
    rig.pass_through(HEARTBEAT * 2);
    rig.run(attempt(2, 1));
    rig.answered();
    for beat in [1, 2] {
        let out = rig.answered();
        assert_eq!(extended(&out), [(a, begun + HEARTBEAT * beat + LEASE)]);
    }
}

#[test]
fn slow_connect_counts_against_the_lease_i5() {
    let mut rig = Rig::new(Vec::new());
    rig.start();
    let asked = rig.now.steady;
    rig.pass(Duration::from_secs(10));
    rig.welcomed();
    let a = attempt(1, 1);
    rig.run_bound(a);
    assert_eq!(rig.agent.runs_until(a), Some(asked + LEASE));
}

#[test]
fn answers_of_an_old_session_do_not_count_for_the_new_one_i5() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    rig.pass_through(HEARTBEAT);
    rig.lose_session();
    rig.hello();
    let asked = rig.now.steady;
    rig.welcomed_with(vec![(a, Verdict::Keep)]);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.answered(), [], "the heartbeat after the welcome");
    assert_eq!(rig.agent.runs_until(a), Some(asked + LEASE));
}

#[test]
fn whoever_was_held_up_stops_before_it_believes_what_it_reads_fw12() {
    let heartbeat: fn(&mut Rig) -> Vec<Output> = |rig| rig.answered();
    let welcome: fn(&mut Rig) -> Vec<Output> = |rig| {
        let mut out = rig.feed(Input::Connected);
        out.extend(rig.hear(MasterMessage::Welcome(welcome(1))));
        out
    };
    for (loses, late) in [(false, heartbeat), (true, welcome)] {
        let a = attempt(1, 1);
        let (mut rig, _) = rig_with(a);
        if loses {
            rig.lose_session();
            rig.hello();
        }
        // The machine sleeps.
        let until = rig.agent.runs_until(a).expect("it hangs on the lease");
        rig.now.steady = until;
        let out = late(&mut rig);
        assert_eq!(fenced(&out), [(a, Duration::ZERO)]);
        assert!(matches!(&out[0], Output::Stop { .. }), "{out:?}");
        assert_eq!(extended(&out), [], "a stop is not undone");
        assert_eq!(rig.agent.runs_until(a), None);
    }
}

#[test]
fn whoever_was_held_up_leaves_no_more_grace_than_there_is_fw12() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    rig.pass(LEASE.saturating_sub(Duration::from_secs(5)));
    let out = rig.answered();
    assert_eq!(fenced(&out), [(a, Duration::from_secs(5))], "what is left");
    let (mut rig, _) = rig_with(a);
    rig.pass(LEASE * 3);
    assert_eq!(fenced(&rig.answered()), [(a, Duration::ZERO)]);
}

#[test]
fn grace_of_a_fence_is_short_whatever_the_job_asks_i5() {
    let a = attempt(1, 1);
    let mut rig = Rig::new(Vec::new());
    rig.start();
    rig.feed(Input::Connected);
    let mut patient = welcome(1);
    patient.lease = Duration::from_mins(10);
    patient.margin = Duration::from_mins(1);
    rig.hear(MasterMessage::Welcome(patient));
    let mut spec = (*bound_spec()).clone();
    spec.grace = Duration::from_mins(5);
    let assignment = jobyard_core::Assignment::new(a, spec.validate().unwrap());
    rig.hear(MasterMessage::Assign(assignment));
    rig.feed(Input::Journaled { attempt: a });
    rig.pass(Duration::from_mins(9));
    let out = rig.feed(Input::DeadlineReached);
    assert_eq!(fenced(&out), [(a, MAX_FENCE_GRACE)]);
}

#[test]
fn what_is_starting_is_stopped_and_what_is_unwritten_never_starts_i5() {
    let mut rig = Rig::open();
    let (starting, unwritten) = (attempt(1, 1), attempt(2, 1));
    rig.assign_bound(starting);
    rig.feed(Input::Journaled { attempt: starting });
    rig.assign_bound(unwritten);
    rig.pass(STOP_AFTER);
    let out = rig.feed(Input::Journaled { attempt: unwritten });
    assert_eq!(fenced(&out), [(starting, GRACE)]);
    let [WorkerMessage::Finished(report)] = &sent(&out)[..] else {
        panic!("{out:?}")
    };
    let reason = InfraReason::NeverStarted;
    assert_eq!(report.attempt, unwritten);
    assert_eq!(report.outcome, Outcome::Infra { reason });
}

#[test]
fn what_comes_when_the_lease_is_about_to_end_is_not_started() {
    let mut rig = Rig::open();
    rig.pass(STOP_AFTER);
    let a = attempt(1, 1);
    rig.assign_bound(a);
    let out = rig.feed(Input::Journaled { attempt: a });
    assert_eq!(names(&out), ["say finished"]);
}

#[test]
fn attempts_that_may_finish_are_left_alone() {
    let mut rig = Rig::open();
    let (free, bound) = (attempt(1, 1), attempt(2, 1));
    rig.run(free);
    rig.run_bound(bound);
    assert_eq!(rig.agent.runs_until(free), None);
    let out = rig.pass_through(LEASE * 4);
    let stopped = out.iter().filter(|out| matches!(out, Output::Stop { .. }));
    assert_eq!(stopped.count(), 1);
    assert_eq!(fenced(&out), [(bound, GRACE)]);
    assert_eq!(rig.states(), [(free, "running"), (bound, "running")]);
}

#[test]
fn end_of_a_fenced_attempt_is_reported_as_it_was() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    rig.pass_through(STOP_AFTER);
    let reason = InfraReason::LeaseExpired;
    let mut end = AttemptEnd::new(a, Outcome::Infra { reason }, rig.now.wall);
    end.residue.killed = 2;
    let out = rig.feed(Input::AttemptEnded(end));
    let [WorkerMessage::Finished(report)] = &sent(&out)[..] else {
        panic!("{out:?}")
    };
    assert_eq!(report.outcome, Outcome::Infra { reason });
    assert_eq!(report.residue.killed, 2);
}

#[test]
fn only_what_runs_and_was_not_stopped_is_extended() {
    let mut rig = Rig::open();
    let [runs, over, free, unwritten] = [1, 2, 3, 4].map(|job| attempt(job, 1));
    rig.run_bound(runs);
    rig.run_bound(over);
    rig.ended(over, Outcome::Succeeded);
    rig.run(free);
    rig.assign_bound(unwritten);
    rig.pass_through(HEARTBEAT);
    rig.answered();
    let out = rig.answered();
    let extended = extended(&out);
    assert_eq!(extended.len(), 1, "{out:?}");
    assert_eq!(extended[0].0, runs);
    assert_eq!(rig.agent.runs_until(unwritten), Some(extended[0].1));
}

#[test]
fn lease_is_written_down_only_when_something_hangs_on_it() {
    let mut rig = Rig::open();
    rig.pass_through(HEARTBEAT);
    rig.answered();
    assert_eq!(written(&rig.answered()), None);
    let until = rig.now.steady + LEASE;
    let (a, b) = (attempt(1, 1), attempt(2, 1));
    let out = rig.assign_bound(a);
    let (stop_at, until_written) = written(&out).expect("before it is started");
    assert_eq!((stop_at + MARGIN, until_written), (until, until));
    assert_eq!(written(&rig.assign_bound(b)), None, "it stands there");
    rig.pass_through(HEARTBEAT);
    let out = rig.answered();
    assert!(
        matches!(&out[0], Output::Journal(JournalEntry::Lease { .. })),
        "before the executor is told: {out:?}"
    );
}

fn journal_of(a: AttemptId, stop_at: u64, until: u64) -> Vec<JournalEntry> {
    vec![
        JournalEntry::Accepted {
            attempt: a,
            spec: bound_spec(),
            env: [].into(),
            boot: boot(1),
        },
        JournalEntry::Lease {
            boot: boot(1),
            stop_at: Steady::from_micros(stop_at * 1_000_000),
            until: Steady::from_micros(until * 1_000_000),
        },
    ]
}

#[test]
fn next_life_goes_by_the_lease_that_was_written_down_i5() {
    let a = attempt(1, 1);
    let mut rig = Rig::new(journal_of(a, 20, 30));
    rig.start();
    rig.started(a);
    assert_eq!(
        rig.agent.runs_until(a),
        Some(Steady::from_micros(30_000_000))
    );
    let mut out = Vec::new();
    while fenced(&out).is_empty() {
        out = rig.wait();
    }
    assert_eq!(rig.now.steady, Steady::from_micros(20_000_000));
}

#[test]
fn next_life_that_is_welcomed_in_time_goes_on_i5() {
    let a = attempt(1, 1);
    let mut rig = Rig::new(journal_of(a, 20, 30));
    rig.start();
    let asked = rig.now.steady;
    let out = rig.welcomed_with(vec![(a, Verdict::Keep)]);
    assert_eq!(
        extended(&out),
        [(a, asked + LEASE)],
        "also while it is sought"
    );
    assert_eq!(written(&out), Some((asked + STOP_AFTER, asked + LEASE)));
}

#[test]
fn what_the_next_life_finds_beyond_its_lease_is_stopped_once_it_is_found_i5() {
    for journal in [
        journal_of(attempt(1, 1), 0, 1),
        // Nothing is known of a lease.
        journal_of(attempt(1, 1), 0, 0)[..1].to_vec(),
    ] {
        let a = attempt(1, 1);
        let mut rig = Rig::new(journal);
        let out = rig.start();
        assert_eq!(names(&out), ["adopt", "connect"]);
        rig.pass(Duration::from_secs(1));
        assert_eq!(fenced(&rig.welcomed_with(vec![(a, Verdict::Keep)])), []);
        let still_over = rig.agent.runs_until(a) > Some(rig.now.steady);
        assert!(still_over, "the welcome counts until it is found");
    }
    let a = attempt(1, 1);
    let mut rig = Rig::new(journal_of(a, 0, 1));
    rig.start();
    let out = rig.started(a);
    assert_eq!(fenced(&out), [(a, Duration::ZERO)]);
}

#[test]
fn end_while_no_worker_was_there_is_not_hidden_by_the_fence() {
    let a = attempt(1, 1);
    let mut rig = Rig::new(journal_of(a, 0, 1));
    rig.start();
    let out = rig.ended(a, Outcome::Succeeded);
    assert_eq!(fenced(&out), []);
    assert_eq!(rig.states(), [(a, "finished")]);
}

#[test]
fn lease_of_another_boot_is_void_fw5() {
    let a = attempt(1, 1);
    let mut journal = journal_of(a, 20, 30);
    journal[1] = JournalEntry::Lease {
        boot: boot(2),
        stop_at: Steady::from_micros(u64::MAX),
        until: Steady::from_micros(u64::MAX),
    };
    let mut rig = Rig::new(journal);
    rig.start();
    assert_eq!(fenced(&rig.started(a)), [(a, Duration::ZERO)]);
}

#[test]
fn worker_that_ends_still_fences_fw13() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    let timeout = Duration::from_mins(10);
    rig.feed(Input::Shutdown(ShutdownMode::Drain { timeout }));
    assert_eq!(fenced(&rig.pass_through(STOP_AFTER)), [(a, GRACE)]);
}

#[test]
fn worker_that_has_ended_has_no_deadline() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    rig.feed(Input::Shutdown(ShutdownMode::Detach));
    assert_eq!(rig.agent.next_deadline(), None);
}

#[test]
fn margin_that_leaves_nothing_is_cut() {
    let mut rig = Rig::new(Vec::new());
    rig.start();
    rig.feed(Input::Connected);
    let mut greedy = welcome(1);
    greedy.margin = LEASE * 2;
    rig.hear(MasterMessage::Welcome(greedy));
    rig.run_bound(attempt(1, 1));
    assert_eq!(fenced(&rig.pass_through(LEASE / 4)), []);
}

#[test]
fn more_unanswered_heartbeats_than_are_told_apart_count_as_too_early_i5() {
    let a = attempt(1, 1);
    let (mut rig, _) = rig_with(a);
    let begun = rig.now.steady;
    // The master says something, and answers nothing.
    for _ in 0..200 {
        rig.pass(HEARTBEAT);
        rig.feed(Input::DeadlineReached);
        rig.hear(MasterMessage::Draining(false));
    }
    let b = attempt(2, 1);
    rig.assign_bound(b);
    let mut answers = Vec::new();
    for _ in 0..=200 {
        rig.answered();
        answers.push(rig.agent.lease_until());
    }
    for (beat, until) in (0_u32..).zip(answers) {
        assert!(until <= Some(begun + HEARTBEAT * beat + LEASE), "{beat}");
    }
    let now: Now = rig.now;
    assert_eq!(rig.answered(), [], "there were no more, at {now:?}");
}

/// A rig that has heard nothing since its hello, with an attempt that comes to the journal only when the promise is over.
fn rig_with_late(attempt: AttemptId) -> Rig {
    let mut rig = Rig::open();
    rig.assign(attempt);
    rig.pass(STOP_AFTER);
    let out = rig.feed(Input::Journaled { attempt });
    assert_eq!(starts(&out), 0);
    assert_eq!(rig.states(), [(attempt, "accepted")]);
    rig
}

#[test]
fn nothing_starts_once_the_promise_is_over_i14() {
    let a = attempt(1, 1);
    let mut rig = rig_with_late(a);
    // Nor later, for as long as nobody promises anything.
    assert_eq!(starts(&rig.pass_through(LEASE)), 0);
    assert!(!rig.agent.is_connected());
    // It was held up, and hears now what was said before.
    let mut rig = Rig::open();
    rig.pass(STOP_AFTER);
    assert_eq!(starts(&rig.begin(a)), 0);
}

#[test]
fn until_the_promise_is_over_everything_starts_i14() {
    let mut rig = Rig::open();
    rig.pass(STOP_AFTER.saturating_sub(Duration::from_micros(1)));
    assert_eq!(
        rig.agent.may_start_until() - rig.now.steady,
        Duration::from_micros(1)
    );
    assert_eq!(starts(&rig.begin(attempt(1, 1))), 1);
}

#[test]
fn what_waits_for_a_promise_starts_with_the_next_heartbeat_that_is_answered() {
    let a = attempt(1, 1);
    let mut rig = rig_with_late(a);
    let mut beats = sent(&rig.feed(Input::DeadlineReached));
    assert_eq!(beats.pop(), Some(WorkerMessage::Heartbeat));
    // The welcome was answered at once, long ago.
    assert_eq!(starts(&rig.answered()), 0);
    assert_eq!(starts(&rig.answered()), 1);
    assert_eq!(starts(&rig.answered()), 0, "once");
}

#[test]
fn what_waits_for_a_promise_starts_with_the_next_session_unless_the_master_wants_something_else() {
    let a = attempt(1, 1);
    let stop = Verdict::Stop {
        cause: StopCause::Cancelled,
        grace: GRACE,
    };
    for (verdict, expected) in [
        (Verdict::Keep, "start"),
        (stop, "say finished"),
        (Verdict::Forget, "discard"),
    ] {
        let mut rig = rig_with_late(a);
        rig.lose_session();
        assert_eq!(rig.hello().inventory.len(), 1);
        let out = names(&rig.welcomed_with(vec![(a, verdict)]));
        let others = ["start", "say finished", "discard"].map(|name| out.contains(&name));
        assert_eq!(others.iter().filter(|is| **is).count(), 1, "{out:?}");
        assert!(out.contains(&expected), "{out:?}");
    }
    let mut rig = rig_with_late(a);
    rig.lose_session();
    rig.hello();
    rig.feed(Input::Connected);
    let mut drains = welcome(1);
    drains.draining = true;
    drains.verdicts = vec![(a, Verdict::Keep)];
    let out = rig.hear(MasterMessage::Welcome(drains));
    let out = names(&out);
    assert!(
        out.contains(&"decline") && out.contains(&"discard") && !out.contains(&"start"),
        "{out:?}"
    );
    assert_eq!(rig.states(), []);
}

#[test]
fn what_waits_for_a_promise_is_reported_as_never_started_when_its_worker_ends() {
    let a = attempt(1, 1);
    let mut rig = rig_with_late(a);
    rig.feed(Input::Shutdown(ShutdownMode::Stop));
    assert_eq!(rig.states(), [(a, "finished")]);
    assert_eq!(starts(&rig.answered()) + starts(&rig.answered()), 0);
}
