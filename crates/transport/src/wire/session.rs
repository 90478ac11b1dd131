//! What a worker and its master say to each other.

use std::time::Duration;

use jobyard_core::{
    Assignment, AttemptId, AttemptReport, BootId, Complaint, Epoch, Held, HeldState, Hello,
    MAX_INVENTORY, MAX_TAGS, MAX_WORKER_SLOTS, MasterMessage, Protocol, SessionId, StopCause,
    TagSet, Timestamp, ValidSpec, Verdict, Welcome, WorkerMessage,
};

use super::complaint::{complaints, to_complaints};
use super::field::{
    at_most, choice, duration, entries, id, id_bytes, kind, list, map, micros, millis, moment,
    required, same_names, short_text, texts, to_texts, worker_id,
};
use super::{InvalidMessage, resources};
use crate::generated::v1;

/// How many optional abilities one side may name.
const MAX_FEATURES: usize = 64;

/// How many processes that were killed an inventory lists, all of its attempts together: less than 640 KiB.
const INVENTORY_PROCESSES: usize = 8192;

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            protocol: Some(hello.protocol.into()),
            boot: id_bytes(hello.boot.as_uuid()),
            agent: id_bytes(hello.agent.as_uuid()),
            facts: Some(hello.facts.into()),
            tags: to_texts(hello.tags.iter()),
            slots: hello.capacity.slots,
            accepting: hello.accepting,
            inventory: inventory(hello.inventory),
            max_epoch: hello.max_epoch.0,
            exclusive: to_texts(hello.exclusive.iter()),
            capacity: resources::amounts(hello.capacity),
        }
    }
}

/// What a worker holds. All of it travels in one message: once the lists of processes that were killed have become too
/// much, the others go without.
fn inventory(inventory: Vec<Held>) -> Vec<v1::Held> {
    let mut left = INVENTORY_PROCESSES;
    let mut message = |mut held: Held| {
        if let HeldState::Finished(report) = &mut held.state {
            let processes = &mut report.residue.processes;
            match left.checked_sub(processes.len()) {
                Some(rest) => left = rest,
                None => processes.clear(),
            }
        }
        held.into()
    };
    inventory.into_iter().map(&mut message).collect()
}

impl TryFrom<v1::Hello> for Hello {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Hello) -> Result<Self, InvalidMessage> {
        if wire.slots > MAX_WORKER_SLOTS {
            let problem = format!("a worker offers at most {MAX_WORKER_SLOTS} slots");
            return Err(InvalidMessage::new("slots", problem));
        }
        let mut hello = Self::new(
            id("boot", &wire.boot, BootId::from_uuid)?,
            id("agent", &wire.agent, BootId::from_uuid)?,
            required("facts", wire.facts)?,
            tag_set("tags", &wire.tags)?,
            resources::checked("capacity", wire.slots, wire.capacity)?,
        );
        hello.exclusive = tag_set("exclusive", &wire.exclusive)?;
        hello.protocol = required("protocol", wire.protocol)?;
        hello.accepting = wire.accepting;
        hello.inventory = list("inventory", wire.inventory, MAX_INVENTORY)?;
        hello.max_epoch = Epoch(wire.max_epoch);
        Ok(hello)
    }
}

/// The tags that a worker offers.
pub(super) fn tag_set(field: &str, texts_: &[String]) -> Result<TagSet, InvalidMessage> {
    TagSet::try_from(texts(field, texts_, MAX_TAGS)?)
        .map_err(|error| InvalidMessage::new(field, error))
}

impl From<Protocol> for v1::Protocol {
    fn from(protocol: Protocol) -> Self {
        Self {
            version: protocol.version,
            features: protocol.features.into_iter().collect(),
        }
    }
}

