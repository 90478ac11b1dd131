//! Sessions come and go.

use std::time::Duration;

use jobyard_core::{
    ClosingReason, ConnectError, Epoch, LinkError, MasterMessage, Outcome, Refusal, RefusalReason,
    StopCause, Verdict, WorkerMessage,
};

use super::rig::{HEARTBEAT, LEASE, Rig, attempt, hello, name, names, sent, welcome};
use crate::agent::{ExitReason, Input, JournalEntry, Output, REFUSED_WAIT, STABLE_AFTER};

fn refused(reason: RefusalReason) -> Input {
    Input::ConnectFailed(Refusal::new(reason, "no").into())
}

fn unreachable() -> Input {
    Input::ConnectFailed(ConnectError::Unreachable {
        problem: "nobody".to_owned(),
    })
}

#[test]
fn connect_at_once_then_with_growing_waits() {
    let mut rig = Rig::new(Vec::new());
    assert_eq!(names(&rig.start()), ["connect"]);
    let mut last = Duration::ZERO;
    for _ in 0..12 {
        assert_eq!(rig.feed(unreachable()), []);
        last = rig.agent.next_deadline().unwrap() - rig.now.steady;
        assert!(
            last >= Duration::from_millis(50) && last <= Duration::from_secs(15),
            "{last:?}"
        );
        assert_eq!(names(&rig.wait()), ["connect"]);
    }
    assert!(last > Duration::from_secs(7), "{last:?}");
}

#[test]
fn say_something_before_the_master_could_miss_it() {
    let mut rig = Rig::open();
    rig.pass(HEARTBEAT / 2);
    assert_eq!(rig.feed(Input::DeadlineReached), [], "too early");
    assert_eq!(names(&rig.wait()), ["heartbeat"]);
    rig.hear(MasterMessage::Heartbeat);
    rig.pass(HEARTBEAT / 2);
    rig.run(attempt(1, 1));
    rig.pass(HEARTBEAT / 2);
    assert_eq!(
        names(&rig.feed(Input::DeadlineReached)),
        ["heartbeat"],
        "the start was a sign of life, but has no answer"
    );
}

#[test]
fn a_silent_master_is_left_and_attempts_run_on() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    let heard = rig.now.steady;
    while rig.now.steady < heard + LEASE {
        let out = rig.wait();
        let over = rig.now.steady >= heard + LEASE;
        assert_eq!(names(&out), [if over { "disconnect" } else { "heartbeat" }]);
    }
    assert!(!rig.agent.is_connected());
    let hello = rig.hello();
    assert_eq!(name(&hello.inventory[0].state), "running");
}

#[test]
fn what_an_old_session_still_brings_is_ignored() {
    let mut rig = Rig::open();
    rig.lose_session();
    assert_eq!(rig.assign(attempt(1, 1)), []);
    rig.hello();
    assert_eq!(rig.assign(attempt(1, 1)), []);
    assert_eq!(rig.lose_session(), [], "the loss of the old one as well");
    rig.feed(Input::Connected);
    assert_eq!(rig.assign(attempt(1, 1)), [], "before the welcome");
    assert_eq!(rig.states(), []);
}

