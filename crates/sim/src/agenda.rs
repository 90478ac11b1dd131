//! What happens next.

use std::collections::BTreeMap;

use jobyard_core::{AttemptId, Exit, JobId, LogEnd, Residue, StartError, Steady};
use jobyard_master::engine::{Answer, Input};

use crate::network::{LinkId, Side};

/// Events by time; those of the same time in the order in which they were set.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    events: BTreeMap<(Steady, u64), Event>,
    sequence: u64,
}

impl Agenda {
    pub(crate) fn set(&mut self, at: Steady, event: Event) {
        self.sequence += 1;
        self.events.insert((at, self.sequence), event);
    }

    pub(crate) fn next(&mut self) -> Option<(Steady, Event)> {
        let ((at, _), event) = self.events.pop_first()?;
        Some((at, event))
    }
}

/// Something that happens at its time. What belongs to a life of a program carries the number of that life, and means
/// nothing after it.
#[derive(Debug)]
pub(crate) enum Event {
    /// The oldest frame of a direction arrives.
    Deliver { link: LinkId, to: Side },
    /// A side notices that a connection is broken.
    LinkLost { link: LinkId, side: Side },
    /// In a life of the master.
    Master { life: u64, event: MasterEvent },
    /// The master begins a life.
    MasterUp { life: u64 },
    /// In a life of a worker's agent.
    Agent {
        worker: usize,
        life: u64,
        event: AgentEvent,
    },
    /// A worker's agent begins a life.
    AgentUp { worker: usize, life: u64 },
    /// In a boot of a worker's machine.
    Machine {
        worker: usize,
        boot: u64,
        event: MachineEvent,
    },
    /// A client sends a request, perhaps again.
    AskSent { ask: u64 },
    /// A request arrives at the master.
    AskArrives { ask: u64 },
    /// A wall clock is set.
    WallJumpDue,
    /// Finished jobs are removed.
    PruneDue,
    /// An answer arrives at its client; `None`: the master cannot answer.
    AnswerArrives { ask: u64, answer: Option<Answer> },
    /// Somebody submits jobs.
    SubmitDue,
    /// An operator does something.
    OperatorDue,
    /// A worker begins or ceases to complain.
    ComplaintDue,
    /// Something goes wrong.
    FaultDue,
    /// No more jobs, no more faults.
    HorizonReached,
    /// Operators let every worker have jobs again.
    ResumeDue,
    /// Somebody looks whether everything is done.
    LookDue,
}

/// See [`Event::Master`].
#[derive(Debug)]
pub(crate) enum MasterEvent {
    /// The engine's deadline, as it was when this was set.
    Deadline(Steady),
    /// The commit that is under way ends.
    CommitDone,
    /// It dies.
    Dies,
    /// The shell has come to tell the engine something.
    Tell(Box<Input>),
    /// An assignment is sent once more.
    AssignAgain {
        session: jobyard_core::SessionId,
        assignment: Box<jobyard_core::Assignment>,
    },
    /// The shell seals a log that will not grow any more.
    Seal {
        attempt: AttemptId,
        end: Option<LogEnd>,
    },
}

/// See [`Event::Agent`].
#[derive(Debug)]
pub(crate) enum AgentEvent {
    /// The agent's deadline, as it was when this was set.
    Deadline(Steady),
    /// The journal has an entry, or could not take it.
    Journaled { attempt: AttemptId, written: bool },
    /// A master of an older term answers a hello.
    OldMaster {
        link: LinkId,
        epoch: jobyard_core::Epoch,
    },
    /// It runs again after it was stuck.
    Thaws,
    /// Nobody answers a try to connect.
    Unreachable { link: LinkId },
    /// A new connection for output is due.
    UploadDue { attempt: AttemptId },
    /// The executor creates a process.
    Spawn { attempt: AttemptId },
    /// The executor answers a start.
    StartAnswered {
        attempt: AttemptId,
        failure: Option<StartError>,
    },
    /// The executor answers an adoption.
    AdoptAnswered { attempt: AttemptId },
    /// The executor has cleaned up.
    CleanedUp {
        attempt: AttemptId,
        residue: Residue,
    },
    /// A signal was not delivered.
    SignalFailed { attempt: AttemptId },
    /// It dies.
    Dies,
    /// A supervisor's deadline, as it was when this was set.
    SupervisorDeadline { attempt: AttemptId, at: Steady },
}

