use std::fmt::Write as _;

use jobyard_core::{StartFailure, Steady, Timestamp};

use super::*;

const GRACE: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_mins(1);

fn plan() -> Plan {
    Plan {
        timeout: Some(TIMEOUT),
        grace: GRACE,
        signals: true,
    }
}

/// `seconds` after the start of both clocks.
fn at(seconds: u64) -> Now {
    Now {
        wall: Timestamp::from_micros(i64::try_from(seconds).expect("small") * 1_000_000),
        steady: Steady::from_micros(seconds * 1_000_000),
    }
}

fn started() -> Input {
    Input::Started {
        pid: Some(42),
        trace: Some(ExecutionTrace::new(42, 7)),
    }
}

fn stop(cause: StopCause, seconds: u64) -> Input {
    Input::Stop {
        cause,
        grace: Duration::from_secs(seconds),
    }
}

fn cancel() -> Input {
    stop(StopCause::Cancelled, 10)
}

fn lost() -> Input {
    Input::Lost(Lost::new(InfraReason::WorkerFault, "its launcher is gone"))
}

/// The executor has ended it by itself.
fn expired() -> Input {
    Input::Lost(Lost::new(InfraReason::LeaseExpired, "its time was over"))
}

fn cleaned_after(hit: LimitKind) -> Input {
    let mut residue = Residue::default();
    residue.limit_hit = Some(hit);
    Input::CleanedUp(residue)
}

fn not_found() -> StartError {
    StartError::Job {
        cause: StartFailure::NotFound,
        problem: "no such program".to_owned(),
    }
}

/// A supervisor that was told all of this, each at its second.
fn after(plan: Plan, inputs: &[(u64, Input)]) -> (Supervisor, Vec<Command>) {
    let mut supervisor = Supervisor::new(plan);
    let mut out = Vec::new();
    for (second, input) in inputs {
        supervisor
            .handle(at(*second), input.clone(), &mut out)
            .expect("an orderly history");
    }
    (supervisor, out)
}

/// The ending of a history that reaches one.
fn ending(inputs: &[(u64, Input)]) -> Ending {
    let (supervisor, mut out) = after(plan(), inputs);
    assert!(supervisor.is_done());
    match out.pop() {
        Some(Command::Report(SupervisorEvent::Finished(ending))) => ending,
        other => panic!("no ending: {other:?}"),
    }
}

#[test]
fn every_state_and_input_does_what_the_table_says() {
    insta::assert_snapshot!("transitions", table());
}

fn table() -> String {
    let inputs = inputs();
    let mut text = String::new();
    for (name, history) in &states() {
        writeln!(text, "{name}").expect("a string takes all");
        let (before, _) = after(plan(), history);
        for (input_name, second, input) in &inputs {
            let row = row(&before, *second, input);
            writeln!(text, "  {input_name:<24} {row}").expect("a string takes all");
        }
    }
    text
}