impl TryFrom<v1::Protocol> for Protocol {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Protocol) -> Result<Self, InvalidMessage> {
        at_most("features", wire.features.len(), MAX_FEATURES)?;
        let features = wire.features.into_iter();
        Ok(Self {
            version: wire.version,
            features: features
                .map(|feature| short_text("features", feature))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<Held> for v1::Held {
    fn from(held: Held) -> Self {
        use v1::held::State;

        let state = match held.state {
            HeldState::Accepted => Some(State::Accepted(v1::Nothing {})),
            HeldState::Running { pid, started_at } => Some(State::Running(v1::HeldRunning {
                pid,
                started_at_us: started_at.as_micros(),
            })),
            HeldState::Finished(report) => Some(State::Finished(report.into())),
            _ => None,
        };
        Self {
            attempt: Some(held.attempt.into()),
            state,
        }
    }
}

impl TryFrom<v1::Held> for Held {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Held) -> Result<Self, InvalidMessage> {
        use v1::held::State;

        let attempt: AttemptId = required("attempt", wire.attempt)?;
        let state = match kind(wire.state)? {
            State::Accepted(_) => HeldState::Accepted,
            State::Running(running) => HeldState::Running {
                pid: running.pid,
                started_at: Timestamp::from_micros(running.started_at_us),
            },
            State::Finished(report) => {
                let report: AttemptReport = required("finished", Some(report))?;
                if report.attempt != attempt {
                    return Err(InvalidMessage::new(
                        "finished.attempt",
                        "it is of another attempt",
                    ));
                }
                HeldState::Finished(report)
            }
        };
        Ok(Self::new(attempt, state))
    }
}

impl From<AttemptReport> for v1::AttemptReport {
    fn from(report: AttemptReport) -> Self {
        Self {
            attempt: Some(report.attempt.into()),
            outcome: Some(report.outcome.into()),
            started_at_us: micros(report.started_at),
            finished_at_us: report.finished_at.as_micros(),
            log: Some(report.log.into()),
            residue: Some(report.residue.into()),
        }
    }
}

impl TryFrom<v1::AttemptReport> for AttemptReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AttemptReport) -> Result<Self, InvalidMessage> {
        let mut report = Self::new(
            required("attempt", wire.attempt)?,
            required("outcome", wire.outcome)?,
            Timestamp::from_micros(wire.finished_at_us),
        );
        report.started_at = moment(wire.started_at_us);
        report.log = required("log", wire.log)?;
        report.residue = required("residue", wire.residue)?;
        Ok(report)
    }
}

impl From<WorkerMessage> for v1::WorkerMessage {
    fn from(message: WorkerMessage) -> Self {
        use v1::worker_message::Kind;

        let kind = match message {
            WorkerMessage::Heartbeat => Some(Kind::Heartbeat(v1::Nothing {})),
            WorkerMessage::Started { attempt, pid, at } => Some(Kind::Started(v1::Started {
                attempt: Some(attempt.into()),
                pid,
                at_us: at.as_micros(),
            })),
            WorkerMessage::Finished(report) => Some(Kind::Finished(report.into())),
            WorkerMessage::Declined { attempt, reason } => Some(Kind::Declined(v1::Declined {
                attempt: Some(attempt.into()),
                reason: v1::DeclineReason::from(reason).into(),
            })),
            WorkerMessage::Accepting(accepting) => Some(Kind::Accepting(accepting)),
            WorkerMessage::Complaints(complaints) => return complaining(complaints),
            _ => None,
        };
        Self {
            kind,
            complaints: None,
        }
    }
}

/// Masters of the first release, which refuse a kind that they do not know, read it as a heartbeat.
fn complaining(complaints: Vec<Complaint>) -> v1::WorkerMessage {
    let complaints = to_complaints(complaints);
    v1::WorkerMessage {
        kind: Some(v1::worker_message::Kind::Heartbeat(v1::Nothing {})),
        complaints: Some(v1::Complaints { complaints }),
    }
}

impl TryFrom<v1::WorkerMessage> for WorkerMessage {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WorkerMessage) -> Result<Self, InvalidMessage> {
        use v1::worker_message::Kind;

