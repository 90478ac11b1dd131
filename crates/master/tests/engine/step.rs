//! What one input led to.

use std::time::Duration;

use jobyard_core::{
    AttemptId, AuditEntry, Change, ClosingReason, Event, JobId, MasterMessage, Refusal, SessionId,
    StopCause, Verdict, Welcome,
};
use jobyard_master::engine::{Answer, Effect};
use jobyard_master::records::{AUDIT, EVENT, read, read_events};

/// The changes that were committed and the effects that were let out after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) changes: Vec<Change>,
    pub(crate) effects: Vec<Effect>,
}

impl Step {
    pub(crate) fn append(&mut self, other: Self) {
        self.changes.extend(other.changes);
        self.effects.extend(other.effects);
    }

    /// Whether its effects had to wait for a commit.
    pub(crate) fn is_durable(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether nothing but what happened was committed.
    pub(crate) fn only_tells(&self) -> bool {
        let told = |change: &Change| matches!(change, Change::Put(record) if record.kind == EVENT);
        self.changes.iter().all(told)
    }

    /// What happened, as it was committed.
    pub(crate) fn events(&self) -> Vec<Event> {
        let records = self.changes.iter().filter_map(|change| match change {
            Change::Put(record) if record.kind == EVENT => Some(record),
            _ => None,
        });
        let kept = records.flat_map(|record| read_events(record).expect("events"));
        kept.map(|kept| kept.event).collect()
    }

    pub(crate) fn assigned(&self) -> Vec<AttemptId> {
        self.pick(|effect| match effect {
            Effect::Assign { attempt, .. } => Some(*attempt),
            _ => None,
        })
    }

    pub(crate) fn assigned_to(&self, session: SessionId) -> Vec<AttemptId> {
        self.pick(|effect| match effect {
            Effect::Assign {
                session: to,
                attempt,
                ..
            } if *to == session => Some(*attempt),
            _ => None,
        })
    }

    pub(crate) fn sent(&self, session: SessionId) -> Vec<MasterMessage> {
        self.pick(|effect| match effect {
            Effect::Send {
                session: to,
                message,
            } if *to == session => Some(MasterMessage::clone(message)),
            _ => None,
        })
    }

    /// All that any worker was told to forget, verdicts aside.
    pub(crate) fn forgotten(&self) -> Vec<AttemptId> {
        self.pick(|effect| match effect {
            Effect::Send { message, .. } => match **message {
                MasterMessage::Forget { attempt } => Some(attempt),
                _ => None,
            },
            _ => None,
        })
    }

    pub(crate) fn stops(&self) -> Vec<(AttemptId, Duration)> {
        self.pick(|effect| match effect {
            Effect::Send { message, .. } => match **message {
                MasterMessage::Stop {
                    attempt,
                    cause: StopCause::Cancelled,
                    grace,
                } => Some((attempt, grace)),
                _ => None,
            },
            _ => None,
        })
    }

    pub(crate) fn welcome(&self) -> Welcome {
        let welcomes = self.pick(|effect| match effect {
            Effect::Send { message, .. } => match &**message {
                MasterMessage::Welcome(welcome) => Some(welcome.clone()),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(welcomes.len(), 1, "one welcome: {self:?}");
        welcomes[0].clone()
    }

    pub(crate) fn verdicts(&self) -> Vec<(AttemptId, Verdict)> {
        self.welcome().verdicts
    }

    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        self.pick(|effect| match effect {
            Effect::Refuse { refusal, .. } => Some(refusal.clone()),
            _ => None,
        })
    }

    pub(crate) fn closed(&self) -> Vec<(SessionId, Option<ClosingReason>)> {
        self.pick(|effect| match effect {
            Effect::Close { session, reason } => Some((*session, *reason)),
            _ => None,
        })
    }

    pub(crate) fn abandoned(&self) -> Vec<AttemptId> {
        self.pick(|effect| match effect {
            Effect::AbandonLog { attempt, .. } => Some(*attempt),
            _ => None,
        })
    }

    pub(crate) fn granted(&self) -> Vec<AttemptId> {
        self.pick(|effect| match effect {
            Effect::Grant { attempt, .. } => Some(*attempt),
            _ => None,
        })
    }

    pub(crate) fn revoked(&self) -> Vec<AttemptId> {
        self.pick(|effect| match effect {
            Effect::Revoke { attempt } => Some(*attempt),
            _ => None,
        })
    }

    pub(crate) fn finished(&self) -> Vec<JobId> {
        self.pick(|effect| match effect {
            Effect::Changed {
                job,
                finished: true,
            } => Some(*job),
            _ => None,
        })
    }

    /// The one answer that was given.
    pub(crate) fn answer(&self) -> Answer {
        let answers = self.pick(|effect| match effect {
            Effect::Reply { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        assert_eq!(answers.len(), 1, "one answer: {self:?}");
        answers[0].clone()
    }

    pub(crate) fn audit(&self) -> Vec<AuditEntry> {
        let records = self.changes.iter().filter_map(|change| match change {
            Change::Put(record) if record.kind == AUDIT => Some(record),
            _ => None,
        });
        records
            .map(|record| read(record).expect("an audit entry"))
            .collect()
    }

    fn pick<T>(&self, choose: impl Fn(&Effect) -> Option<T>) -> Vec<T> {
        self.effects.iter().filter_map(choose).collect()
    }
}