/// Each state, and how it is reached.
fn states() -> [(&'static str, Vec<(u64, Input)>); 18] {
    let start = (0, Input::Start);
    let running = [start.clone(), (1, started())];
    let then = |more: &[(u64, Input)]| [&running[..], more].concat();
    [
        ("New", vec![]),
        ("Starting", vec![start.clone()]),
        ("Starting{stop}", vec![start.clone(), (1, cancel())]),
        (
            "Starting{adopt}",
            vec![(
                0,
                Input::Adopt {
                    started_at: Some(at(0).wall),
                },
            )],
        ),
        ("Running", running.to_vec()),
        ("Stopping{Cancelled,Grace}", then(&[(2, cancel())])),
        (
            "Stopping{WorkerStopping,Grace}",
            then(&[(2, stop(StopCause::WorkerStopping, 10))]),
        ),
        (
            "Starting{adopt,stop LeaseExpired}",
            vec![
                (
                    0,
                    Input::Adopt {
                        started_at: Some(at(0).wall),
                    },
                ),
                (1, stop(StopCause::LeaseExpired, 10)),
            ],
        ),
        (
            "Stopping{LeaseExpired,Grace}",
            then(&[(2, stop(StopCause::LeaseExpired, 10))]),
        ),
        (
            "Stopping{Drained,Killing}",
            then(&[(2, stop(StopCause::Drained, 0))]),
        ),
        (
            "Stopping{TimedOut,Grace}",
            then(&[(61, Input::DeadlineReached)]),
        ),
        ("Stopping{Cancelled,Killing}", then(&[(2, Input::KillNow)])),
        ("CleaningUp", then(&[(2, Input::Exited(Exit::Exited(7)))])),
        (
            "CleaningUp{Cancelled}",
            then(&[(2, cancel()), (3, Input::Exited(Exit::Signaled(15)))]),
        ),
        (
            "CleaningUp{succeeded}",
            then(&[(2, Input::Exited(Exit::Exited(0)))]),
        ),
        ("CleaningUp{lost}", then(&[(2, lost())])),
        (
            "CleaningUp{Cancelled,lost}",
            then(&[(2, cancel()), (3, lost())]),
        ),
        ("Done", vec![(0, cancel())]),
    ]
}

/// Each input, and when it comes.
fn inputs() -> Vec<(&'static str, u64, Input)> {
    let mut residue = Residue::default();
    residue.killed = 2;
    vec![
        ("Start", 5, Input::Start),
        ("Adopt", 5, Input::Adopt { started_at: None }),
        ("Started", 5, started()),
        ("StartFailed", 5, Input::StartFailed(not_found())),
        ("Gone", 5, Input::Gone(Gone::new(3))),
        ("Exited(0)", 5, Input::Exited(Exit::Exited(0))),
        ("Exited(SIGKILL)", 5, Input::Exited(Exit::Signaled(9))),
        ("Lost", 5, lost()),
        ("Lost(LeaseExpired)", 5, expired()),
        ("CleanedUp", 5, Input::CleanedUp(residue)),
        ("CleanedUp(memory)", 5, cleaned_after(LimitKind::Memory)),
        (
            "CleanedUp(processes)",
            5,
            cleaned_after(LimitKind::Processes),
        ),
        ("CleanedUp(cpu)", 5, cleaned_after(LimitKind::Cpu)),
        ("Stop(Cancelled,3s)", 5, stop(StopCause::Cancelled, 3)),
        ("Stop(Cancelled,99s)", 5, stop(StopCause::Cancelled, 99)),
        ("Stop(Cancelled,0s)", 5, stop(StopCause::Cancelled, 0)),
        (
            "Stop(WorkerStopping,3s)",
            5,
            stop(StopCause::WorkerStopping, 3),
        ),
        ("Stop(LeaseExpired,3s)", 5, stop(StopCause::LeaseExpired, 3)),
        ("Stop(Drained,3s)", 5, stop(StopCause::Drained, 3)),
        ("KillNow", 5, Input::KillNow),
        ("DeadlineReached(early)", 5, Input::DeadlineReached),
        ("DeadlineReached(due)", 500, Input::DeadlineReached),
        ("SignalFailed", 5, Input::SignalFailed),
    ]
}

fn row(before: &Supervisor, second: u64, input: &Input) -> String {
    let mut supervisor = before.clone();
    let mut out = Vec::new();
    match supervisor.handle(at(second), input.clone(), &mut out) {
        Err(_) => {
            assert_eq!((&supervisor, out.is_empty()), (before, true), "no effect");
            "invalid".to_owned()
        }
        Ok(()) if supervisor == *before && out.is_empty() => "no-op".to_owned(),
        Ok(()) => format!("{} {}", state(&supervisor.state), commands(&out)),
    }
}

/// States in one line, times in seconds.
fn state(state: &State) -> String {
    match state {
        State::New => "New".to_owned(),
        State::Starting { stop: None, .. } => "Starting".to_owned(),
        State::Starting {
            stop: Some(stop), ..
        } => format!("Starting{{{:?},{:?}}}", stop.cause, stop.grace),
        State::Running { until, .. } => format!("Running{{until {}}}", seconds(*until)),
        State::Stopping {
            cause,
            phase: Phase::Grace { until },
            ..
        } => format!(
            "Stopping{{{cause:?},Grace until {}}}",
            seconds(Some(*until))
        ),
        State::Stopping {
            cause,
            phase: Phase::Killing,
            ..
        } => format!("Stopping{{{cause:?},Killing}}"),
        State::CleaningUp { ending } => format!("CleaningUp{{{}}}", ending.outcome),
        State::Done => "Done".to_owned(),
    }
}

fn seconds(time: Option<Steady>) -> String {
    time.map_or_else(
        || "never".to_owned(),
        |time| format!("{}s", time.as_micros() / 1_000_000),
    )
}

fn commands(out: &[Command]) -> String {
    let each: Vec<String> = out
        .iter()
        .map(|command| match command {
            Command::Report(SupervisorEvent::Started { at, .. }) => {
                format!("Report(Started at {}s)", at.as_micros() / 1_000_000)
            }
            Command::Report(SupervisorEvent::Finished(ending)) => format!(
                "Report(Finished {}, killed {})",
                ending.outcome, ending.residue.killed
            ),
            other => format!("{other:?}"),
        })
        .collect();
    format!("[{}]", each.join(", "))
}

#[test]
fn exit_before_the_stop_wins() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, Input::Exited(Exit::Exited(0))),
        (2, cancel()),
        (3, Input::CleanedUp(Residue::default())),
    ]);
    assert_eq!(ending.outcome, Outcome::Succeeded);
    assert_eq!(ending.started_at, Some(at(1).wall));
    assert_eq!(ending.finished_at, at(2).wall, "the exit, not the clean-up");
}