        if let Some(said) = wire.complaints {
            let said = complaints("complaints", said.complaints)?;
            return Ok(Self::Complaints(said));
        }
        Ok(match kind(wire.kind)? {
            Kind::Heartbeat(_) => Self::Heartbeat,
            Kind::Started(started) => Self::Started {
                attempt: required("started.attempt", started.attempt)?,
                pid: started.pid,
                at: Timestamp::from_micros(started.at_us),
            },
            Kind::Finished(report) => Self::Finished(required("finished", Some(report))?),
            Kind::Declined(declined) => Self::Declined {
                attempt: required("declined.attempt", declined.attempt)?,
                reason: choice::<v1::DeclineReason, _>("declined.reason", declined.reason)?,
            },
            Kind::Accepting(accepting) => Self::Accepting(accepting),
        })
    }
}

same_names!(
    DeclineReason,
    [Stopping, Full, Stale, JournalFailed],
    Unspecified
);
same_names!(
    StopCause,
    [Cancelled, TimedOut, WorkerStopping, LeaseExpired, Drained],
    Unspecified
);
same_names!(
    ClosingReason,
    [Restarting, Replaced, ProtocolError],
    Unspecified
);

impl From<MasterMessage> for v1::MasterMessage {
    fn from(message: MasterMessage) -> Self {
        use v1::master_message::Kind;

        let kind = match message {
            MasterMessage::Welcome(welcome) => Some(Kind::Welcome(welcome.into())),
            MasterMessage::Heartbeat => Some(Kind::Heartbeat(v1::Nothing {})),
            MasterMessage::Assign(assignment) => Some(Kind::Assign(assignment.into())),
            MasterMessage::Stop {
                attempt,
                cause,
                grace,
            } => Some(Kind::Stop(v1::Stop {
                attempt: Some(attempt.into()),
                order: Some(stop_order(cause, grace)),
            })),
            MasterMessage::Forget { attempt } => Some(Kind::Forget(attempt.into())),
            MasterMessage::Removed => Some(Kind::Removed(v1::Nothing {})),
            MasterMessage::Closing(reason) => {
                Some(Kind::Closing(v1::ClosingReason::from(reason).into()))
            }
            MasterMessage::Draining(draining) => Some(Kind::Draining(draining)),
            _ => None,
        };
        Self { kind }
    }
}

impl TryFrom<v1::MasterMessage> for MasterMessage {
    type Error = InvalidMessage;

    fn try_from(wire: v1::MasterMessage) -> Result<Self, InvalidMessage> {
        use v1::master_message::Kind;

        Ok(match kind(wire.kind)? {
            Kind::Welcome(welcome) => Self::Welcome(required("welcome", Some(welcome))?),
            Kind::Heartbeat(_) => Self::Heartbeat,
            Kind::Assign(assignment) => Self::Assign(required("assign", Some(assignment))?),
            Kind::Stop(stop) => {
                let (cause, grace) = required("stop.order", stop.order)?;
                Self::Stop {
                    attempt: required("stop.attempt", stop.attempt)?,
                    cause,
                    grace,
                }
            }
            Kind::Forget(attempt) => Self::Forget {
                attempt: required("forget", Some(attempt))?,
            },
            Kind::Removed(_) => Self::Removed,
            Kind::Closing(reason) => {
                Self::Closing(choice::<v1::ClosingReason, _>("closing", reason)?)
            }
            Kind::Draining(draining) => Self::Draining(draining),
        })
    }
}

fn stop_order(cause: StopCause, grace: Duration) -> v1::StopOrder {
    let cause = v1::StopCause::from(cause);
    let nearest = match cause {
        v1::StopCause::LeaseExpired | v1::StopCause::Drained => v1::StopCause::WorkerStopping,
        known => known,
    };
    let in_full = if nearest == cause {
        v1::StopCause::Unspecified
    } else {
        cause
    };
    v1::StopOrder {
        cause: nearest.into(),
        grace_ms: millis(grace),
        cause_in_full: in_full.into(),
    }
}

impl TryFrom<v1::StopOrder> for (StopCause, Duration) {
    type Error = InvalidMessage;

