//! What an earlier life of the worker left in the journal.

use std::collections::BTreeMap;

use jobyard_core::{
    Assignment, AttemptId, AttemptReport, BootId, Epoch, ExecutionTrace, InfraReason,
    KilledProcess, LogEnd, Now, Outcome, Timestamp, mutated,
};

use super::entry::{Entry, Stage};
use super::lease::Trust;
use super::machine::Agent;
use super::memory::Memory;
use super::{JournalEntry, Output};

/// The journal, read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Recovered {
    pub(super) max_epoch: Epoch,
    pub(super) memory: Memory,
    /// The last one, of which boot.
    trust: Option<(BootId, Trust)>,
    taints: BTreeMap<AttemptId, (BootId, Vec<KilledProcess>)>,
    left: BTreeMap<AttemptId, Left>,
}

/// An attempt that an earlier life had.
#[derive(Clone, Debug)]
enum Left {
    /// It was accepted, and perhaps started.
    Open {
        assignment: Box<Assignment>,
        boot: BootId,
        started: Option<(Option<u32>, Option<ExecutionTrace>, Timestamp)>,
    },
    /// It had ended.
    Finished(AttemptReport),
}

impl Recovered {
    /// Reads entries in the order in which they were written.
    pub(super) fn read(entries: Vec<JournalEntry>) -> Self {
        let mut recovered = Self::default();
        for entry in entries {
            recovered.add(entry);
        }
        recovered
    }

    /// What could not be killed under this boot. What ran under another one is gone with it.
    pub(super) fn take_taints(&mut self, boot: BootId) -> BTreeMap<AttemptId, Vec<KilledProcess>> {
        let of_boot = self.taints.extract_if(.., |_, (of, _)| *of == boot);
        of_boot
            .map(|(attempt, (_, processes))| (attempt, processes))
            .collect()
    }

    /// The lease that the last life of this boot had.
    pub(super) fn take_trust(&mut self, boot: BootId) -> Option<Trust> {
        let (of, trust) = self.trust.take()?;
        (of == boot).then_some(trust)
    }

    fn add(&mut self, entry: JournalEntry) {
        match entry {
            JournalEntry::Accepted {
                attempt,
                spec,
                env,
                boot,
            } => {
                let mut assignment = Assignment::new(attempt, spec);
                assignment.env = env;
                let assignment = Box::new(assignment);
                self.left.insert(
                    attempt,
                    Left::Open {
                        assignment,
                        boot,
                        started: None,
                    },
                );
            }
            JournalEntry::Started {
                attempt,
                pid,
                trace,
                at,
            } => {
                if let Some(Left::Open { started, .. }) = self.left.get_mut(&attempt) {
                    *started = Some((pid, trace, at));
                }
            }
            JournalEntry::Finished(report) => {
                self.left.insert(report.attempt, Left::Finished(report));
            }
            JournalEntry::Forgotten { attempt } => {
                self.left.remove(&attempt);
                self.memory.remember(attempt);
            }
            JournalEntry::Tainted {
                attempt,
                boot,
                processes,
            } => drop(self.taints.insert(attempt, (boot, processes))),
            JournalEntry::Untainted { attempt } => drop(self.taints.remove(&attempt)),
            JournalEntry::Lease {
                boot,
                stop_at,
                until,
            } => self.trust = Some((boot, Trust { stop_at, until })),
            JournalEntry::MaxEpoch(epoch) => self.max_epoch = self.max_epoch.max(epoch),
        }
    }
}

impl Agent {
    /// Takes over what an earlier life left: of this boot it may still run, and its executor knows; of another boot
    /// nothing does. In neither case it is started again, and an attempt of which it is unknown whether it was
    /// started counts as started. Where the output of what another boot ended would have ended, nobody knows.
    pub(super) fn recover(&mut self, now: Now, out: &mut Vec<Output>) {
        let left = std::mem::take(&mut self.recovered);
        for attempt in left.taints.into_keys() {
            out.push(Output::Journal(JournalEntry::Untainted { attempt }));
        }
        for (attempt, left) in left.left {
            let stage = match left {
                Left::Finished(report) => Stage::Finished { report },
                Left::Open { assignment, .. }
                    if mutated("what an earlier life accepted is begun again") =>
                {
                    let grace = assignment.spec.grace;
                    out.push(Output::Start(assignment));
                    Stage::Starting { grace }
                }
                Left::Open {
                    assignment,
                    boot,
                    started,
                } if boot == self.config.boot && !mutated("the same boot counts as another") => {
                    self.lease.bind_sought(attempt, &assignment.spec);
                    adopt(assignment, started, out)
                }
                Left::Open { started, .. } => {
                    let reason = InfraReason::WorkerRestarted;
                    let outcome = Outcome::Infra { reason };
                    let mut report = AttemptReport::new(attempt, outcome, now.wall);
                    report.started_at = started.map(|(_, _, at)| at);
                    // What its pipes held is gone, and so is perhaps what was on its way to the disk.
                    report.log = LogEnd::UNKNOWN;
                    out.push(Output::Journal(JournalEntry::Finished(report.clone())));
                    Stage::Finished { report }
                }
            };
            self.held.insert(attempt, Entry::new(stage));
        }
    }
}

/// Has the executor look for an attempt of this boot.
fn adopt(
    assignment: Box<Assignment>,
    started: Option<(Option<u32>, Option<ExecutionTrace>, Timestamp)>,
    out: &mut Vec<Output>,
) -> Stage {
    let grace = assignment.spec.grace;
    if mutated("a new life starts what an earlier one left") {
        out.push(Output::Start(assignment));
        return Stage::Starting { grace };
    }
    let (stage, started_at, trace) = match started {
        Some((pid, trace, at)) => (
            Stage::Running {
                grace,
                pid,
                started_at: at,
            },
            Some(at),
            trace,
        ),
        None => (Stage::Starting { grace }, None, None),
    };
    out.push(Output::Adopt {
        assignment,
        started_at,
        trace,
    });
    stage
}
