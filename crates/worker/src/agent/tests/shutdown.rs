//! A worker ends.

use std::time::Duration;

use jobyard_core::{DeclineReason, InfraReason, MasterMessage, Outcome, StopCause, WorkerMessage};

use super::rig::{GRACE, Rig, attempt, names, sent};
use crate::agent::{CONFIRM_WAIT, ExitReason, Input, Output, STOP_LIMIT, ShutdownMode};

const STOPPED: Outcome = Outcome::Infra {
    reason: InfraReason::WorkerRestarted,
};

fn drain() -> Input {
    Input::Shutdown(ShutdownMode::Drain {
        timeout: Duration::from_mins(10),
    })
}

const fn stop() -> Input {
    Input::Shutdown(ShutdownMode::Stop)
}

fn exit(out: &[Output]) -> Option<&ExitReason> {
    out.iter().find_map(|output| match output {
        Output::Exit(reason) => Some(reason),
        _ => None,
    })
}

#[test]
fn an_idle_worker_ends_at_once() {
    let mut rig = Rig::open();
    let out = rig.feed(drain());
    assert_eq!(names(&out), ["accepting", "disconnect", "exit"]);
    assert_eq!(exit(&out), Some(&ExitReason::Finished));
    assert_eq!(rig.feed(drain()), [], "over is over");
    assert_eq!(rig.agent.next_deadline(), None);
}

#[test]
fn a_drain_takes_nothing_new_and_ends_when_all_is_confirmed() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    assert_eq!(sent(&rig.feed(drain())), [WorkerMessage::Accepting(false)]);
    let b = attempt(2, 1);
    let reason = DeclineReason::Stopping;
    assert_eq!(
        sent(&rig.assign(b)),
        [WorkerMessage::Declined { attempt: b, reason }]
    );
    // A new session hears of it as well.
    rig.lose_session();
    assert!(!rig.hello().accepting);
    assert_eq!(names(&rig.welcomed()), ["opened", "heartbeat", "upload"]);
    assert_eq!(names(&rig.ended(a, Outcome::Succeeded)), ["say finished"]);
    assert_eq!(names(&rig.forget(a)), ["discard", "disconnect", "exit"]);
}

#[test]
fn a_drain_that_takes_too_long_stops_what_is_left() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    rig.feed(drain());
    let end = rig.now.steady + Duration::from_mins(10);
    let mut out = Vec::new();
    while rig.now.steady < end {
        out = rig.wait();
        rig.hear(MasterMessage::Heartbeat);
    }
    let cause = StopCause::WorkerStopping;
    assert!(
        out.contains(&Output::Stop {
            attempt: a,
            cause,
            grace: GRACE
        }),
        "{out:?}"
    );
    assert_eq!(names(&rig.ended(a, STOPPED)), ["say finished"]);
    assert_eq!(exit(&rig.forget(a)), Some(&ExitReason::Finished));
}

#[test]
fn a_second_order_stops_without_grace() {
    for first in [drain(), stop()] {
        let mut rig = Rig::open();
        let a = attempt(1, 1);
        rig.run(a);
        rig.feed(first);
        let cause = StopCause::WorkerStopping;
        let grace = Duration::ZERO;
        assert_eq!(
            rig.feed(stop()),
            [Output::Stop {
                attempt: a,
                cause,
                grace
            }]
        );
    }
}

#[test]
fn an_unconfirmed_report_is_waited_for_and_then_left_to_the_next_life() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    rig.feed(stop());
    rig.lose_session();
    rig.ended(a, STOPPED);
    let end = rig.now.steady + CONFIRM_WAIT;
    let mut out = Vec::new();
    while exit(&out).is_none() {
        out = rig.wait();
    }
    assert_eq!(rig.now.steady, end);
    assert_eq!(
        exit(&out),
        Some(&ExitReason::Unfinished {
            running: 0,
            unconfirmed: 1
        })
    );
}

#[test]
fn what_cannot_be_killed_is_not_waited_for_for_ever() {
    let mut rig = Rig::open();
    rig.run(attempt(1, 1));
    rig.feed(stop());
    let end = rig.now.steady + GRACE + STOP_LIMIT;
    let mut out = Vec::new();
    while exit(&out).is_none() {
        rig.hear(MasterMessage::Heartbeat);
        out = rig.wait();
    }
    assert_eq!(rig.now.steady, end);
    assert_eq!(
        exit(&out),
        Some(&ExitReason::Unfinished {
            running: 1,
            unconfirmed: 0
        })
    );
}

#[test]
fn what_is_on_its_way_to_the_journal_when_the_worker_stops_never_starts() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.assign(a);
    rig.feed(stop());
    let out = rig.feed(Input::Journaled { attempt: a });
    let [WorkerMessage::Finished(report)] = &sent(&out)[..] else {
        panic!("{out:?}")
    };
    assert_eq!(
        report.outcome,
        Outcome::Infra {
            reason: InfraReason::NeverStarted
        }
    );
}

#[test]
fn a_drain_without_a_master_ends_when_nothing_is_held() {
    let mut rig = Rig::new(Vec::new());
    rig.start();
    assert_eq!(names(&rig.feed(drain())), ["disconnect", "exit"]);
}

const DETACH: Input = Input::Shutdown(ShutdownMode::Detach);

#[test]
fn a_detach_lets_go_of_what_runs_and_is_over_at_once() {
    let mut rig = Rig::open();
    let (running, starting, finished) = (attempt(1, 1), attempt(2, 1), attempt(3, 1));
    rig.run(running);
    rig.begin(starting);
    rig.run(finished);
    rig.ended(finished, Outcome::Succeeded);
    let out = rig.feed(DETACH);
    assert_eq!(
        out,
        [
            Output::Detach { attempt: running },
            Output::Detach { attempt: starting },
            // Not a word to the master: to it this is a session that was lost.
            Output::Disconnect,
            Output::Exit(ExitReason::Detached {
                running: 2,
                unconfirmed: 1
            }),
        ]
    );
    assert_eq!(rig.feed(stop()), [], "over is over");
    assert_eq!(rig.agent.next_deadline(), None);
}

#[test]
fn a_detach_cuts_short_every_other_end() {
    let reason = ExitReason::Detached {
        running: 1,
        unconfirmed: 0,
    };
    for first in [drain(), stop()] {
        let mut rig = Rig::open();
        rig.run(attempt(1, 1));
        rig.feed(first);
        let out = rig.feed(DETACH);
        assert_eq!(names(&out), ["detach", "disconnect", "exit"]);
        assert_eq!(exit(&out), Some(&reason));
    }
    let mut rig = Rig::open();
    rig.run(attempt(1, 1));
    rig.feed(stop());
    rig.ended(attempt(1, 1), STOPPED);
    let out = rig.feed(DETACH);
    assert_eq!(
        names(&out),
        ["disconnect", "exit"],
        "while it waits for confirmation"
    );
}

#[test]
fn a_detach_without_a_session_or_with_what_is_forgotten() {
    let mut rig = Rig::open();
    let (kept, forgotten) = (attempt(1, 1), attempt(2, 1));
    rig.run(kept);
    rig.run(forgotten);
    rig.forget(forgotten);
    rig.lose_session();
    let out = rig.feed(DETACH);
    assert_eq!(
        names(&out),
        ["detach", "exit"],
        "what the master does not want is being killed, and is not let go of"
    );
    let mut rig = Rig::open();
    rig.run(kept);
    rig.hear(MasterMessage::Removed);
    assert_eq!(
        rig.feed(DETACH),
        [],
        "a worker that was removed leaves nothing"
    );
}
