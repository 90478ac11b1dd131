//! An agent with hands: time to move, a master's words to say, and shorthands to read what it answers.

use std::time::Duration;

use jobyard_core::{
    Assignment, AttemptId, AttemptNumber, BootId, Epoch, ExecutorSpec, HeldState, Hello, JobId,
    JobSpec, LinkError, LogEnd, MasterMessage, Now, OnDisconnect, Outcome, SessionId, Steady,
    Timestamp, ValidSpec, Verdict, Welcome, WorkerId, WorkerMessage,
};
use uuid::Uuid;

use crate::agent::{Agent, AgentConfig, AttemptEnd, Input, JournalEntry, Output};

pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const GRACE: Duration = Duration::from_secs(7);

pub(super) struct Rig {
    pub(super) agent: Agent,
    pub(super) now: Now,
}

pub(super) fn boot(number: u128) -> BootId {
    BootId::from_uuid(Uuid::from_u128(number))
}

pub(super) fn attempt(job: u128, number: u32) -> AttemptId {
    AttemptId::new(
        JobId::from_uuid(Uuid::from_u128(job)),
        AttemptNumber::new(number).unwrap(),
    )
}

pub(super) fn spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", "{}"));
    spec.grace = GRACE;
    spec.validate().unwrap()
}

/// Of a job that must not outlive the lease.
pub(super) fn bound_spec() -> ValidSpec {
    let mut spec = JobSpec::new(ExecutorSpec::new("process", "{}"));
    spec.grace = GRACE;
    spec.on_disconnect = OnDisconnect::Stop;
    spec.validate().unwrap()
}

pub(super) fn assignment(attempt: AttemptId) -> Assignment {
    Assignment::new(attempt, spec())
}

pub(super) fn accepted(attempt: AttemptId, boot: BootId) -> JournalEntry {
    JournalEntry::Accepted {
        attempt,
        spec: spec(),
        env: [].into(),
        boot,
    }
}

pub(super) fn welcome(epoch: u64) -> Welcome {
    Welcome::new(
        SessionId::from_uuid(Uuid::from_u128(1)),
        Epoch(epoch),
        WorkerId::from_uuid(Uuid::from_u128(7)),
        "builder".to_owned(),
        HEARTBEAT,
        LEASE,
    )
}

impl Rig {
    pub(super) fn new(journal: Vec<JournalEntry>) -> Self {
        let worker = WorkerId::from_uuid(Uuid::from_u128(7));
        let config = AgentConfig::new(worker, boot(1), boot(100));
        let now = Now {
            wall: Timestamp::from_micros(1_800_000_000_000_000),
            steady: Steady::from_micros(1_000_000),
        };
        Self {
            agent: Agent::new(config, journal),
            now,
        }
    }

    /// Started, connected and welcomed.
    pub(super) fn open() -> Self {
        let mut rig = Self::new(Vec::new());
        rig.start();
        rig.welcomed();
        rig
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.agent.handle(self.now, input, &mut out);
        out
    }

    pub(super) fn start(&mut self) -> Vec<Output> {
        self.feed(Input::Start)
    }

    pub(super) fn hear(&mut self, message: MasterMessage) -> Vec<Output> {
        self.feed(Input::Received(message))
    }

    pub(super) fn welcomed(&mut self) -> Vec<Output> {
        self.welcomed_with(Vec::new())
    }

    pub(super) fn welcomed_with(&mut self, verdicts: Vec<(AttemptId, Verdict)>) -> Vec<Output> {
        let mut out = self.feed(Input::Connected);
        let mut welcome = welcome(1);
        welcome.verdicts = verdicts;
        out.extend(self.hear(MasterMessage::Welcome(welcome)));
        out
    }

    pub(super) fn lose_session(&mut self) -> Vec<Output> {
        self.feed(Input::SessionLost(LinkError::Closed))
    }

    /// Lets time pass until the next deadline.
    pub(super) fn wait(&mut self) -> Vec<Output> {
        let deadline = self.agent.next_deadline().expect("something is due");
        self.now.steady = self.now.steady.max(deadline);
        self.feed(Input::DeadlineReached)
    }

    /// Lets deadlines pass until it connects.
    pub(super) fn hello(&mut self) -> Hello {
        for _ in 0..10 {
            if let Some(hello) = hello(&self.wait()) {
                return hello;
            }
        }
        panic!("it does not connect");
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.steady = self.now.steady + time;
    }