    fn try_from(order: v1::StopOrder) -> Result<Self, InvalidMessage> {
        let nearest = choice::<v1::StopCause, _>("cause", order.cause)?;
        let in_full = choice::<v1::StopCause, _>("cause_in_full", order.cause_in_full);
        Ok((
            in_full.unwrap_or(nearest),
            duration("grace", order.grace_ms)?,
        ))
    }
}

impl From<Welcome> for v1::Welcome {
    fn from(welcome: Welcome) -> Self {
        let usual = welcome.lease / USUAL_MARGIN;
        Self {
            protocol: Some(welcome.protocol.into()),
            session: id_bytes(welcome.session.as_uuid()),
            epoch: welcome.epoch.0,
            worker: id_bytes(welcome.worker.as_uuid()),
            name: welcome.name,
            heartbeat_ms: millis(welcome.heartbeat),
            lease_ms: millis(welcome.lease),
            verdicts: welcome.verdicts.into_iter().map(Into::into).collect(),
            margin_ms: (welcome.margin != usual).then(|| millis(welcome.margin)),
            draining: welcome.draining,
        }
    }
}

impl TryFrom<v1::Welcome> for Welcome {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Welcome) -> Result<Self, InvalidMessage> {
        let mut welcome = Self::new(
            id("session", &wire.session, SessionId::from_uuid)?,
            Epoch(wire.epoch),
            worker_id("worker", &wire.worker)?,
            short_text("name", wire.name)?,
            interval("heartbeat", wire.heartbeat_ms)?,
            interval("lease", wire.lease_ms)?,
        );
        welcome.protocol = required("protocol", wire.protocol)?;
        if let Some(margin) = wire.margin_ms {
            welcome.margin = duration("margin", margin)?;
        }
        if welcome.margin >= welcome.lease {
            let problem = "it is not shorter than the lease";
            return Err(InvalidMessage::new("margin", problem));
        }
        welcome.draining = wire.draining;
        welcome.verdicts = list("verdicts", wire.verdicts, MAX_INVENTORY)?;
        Ok(welcome)
    }
}

/// Which part of the lease the margin is if nobody says.
const USUAL_MARGIN: u32 = 4;

/// A span that something is repeated after.
fn interval(field: &str, millis: u64) -> Result<Duration, InvalidMessage> {
    if millis == 0 {
        return Err(InvalidMessage::new(field, "it is zero"));
    }
    duration(field, millis)
}

impl From<(AttemptId, Verdict)> for v1::AttemptVerdict {
    fn from((attempt, verdict): (AttemptId, Verdict)) -> Self {
        use v1::attempt_verdict::Verdict as Wire;

        let verdict = match verdict {
            Verdict::Keep => Some(Wire::Keep(v1::Nothing {})),
            Verdict::Stop { cause, grace } => Some(Wire::Stop(stop_order(cause, grace))),
            Verdict::Forget => Some(Wire::Forget(v1::Nothing {})),
            _ => None,
        };
        Self {
            attempt: Some(attempt.into()),
            verdict,
        }
    }
}

impl TryFrom<v1::AttemptVerdict> for (AttemptId, Verdict) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AttemptVerdict) -> Result<Self, InvalidMessage> {
        use v1::attempt_verdict::Verdict as Wire;

        let verdict = match kind(wire.verdict)? {
            Wire::Keep(_) => Verdict::Keep,
            Wire::Stop(order) => {
                let (cause, grace) = required("stop", Some(order))?;
                Verdict::Stop { cause, grace }
            }
            Wire::Forget(_) => Verdict::Forget,
        };
        Ok((required("attempt", wire.attempt)?, verdict))
    }
}

impl From<Assignment> for v1::Assignment {
    fn from(assignment: Assignment) -> Self {
        Self {
            attempt: Some(assignment.attempt.into()),
            spec: Some((&assignment.spec).into()),
            env: entries(assignment.env),
        }
    }
}

impl TryFrom<v1::Assignment> for Assignment {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Assignment) -> Result<Self, InvalidMessage> {
        let spec: ValidSpec = required("spec", wire.spec)?;
        let mut assignment = Self::new(required("attempt", wire.attempt)?, spec);
        assignment.env = map("env", wire.env)?;
        Ok(assignment)
    }
}
