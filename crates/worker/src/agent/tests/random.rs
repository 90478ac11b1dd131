//! What holds whatever happens, in whatever order.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use jobyard_core::{
    Assignment, AttemptId, ClosingReason, Complaint, ComplaintKind, ConnectError, HeldState,
    MasterMessage, Outcome, Steady, StopCause, Verdict, WorkerMessage,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::rig::{LEASE, Rig, assignment, attempt, boot, bound_spec, hello, welcome};
use crate::agent::{AgentConfig, AttemptEnd, Input, JournalEntry, Output, ShutdownMode};

fn attempts() -> impl Strategy<Value = AttemptId> {
    (0_u128..4, 1_u32..3).prop_map(|(job, number)| attempt(job, number))
}

/// Every other job must not outlive the lease.
fn perhaps_bound(attempt: AttemptId) -> Assignment {
    if is_bound(attempt) {
        Assignment::new(attempt, bound_spec())
    } else {
        assignment(attempt)
    }
}

fn is_bound(attempt: AttemptId) -> bool {
    attempt.job.as_uuid().as_u128() % 2 == 1
}

fn message() -> impl Strategy<Value = MasterMessage> {
    let verdict = prop_oneof![
        Just(Verdict::Keep),
        Just(Verdict::Forget),
        Just(Verdict::Stop {
            cause: StopCause::Cancelled,
            grace: Duration::from_secs(1)
        }),
    ];
    prop_oneof![
        4 => (0_u64..4, vec((attempts(), verdict), 0..3)).prop_map(|(epoch, verdicts)| {
            let mut welcome = welcome(epoch);
            welcome.verdicts = verdicts;
            MasterMessage::Welcome(welcome)
        }),
        4 => Just(MasterMessage::Heartbeat),
        8 => attempts().prop_map(|attempt| MasterMessage::Assign(perhaps_bound(attempt))),
        1 => proptest::bool::weighted(0.3).prop_map(MasterMessage::Draining),
        2 => attempts().prop_map(|attempt| MasterMessage::Stop {
            attempt,
            cause: StopCause::Cancelled,
            grace: Duration::from_secs(1),
        }),
        3 => attempts().prop_map(|attempt| MasterMessage::Forget { attempt }),
        1 => Just(MasterMessage::Closing(ClosingReason::Restarting)),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let now = Rig::new(Vec::new()).now;
    prop_oneof![
        4 => Just(Input::Connected),
        1 => Just(Input::ConnectFailed(ConnectError::Unreachable { problem: String::new() })),
        16 => message().prop_map(Input::Received),
        1 => Just(Input::SessionLost(jobyard_core::LinkError::Closed)),
        6 => attempts().prop_map(|attempt| Input::Journaled { attempt }),
        1 => attempts().prop_map(|attempt| Input::JournalFailed { attempt }),
        4 => attempts().prop_map(move |attempt| Input::AttemptStarted {
            attempt, pid: None, trace: None, at: now.wall,
        }),
        4 => (attempts(), proptest::bool::weighted(0.1)).prop_map(move |(attempt, unconfirmed)| {
            let mut end = AttemptEnd::new(attempt, Outcome::Succeeded, now.wall);
            end.residue.unconfirmed = unconfirmed;
            Input::AttemptEnded(end)
        }),
        2 => (proptest::bool::ANY, proptest::bool::weighted(0.2)).prop_map(|(full, exhausted)| {
            let disk = Complaint::new(ComplaintKind::Disk, "full");
            let complaints = full.then_some(disk).into_iter().collect();
            Input::Complaints { complaints, exhausted }
        }),
        1 => attempts().prop_map(|attempt| Input::TaintGone { attempt }),
        1 => attempts().prop_map(|attempt| Input::LogConfirmed { attempt }),
        4 => Just(Input::DeadlineReached),
    ]
}

/// Whether the shell could say this now: answers come only to what was asked.
fn fits(input: &Input, asked: &BTreeSet<AttemptId>) -> bool {
    match input {
        Input::Journaled { attempt } | Input::JournalFailed { attempt } => asked.contains(attempt),
        _ => true,
    }
}

struct Checked {
    rig: Rig,
    /// `Accepted` entries that were not answered yet.
    asked: BTreeSet<AttemptId>,
    journaled: BTreeSet<AttemptId>,
    started: BTreeSet<AttemptId>,
    finished: BTreeSet<AttemptId>,
    journal: Vec<JournalEntry>,
}

impl Checked {
    fn new() -> Self {
        let mut checked = Self {
            rig: Rig::new(Vec::new()),
            asked: BTreeSet::new(),
            journaled: BTreeSet::new(),
            started: BTreeSet::new(),
            finished: BTreeSet::new(),
            journal: Vec::new(),
        };
        checked.step(Input::Start);
        checked
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        match &input {
            Input::Journaled { attempt } => {
                self.asked.remove(attempt);
                self.journaled.insert(*attempt);
            }
            Input::JournalFailed { attempt } => {
                self.asked.remove(attempt);
            }
            Input::DeadlineReached => {
                if let Some(deadline) = self.rig.agent.next_deadline() {
                    self.rig.now.steady = self.rig.now.steady.max(deadline);
                }
            }
            _ => {}
        }
        let out = self.rig.feed(input);
        for output in &out {
            self.check(output);
        }
        self.reports_stay(&out);
        out
    }

    fn check(&mut self, output: &Output) {
        match output {
            Output::Start(assignment) => {
                let attempt = assignment.attempt;
                assert!(
                    self.journaled.contains(&attempt),
                    "{attempt} is not in the journal"
                );
                assert!(self.started.insert(attempt), "{attempt} starts twice");
            }
            Output::Journal(entry) => {
                match entry {
                    JournalEntry::Accepted { attempt, .. } => {
                        assert!(self.asked.insert(*attempt), "{attempt} is accepted twice");
                    }
                    JournalEntry::Finished(report) => {
                        self.finished.insert(report.attempt);
                    }
                    _ => {}
                }
                self.journal.push(entry.clone());
            }
            Output::Discard { attempt } => {
                self.finished.remove(attempt);
            }
            _ => {}
        }
    }

    /// A report leaves the inventory only with a `Discard`, and every hello has it.
    fn reports_stay(&self, out: &[Output]) {
        let reports = |held: &jobyard_core::Held| {
            matches!(held.state, HeldState::Finished(_)).then_some(held.attempt)
        };
        let held: BTreeSet<_> = self
            .rig
            .agent
            .held()
            .filter_map(|held| reports(&held))
            .collect();
        assert_eq!(held, self.finished);
        if let Some(hello) = hello(out) {
            let told: BTreeSet<_> = hello.inventory.iter().filter_map(reports).collect();
            assert_eq!(told, self.finished);
        }
    }
}

/// What anybody can say of the lease who sees what goes in and out.
#[derive(Default)]
struct Promise {
    asked: Steady,
    beats: VecDeque<Steady>,
    until: Steady,
    /// Attempts that hang on it and were not told to stop.
    runs: BTreeSet<AttemptId>,
}

impl Promise {
    fn before(&mut self, input: &Input, listens: bool) {
        match input {
            Input::AttemptEnded(end) => drop(self.runs.remove(&end.attempt)),
            Input::Received(MasterMessage::Heartbeat) if listens => {
                if let Some(sent) = self.beats.pop_front() {
                    self.until = self.until.max(sent + LEASE);
                }
            }
            _ => {}
        }
    }

    fn after(&mut self, now: Steady, out: &[Output]) {
        for output in out {
            match output {
                Output::Connect(_) => {
                    self.asked = now;
                    self.beats.clear();
                }
                Output::Opened { .. } => self.until = self.until.max(self.asked + LEASE),
                Output::Send(WorkerMessage::Heartbeat) => self.beats.push_back(now),
                Output::Start(assignment) if is_bound(assignment.attempt) => {
                    self.runs.insert(assignment.attempt);
                }
                Output::Stop { attempt, .. } | Output::Kill { attempt } => {
                    self.runs.remove(attempt);
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_starts_twice_or_unwritten_and_no_report_is_lost(
        inputs in vec(input(), 1..120),
        crash in 0_usize..120,
        same_boot: bool,
    ) {
        let mut checked = Checked::new();
        for (at, input) in inputs.into_iter().enumerate() {
            if at == crash {
                // The worker dies, and another life reads the journal.
                let mut config = AgentConfig::new(checked.rig.agent.config.worker, boot(1), boot(101));
                if !same_boot {
                    config.boot = boot(2);
                }
                checked.rig.agent = crate::agent::Agent::new(config, checked.journal.clone());
                checked.asked.clear();
                checked.step(Input::Start);
            }
            if fits(&input, &checked.asked) {
                checked.step(input);
            }
        }
    }

    #[test]
    fn nothing_that_hangs_on_the_lease_is_left_running_towards_its_end_i5(
        inputs in vec((input(), 0_u64..12_000), 1..160),
    ) {
        let mut checked = Checked::new();
        let mut promise = Promise {
            asked: checked.rig.now.steady,
            ..Promise::default()
        };
        for (input, millis) in inputs {
            if !fits(&input, &checked.asked) {
                continue;
            }
            checked.rig.pass(Duration::from_millis(millis));
            promise.before(&input, checked.rig.agent.is_connected());
            let out = checked.step(input);
            let now = checked.rig.now.steady;
            promise.after(now, &out);
            if !promise.runs.is_empty() {
                prop_assert!(now + LEASE / 4 < promise.until, "{:?} runs", promise.runs);
            }
            prop_assert!(checked.rig.agent.lease_until().unwrap_or_default() <= promise.until);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(inputs in vec(input(), 1..80)) {
        let run = || {
            let mut checked = Checked::new();
            let mut all = Vec::new();
            for input in &inputs {
                if fits(input, &checked.asked) {
                    all.extend(checked.step(input.clone()));
                }
            }
            all
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn the_master_knows_whether_and_why_not_jobs_are_taken(inputs in vec(input(), 1..120)) {
        let mut checked = Checked::new();
        let (mut accepting, mut complaints) = (true, Vec::new());
        for input in inputs {
            if !fits(&input, &checked.asked) {
                continue;
            }
            for output in checked.step(input) {
                match output {
                    Output::Connect(hello) => (accepting, complaints) = (hello.accepting, Vec::new()),
                    Output::Send(WorkerMessage::Accepting(now)) => accepting = now,
                    Output::Send(WorkerMessage::Complaints(now)) => complaints = now,
                    _ => {}
                }
            }
            if checked.rig.agent.is_connected() {
                prop_assert_eq!(accepting, complaints.is_empty());
            }
        }
    }

    #[test]
    fn every_shutdown_comes_to_an_end(inputs in vec(input(), 1..60)) {
        let mut checked = Checked::new();
        for input in inputs {
            if fits(&input, &checked.asked) {
                checked.step(input);
            }
        }
        let asked: Vec<_> = checked.asked.iter().copied().collect();
        for attempt in asked {
            checked.step(Input::Journaled { attempt });
        }
        checked.step(Input::Shutdown(ShutdownMode::Stop));
        for _ in 0..1000 {
            if checked.rig.agent.has_exited() {
                return Ok(());
            }
            checked.step(Input::DeadlineReached);
        }
        prop_assert!(false, "it goes on for ever");
    }
}
