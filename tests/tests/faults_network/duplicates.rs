//! FN6: messages that come twice, too late, or in the wrong order.
//!
//! Whole clusters under duplication, reordering and delay are simulated (`crates/sim`); here the same reaches the real
//! master over the wire.

use jobyard_core::{
    AttemptReport, Held, HeldState, MasterMessage, Outcome, Verdict, WorkerMessage,
};
use jobyard_tests::{WireWorker, attempts, now, started};
use tokio::runtime::Runtime;

use crate::site::Site;

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// Guards: what an attempt that is over says is answered with `forget` and changes nothing (`Engine::on_said`).
#[test]
fn fn6_reports_that_come_twice_and_out_of_order_count_once() {
    let site = Site::impatient();
    let job = site.cluster.submit(&["--tag", "name=wire"], "exit 0");
    let first_finished = runtime().block_on(async {
        let place = site.cluster.path("wire");
        let worker = WireWorker::join(site.cluster.address(), &site.token, "wire", &place).await;
        let mut session = worker.connect(Vec::new()).await;
        let attempt = session.assignment().await.attempt;
        let failed = Outcome::StartFailed {
            cause: jobyard_core::StartFailure::NotFound,
        };
        let finished =
            |outcome| WorkerMessage::Finished(AttemptReport::new(attempt, outcome, now()));
        session
            .say(vec![
                finished(Outcome::Succeeded),
                started(attempt),
                finished(Outcome::Succeeded),
                finished(failed),
                started(attempt),
            ])
            .await;
        // At least one `forget`, and nothing else.
        match session.hear().await {
            Some(MasterMessage::Forget { attempt: told }) => assert_eq!(told, attempt),
            other => panic!("{other:?}"),
        }
        let shown = site.end(&job);
        // Long after, in another session.
        let held = Held::new(
            attempt,
            HeldState::Finished(AttemptReport::new(attempt, failed, now())),
        );
        let again = worker.connect(vec![held]).await;
        assert!(
            matches!(again.welcome.verdicts[..], [(told, Verdict::Forget)] if told == attempt),
            "{:?}",
            again.welcome.verdicts
        );
        shown
    });
    let shown = site.cluster.show(&job);
    assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
    assert_eq!(shown["finished_at"], first_finished["finished_at"]);
    assert_eq!(attempts(&shown).len(), 1, "{shown}");
}

/// The old session speaks after the new one has begun. Guards: a new session ends the older one, and frames of a session
/// that is over are not heard (`Engine::on_session_opened`).
#[test]
fn fn6_what_an_older_session_says_late_is_not_heard() {
    let site = Site::impatient();
    let job = site.cluster.submit(&["--tag", "name=wire"], "exit 0");
    runtime().block_on(async {
        let place = site.cluster.path("wire");
        let worker = WireWorker::join(site.cluster.address(), &site.token, "wire", &place).await;
        let mut old = worker.connect(Vec::new()).await;
        let attempt = old.assignment().await.attempt;
        let held = Held::new(
            attempt,
            HeldState::Running {
                pid: None,
                started_at: now(),
            },
        );
        let mut new = worker.connect(vec![held]).await;
        let failed = Outcome::StartFailed {
            cause: jobyard_core::StartFailure::NotFound,
        };
        old.say(vec![WorkerMessage::Finished(AttemptReport::new(
            attempt,
            failed,
            now(),
        ))])
        .await;
        // All that is left of it is its end.
        while let Some(message) = old.hear().await {
            assert!(matches!(message, MasterMessage::Closing(_)), "{message:?}");
        }
        new.settle().await;
        assert_eq!(site.cluster.show(&job)["state"], "running");
        let report = AttemptReport::new(attempt, Outcome::Succeeded, now());
        new.say(vec![WorkerMessage::Finished(report)]).await;
        let shown = site.end(&job);
        assert_eq!(shown["outcome"]["kind"], "succeeded", "{shown}");
        assert_eq!(attempts(&shown).len(), 1, "{shown}");
    });
}