#[test]
fn accepted_stop_keeps_the_real_exit_as_data() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, cancel()),
        (3, Input::Exited(Exit::Exited(0))),
        (3, Input::CleanedUp(Residue::default())),
    ]);
    assert_eq!(
        ending.outcome,
        Outcome::Cancelled {
            exit: Some(Exit::Exited(0))
        }
    );
}

#[test]
fn timeout_counts_from_the_answer_of_the_start() {
    let (mut supervisor, _) = after(plan(), &[(0, Input::Start), (30, started())]);
    assert_eq!(supervisor.next_deadline(), Some(at(90).steady));
    let mut out = Vec::new();
    for second in [89, 90] {
        supervisor
            .handle(at(second), Input::DeadlineReached, &mut out)
            .expect("valid while it runs");
    }
    assert_eq!(out, [Command::Signal(StopSignal::Terminate)]);
    assert_eq!(supervisor.next_deadline(), Some(at(100).steady));
}

#[test]
fn cancel_displaces_the_end_of_the_worker_as_cause() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, stop(StopCause::WorkerStopping, 10)),
        (3, cancel()),
        (4, Input::Exited(Exit::Signaled(15))),
        (4, Input::CleanedUp(Residue::default())),
    ]);
    assert_eq!(
        ending.outcome,
        Outcome::Cancelled {
            exit: Some(Exit::Signaled(15))
        }
    );
}

#[test]
fn stop_of_the_worker_is_an_infrastructure_failure() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, stop(StopCause::WorkerStopping, 0)),
        (3, Input::Exited(Exit::Signaled(9))),
        (3, Input::CleanedUp(Residue::default())),
    ]);
    assert_eq!(
        ending.outcome,
        Outcome::Infra {
            reason: InfraReason::WorkerRestarted
        }
    );
}

#[test]
fn stop_for_the_sake_of_the_cluster_says_which_and_is_no_failure_of_the_job() {
    let causes = [
        (StopCause::LeaseExpired, InfraReason::LeaseExpired),
        (StopCause::Drained, InfraReason::WorkerDrained),
    ];
    for (cause, reason) in causes {
        let ending = ending(&[
            (0, Input::Start),
            (1, started()),
            (2, stop(cause, 5)),
            (2, stop(StopCause::WorkerStopping, 5)),
            (3, Input::Exited(Exit::Exited(0))),
            (3, Input::CleanedUp(Residue::default())),
        ]);
        assert_eq!(ending.outcome, Outcome::Infra { reason });
    }
}

#[test]
fn attempt_that_its_executor_ended_with_the_lease_says_so() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, expired()),
        (3, Input::CleanedUp(Residue::default())),
    ]);
    let reason = InfraReason::LeaseExpired;
    assert_eq!(ending.outcome, Outcome::Infra { reason });
}