    /// Lets time pass with every deadline at its time, and the master silent.
    pub(super) fn pass_through(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now.steady + time;
        let mut out = Vec::new();
        while let Some(due) = self.agent.next_deadline().filter(|due| *due <= end) {
            self.now.steady = self.now.steady.max(due);
            out.extend(self.feed(Input::DeadlineReached));
        }
        self.now.steady = end;
        out
    }

    /// The master answers a heartbeat.
    pub(super) fn answered(&mut self) -> Vec<Output> {
        self.hear(MasterMessage::Heartbeat)
    }

    /// Assigns an attempt that must not outlive the lease.
    pub(super) fn assign_bound(&mut self, attempt: AttemptId) -> Vec<Output> {
        let assignment = Assignment::new(attempt, bound_spec());
        self.hear(MasterMessage::Assign(assignment))
    }

    /// One that runs.
    pub(super) fn run_bound(&mut self, attempt: AttemptId) {
        self.assign_bound(attempt);
        self.feed(Input::Journaled { attempt });
        self.started(attempt);
    }

    pub(super) fn assign(&mut self, attempt: AttemptId) -> Vec<Output> {
        self.hear(MasterMessage::Assign(assignment(attempt)))
    }

    /// Assigned and in the journal.
    pub(super) fn begin(&mut self, attempt: AttemptId) -> Vec<Output> {
        let mut out = self.assign(attempt);
        out.extend(self.feed(Input::Journaled { attempt }));
        out
    }

    pub(super) fn started(&mut self, attempt: AttemptId) -> Vec<Output> {
        let at = self.now.wall;
        self.feed(Input::AttemptStarted {
            attempt,
            pid: Some(42),
            trace: None,
            at,
        })
    }

    pub(super) fn run(&mut self, attempt: AttemptId) {
        self.begin(attempt);
        self.started(attempt);
    }

    pub(super) fn ended(&mut self, attempt: AttemptId, outcome: Outcome) -> Vec<Output> {
        let mut end = AttemptEnd::new(attempt, outcome, self.now.wall);
        end.log = LogEnd {
            bytes: 5,
            dropped: 0,
        };
        self.feed(Input::AttemptEnded(end))
    }

    pub(super) fn forget(&mut self, attempt: AttemptId) -> Vec<Output> {
        self.hear(MasterMessage::Forget { attempt })
    }

    pub(super) fn states(&self) -> Vec<(AttemptId, &'static str)> {
        self.agent
            .held()
            .map(|held| (held.attempt, name(&held.state)))
            .collect()
    }
}

pub(super) fn name(state: &HeldState) -> &'static str {
    match state {
        HeldState::Accepted => "accepted",
        HeldState::Running { .. } => "running",
        HeldState::Finished(_) => "finished",
        _ => "unknown",
    }
}

pub(super) fn hello(out: &[Output]) -> Option<Hello> {
    out.iter().find_map(|output| match output {
        Output::Connect(hello) => Some((**hello).clone()),
        _ => None,
    })
}

pub(super) fn sent(out: &[Output]) -> Vec<WorkerMessage> {
    out.iter()
        .filter_map(|output| match output {
            Output::Send(message) => Some(message.clone()),
            _ => None,
        })
        .collect()
}

pub(super) fn starts(out: &[Output]) -> usize {
    out.iter()
        .filter(|output| matches!(output, Output::Start(_)))
        .count()
}

/// The outputs by name, without what only concerns the journal.
pub(super) fn names(out: &[Output]) -> Vec<&'static str> {
    out.iter()
        .filter_map(|output| {
            Some(match output {
                Output::Connect(_) => "connect",
                Output::Disconnect => "disconnect",
                Output::Opened { .. } => "opened",
                Output::Send(WorkerMessage::Heartbeat) => "heartbeat",
                Output::Send(WorkerMessage::Started { .. }) => "say started",
                Output::Send(WorkerMessage::Finished(_)) => "say finished",
                Output::Send(WorkerMessage::Declined { .. }) => "decline",
                Output::Send(WorkerMessage::Accepting(_)) => "accepting",
                Output::Send(WorkerMessage::Complaints(_)) => "complain",
                Output::Send(_) => "say",
                Output::Journal(_) | Output::GaveUp { .. } => return None,
                Output::Start(_) => "start",
                Output::Adopt { .. } => "adopt",
                Output::Stop { .. } => "stop",
                Output::Extend { .. } => "extend",
                Output::Kill { .. } => "kill",
                Output::Detach { .. } => "detach",
                Output::Upload { .. } => "upload",
                Output::Discard { .. } => "discard",
                Output::WipeIdentity => "wipe",
                Output::Exit(_) => "exit",
            })
        })
        .collect()
}