#[test]
fn the_hello_tells_everything_and_the_welcome_brings_up_to_date() {
    let mut rig = Rig::open();
    let [a, b, c, d] = [1, 2, 3, 4].map(|job| attempt(job, 1));
    rig.assign(a);
    rig.begin(b);
    rig.run(c);
    rig.run(d);
    rig.lose_session();
    rig.ended(d, Outcome::Succeeded);
    let hello = rig.hello();
    let told: Vec<_> = hello
        .inventory
        .iter()
        .map(|held| name(&held.state))
        .collect();
    assert_eq!(told, ["accepted", "accepted", "running", "finished"]);
    // While the master thinks, one starts and one ends.
    rig.started(b);
    rig.ended(c, Outcome::Succeeded);
    let out = rig.welcomed();
    assert_eq!(
        names(&out),
        [
            "opened",
            "heartbeat",
            "say started",
            "upload",
            "say finished",
            "upload",
            "upload"
        ]
    );
    let ids: Vec<_> = sent(&out)
        .into_iter()
        .filter_map(|message| match message {
            WorkerMessage::Started { attempt, .. } => Some(attempt),
            WorkerMessage::Finished(report) => Some(report.attempt),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [b, c]);
}

#[test]
fn output_is_confirmed_anew_on_each_session_until_it_is_forgotten() {
    let mut rig = Rig::open();
    let a = attempt(1, 1);
    rig.run(a);
    rig.ended(a, Outcome::Succeeded);
    rig.feed(Input::LogConfirmed { attempt: a });
    rig.lose_session();
    assert_eq!(
        rig.hello().inventory.len(),
        1,
        "the report stays until it is forgotten"
    );
    assert_eq!(names(&rig.welcomed()), ["opened", "heartbeat", "upload"]);
    rig.forget(a);
    rig.lose_session();
    rig.hello();
    assert_eq!(names(&rig.welcomed()), ["opened", "heartbeat"]);
}

#[test]
fn carry_out_the_verdicts() {
    let mut rig = Rig::open();
    let [keep, stop, forget, over] = [1, 2, 3, 4].map(|job| attempt(job, 1));
    for attempt in [keep, stop, forget, over] {
        rig.run(attempt);
    }
    rig.ended(over, Outcome::Succeeded);
    rig.lose_session();
    rig.hello();
    let (cause, grace) = (StopCause::Cancelled, Duration::from_secs(1));
    let out = rig.welcomed_with(vec![
        (keep, Verdict::Keep),
        (stop, Verdict::Stop { cause, grace }),
        (forget, Verdict::Forget),
        (over, Verdict::Forget),
    ]);
    assert_eq!(
        out.into_iter()
            .filter(|output| !matches!(output, Output::Opened { .. } | Output::Journal(_)))
            .collect::<Vec<_>>(),
        [
            Output::Send(WorkerMessage::Heartbeat),
            Output::Stop {
                attempt: stop,
                cause,
                grace
            },
            Output::Kill { attempt: forget },
            Output::Discard { attempt: over },
            Output::Upload { attempt: keep },
            Output::Upload { attempt: stop },
        ]
    );
}

#[test]
fn refuse_a_master_of_an_older_term() {
    let mut rig = Rig::new(vec![JournalEntry::MaxEpoch(Epoch(5))]);
    let out = rig.start();
    assert_eq!(hello(&out).unwrap().max_epoch, Epoch(5));
    rig.feed(Input::Connected);
    let out = rig.hear(MasterMessage::Welcome(welcome(4)));
    assert_eq!(names(&out), ["disconnect"]);
    assert_eq!(rig.hello().max_epoch, Epoch(5));
    rig.feed(Input::Connected);
    let out = rig.hear(MasterMessage::Welcome(welcome(6)));
    assert_eq!(out[0], Output::Journal(JournalEntry::MaxEpoch(Epoch(6))));
    assert!(rig.agent.is_connected());
}

#[test]
fn a_master_that_restarts_is_asked_at_once_but_not_over_and_over() {
    let mut rig = Rig::open();
    let closing = MasterMessage::Closing(ClosingReason::Restarting);
    assert_eq!(names(&rig.hear(closing.clone())), ["disconnect", "connect"]);
    rig.welcomed();
    assert_eq!(names(&rig.hear(closing.clone())), ["disconnect"]);
    rig.hello();
    rig.welcomed();
    rig.pass(STABLE_AFTER);
    assert_eq!(names(&rig.hear(closing)), ["disconnect", "connect"]);
}

#[test]
fn sessions_that_do_not_last_are_tried_ever_more_slowly() {
    let mut rig = Rig::open();
    let mut wait = Duration::ZERO;
    for _ in 0..10 {
        rig.hear(MasterMessage::Closing(ClosingReason::Replaced));
        wait = rig.agent.next_deadline().unwrap() - rig.now.steady;
        rig.hello();
        rig.welcomed();
    }
    assert!(wait > Duration::from_secs(7), "{wait:?}");
    rig.pass(STABLE_AFTER);
    rig.lose_session();
    wait = rig.agent.next_deadline().unwrap() - rig.now.steady;
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
}

#[test]
fn a_worker_is_back_soon_after_a_master_that_dies_again_and_again() {
    let soon = Duration::from_millis(800);
    let endings: [fn(&mut Rig) -> Vec<Output>; 2] = [Rig::lose_session, |rig| {
        rig.hear(MasterMessage::Closing(ClosingReason::Restarting))
    }];
    for end in endings {
        let mut rig = Rig::open();
        for death in 0..10 {
            let begun = end(&mut rig);
            if hello(&begun).is_none() {
                let wait = rig.agent.next_deadline().unwrap() - rig.now.steady;
                assert!(wait <= soon, "{wait:?} after death {death}");
                assert!(wait >= Duration::from_millis(50), "a fleet is scattered");
                rig.wait();
            }
            // The next one is not there yet.
            for _ in 0..6 {
                rig.feed(unreachable());
                rig.wait();
            }
            rig.welcomed();
            assert!(rig.agent.is_connected());
        }
    }
}

#[test]
fn a_new_worker_that_is_refused_ends_and_one_with_attempts_tries_again() {
    for reason in [RefusalReason::Unauthenticated, RefusalReason::Incompatible] {
        let mut rig = Rig::new(Vec::new());
        rig.start();
        let out = rig.feed(refused(reason));
        assert!(
            matches!(&out[..], [Output::Exit(ExitReason::Refused(_))]),
            "{out:?}"
        );

        let mut rig = Rig::open();
        rig.run(attempt(1, 1));
        rig.lose_session();
        rig.hello();
        assert_eq!(rig.feed(refused(reason)), []);
        assert!(rig.agent.next_deadline().unwrap() - rig.now.steady >= REFUSED_WAIT);
    }
}

#[test]
fn wait_as_long_as_the_master_asks() {
    let mut rig = Rig::new(Vec::new());
    rig.start();
    let mut refusal = Refusal::new(RefusalReason::Exhausted, "too many");
    refusal.retry_after = Some(Duration::from_secs(90));
    rig.feed(Input::ConnectFailed(refusal.into()));
    assert_eq!(
        rig.agent.next_deadline().unwrap() - rig.now.steady,
        Duration::from_secs(90)
    );
}

#[test]
fn a_removed_worker_kills_what_runs_wipes_its_identity_and_ends() {
    let ways: [fn(&mut Rig) -> Vec<Output>; 3] = [
        |rig| rig.hear(MasterMessage::Removed),
        |rig| {
            let refusal = Refusal::new(RefusalReason::Removed, "gone");
            rig.feed(Input::SessionLost(LinkError::Refused(refusal)))
        },
        |rig| {
            rig.lose_session();
            rig.hello();
            rig.feed(refused(RefusalReason::Removed))
        },
    ];
    for way in ways {
        let mut rig = Rig::open();
        let (a, b) = (attempt(1, 1), attempt(2, 1));
        rig.run(a);
        rig.run(b);
        rig.ended(b, Outcome::Succeeded);
        let out = way(&mut rig);
        let out: Vec<_> = names(&out)
            .into_iter()
            .filter(|name| *name != "disconnect")
            .collect();
        assert_eq!(out, ["wipe", "kill", "discard"]);
        let out = rig.ended(a, Outcome::Cancelled { exit: None });
        assert_eq!(names(&out), ["discard", "exit"]);
        assert_eq!(out.last(), Some(&Output::Exit(ExitReason::Removed)));
    }
}