#[test]
fn stop_without_signals_goes_straight_to_the_kill() {
    let plan = Plan {
        signals: false,
        ..plan()
    };
    let (supervisor, out) = after(plan, &[(0, Input::Start), (1, started()), (2, cancel())]);
    assert_eq!(out.last(), Some(&Command::Kill));
    assert_eq!(supervisor.next_deadline(), None);
}

#[test]
fn adopted_attempt_keeps_its_start_time() {
    let ending = ending(&[
        (
            100,
            Input::Adopt {
                started_at: Some(at(3).wall),
            },
        ),
        (101, started()),
        (102, Input::Exited(Exit::Exited(0))),
        (102, Input::CleanedUp(Residue::default())),
    ]);
    assert_eq!(ending.started_at, Some(at(3).wall));
}

#[test]
fn failure_after_a_limit_was_enforced_is_named_after_it_p8() {
    let exit = Exit::Signaled(9);
    let after_limit = |exit: Exit, hit| {
        ending(&[
            (0, Input::Start),
            (1, started()),
            (2, Input::Exited(exit)),
            (3, cleaned_after(hit)),
        ])
        .outcome
    };
    let memory = after_limit(exit, LimitKind::Memory);
    assert_eq!(memory, Outcome::OutOfMemory { exit });
    let processes = after_limit(exit, LimitKind::Processes);
    assert_eq!(processes, Outcome::ProcessLimit { exit });
    let success = after_limit(Exit::Exited(0), LimitKind::Memory);
    assert_eq!(success, Outcome::Succeeded, "it managed all the same");
}

#[test]
fn stop_that_meets_a_limit_is_a_stop() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, cancel()),
        (3, Input::Exited(Exit::Signaled(9))),
        (4, cleaned_after(LimitKind::Memory)),
    ]);
    let exit = Some(Exit::Signaled(9));
    assert_eq!(ending.outcome, Outcome::Cancelled { exit });
    assert_eq!(ending.residue.limit_hit, Some(LimitKind::Memory));
}

#[test]
fn lost_attempt_is_a_failure_of_the_infrastructure_and_says_why() {
    let ending = ending(&[
        (0, Input::Start),
        (1, started()),
        (2, lost()),
        (3, Input::CleanedUp(Residue::default())),
    ]);
    let reason = InfraReason::WorkerFault;
    assert_eq!(ending.outcome, Outcome::Infra { reason });
    assert_eq!(ending.problem.as_deref(), Some("its launcher is gone"));
}

#[test]
fn second_stop_shortens_the_grace_and_never_lengthens_it() {
    let begin = [(0, Input::Start), (1, started())];
    let stops = [
        (2, stop(StopCause::Cancelled, 10)),
        (3, stop(StopCause::Cancelled, 100)),
        (4, stop(StopCause::Cancelled, 2)),
    ];
    let (supervisor, out) = after(plan(), &[&begin[..], &stops[..]].concat());
    assert_eq!(supervisor.next_deadline(), Some(at(6).steady));
    let signals = out
        .iter()
        .filter(|command| matches!(command, Command::Signal(_)));
    assert_eq!(signals.count(), 1, "the signal is sent once");
}

#[test]
fn stop_during_the_start_begins_its_grace_when_it_can_be_carried_out() {
    let (supervisor, out) = after(plan(), &[(0, Input::Start), (1, cancel()), (5, started())]);
    assert_eq!(out.last(), Some(&Command::Signal(StopSignal::Terminate)));
    assert_eq!(supervisor.next_deadline(), Some(at(15).steady));
}

#[test]
fn timeout_of_an_adopted_attempt_goes_on_where_it_was() {
    let plan = Plan {
        timeout: Some(Duration::from_secs(5)),
        ..plan()
    };
    let adopt = Input::Adopt {
        started_at: Some(at(3).wall),
    };
    let (supervisor, _) = after(plan, &[(100, adopt), (101, started())]);
    assert_eq!(supervisor.next_deadline(), Some(at(106).steady));
}