/// See [`Event::Machine`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum MachineEvent {
    /// A process prints.
    Prints { attempt: AttemptId, bytes: u64 },
    /// The launcher looks whether an attempt has outlived its lease.
    LeaseOver { attempt: AttemptId, pid: u32 },
    /// A process ends, unless it has ended before.
    Exits {
        attempt: AttemptId,
        pid: u32,
        exit: Exit,
    },
}

impl Event {
    /// A word, and what it is about: for the trace.
    pub(crate) const fn describe(
        &self,
    ) -> Option<(&'static str, Option<usize>, Option<AttemptId>)> {
        Some(match self {
            // A message is noted when it is known whether it arrives; with a jump of the wall clock and without it, the
            // history is the same.
            Self::Deliver { .. } | Self::WallJumpDue => return None,
            Self::LinkLost { .. } => ("link lost", None, None),
            Self::Master { event, .. } => match event {
                MasterEvent::Deadline(_) => ("master deadline", None, None),
                MasterEvent::CommitDone => ("commit done", None, None),
                MasterEvent::Dies => ("master due to die", None, None),
                MasterEvent::Tell(_) => ("master told", None, None),
                MasterEvent::Seal { attempt, .. } => ("log sealed", None, Some(*attempt)),
                MasterEvent::AssignAgain { assignment, .. } => {
                    ("assigned again", None, Some(assignment.attempt))
                }
            },
            Self::MasterUp { .. } => ("master up", None, None),
            Self::Agent { worker, event, .. } => {
                let (what, attempt) = event.describe();
                (what, Some(*worker), attempt)
            }
            Self::AgentUp { worker, .. } => ("agent up", Some(*worker), None),
            Self::Machine { worker, event, .. } => match event {
                MachineEvent::Prints { attempt, .. } => ("prints", Some(*worker), Some(*attempt)),
                MachineEvent::LeaseOver { attempt, .. } => {
                    ("launcher looks", Some(*worker), Some(*attempt))
                }
                MachineEvent::Exits { attempt, .. } => ("exits", Some(*worker), Some(*attempt)),
            },
            Self::PruneDue => ("prune due", None, None),
            Self::AskSent { .. } => ("client asks", None, None),
            Self::AskArrives { .. } => ("request arrives", None, None),
            Self::AnswerArrives { .. } => ("answer arrives", None, None),
            Self::SubmitDue => ("submit due", None, None),
            Self::OperatorDue => ("operator due", None, None),
            Self::ComplaintDue => ("complaint due", None, None),
            Self::FaultDue => ("fault due", None, None),
            Self::HorizonReached => ("horizon", None, None),
            Self::ResumeDue => ("resume due", None, None),
            Self::LookDue => ("look", None, None),
        })
    }
}

impl AgentEvent {
    const fn describe(&self) -> (&'static str, Option<AttemptId>) {
        match self {
            Self::Deadline(_) => ("agent deadline", None),
            Self::Journaled { attempt, .. } => ("journaled", Some(*attempt)),
            Self::OldMaster { .. } => ("old master answers", None),
            Self::Thaws => ("thaws", None),
            Self::Unreachable { .. } => ("unreachable", None),
            Self::UploadDue { attempt } => ("upload due", Some(*attempt)),
            Self::Spawn { attempt } => ("spawn", Some(*attempt)),
            Self::StartAnswered { attempt, .. } => ("start answered", Some(*attempt)),
            Self::AdoptAnswered { attempt } => ("adopt answered", Some(*attempt)),
            Self::CleanedUp { attempt, .. } => ("cleaned up", Some(*attempt)),
            Self::SignalFailed { attempt } => ("signal failed", Some(*attempt)),
            Self::Dies => ("agent due to die", None),
            Self::SupervisorDeadline { attempt, .. } => ("supervisor deadline", Some(*attempt)),
        }
    }
}

/// A job, as short as it can be told apart in a trace.
pub(crate) fn short(job: JobId) -> String {
    job.to_string().chars().take(8).collect()
}
