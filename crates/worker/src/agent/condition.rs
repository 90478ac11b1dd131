//! What a worker has against taking assignments, beside its own end.

use std::collections::BTreeMap;
use std::fmt::Write;

use jobyard_core::{AttemptId, Complaint, ComplaintKind, KilledProcess, Residue, WorkerMessage};

use super::machine::Agent;
use super::{JournalEntry, Output};

/// How many attempts with processes that could not be killed are kept apart. The first already closes the worker to
/// assignments; these are for whoever looks after the machine.
const MAX_TAINTS: usize = 64;

/// How many processes a complaint names.
const NAMED_PROCESSES: usize = 3;

/// Why the worker takes nothing, and what the master has heard of that.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    /// Of the machine, as the shell said last.
    machine: Vec<Complaint>,
    /// Not even what comes all the same can be run.
    exhausted: bool,
    /// The master wants it to start nothing more, and knows that.
    draining: bool,
    /// Attempts of this boot of which something may still run, with what is known of it.
    taints: BTreeMap<AttemptId, Vec<KilledProcess>>,
    /// What the master knows.
    told: Vec<Complaint>,
}

impl Condition {
    /// Of a worker whose earlier lives left these.
    pub(super) fn tainted_by(taints: BTreeMap<AttemptId, Vec<KilledProcess>>) -> Self {
        Self {
            taints,
            ..Self::default()
        }
    }

    /// Whether there is nothing to complain about.
    pub(super) fn is_good(&self) -> bool {
        self.machine.is_empty() && self.taints.is_empty()
    }

    /// Whether assignments cannot be run at all.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether the master drains it.
    pub(super) const fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) const fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    pub(super) const fn taints(&self) -> &BTreeMap<AttemptId, Vec<KilledProcess>> {
        &self.taints
    }

    /// A new session knows of no complaints.
    pub(super) fn begin_session(&mut self) {
        self.told.clear();
    }

    fn complaints(&self) -> Vec<Complaint> {
        let mut complaints = self.machine.clone();
        if let Some((attempt, processes)) = self.taints.first_key_value() {
            let text = taint(*attempt, processes, self.taints.len());
            complaints.push(Complaint::new(ComplaintKind::Tainted, text));
        }
        complaints
    }
}

impl Agent {
    /// The attempts of this boot that left something behind that could not be killed, with the processes that are known.
    /// The shell of a new life looks for them, and says [`Input::TaintGone`](super::Input::TaintGone) of each that is
    /// clean.
    pub fn taints(&self) -> impl Iterator<Item = (AttemptId, &[KilledProcess])> + '_ {
        let taints = self.condition.taints().iter();
        taints.map(|(attempt, processes)| (*attempt, processes.as_slice()))
    }

    pub(super) fn on_complaints(
        &mut self,
        complaints: Vec<Complaint>,
        exhausted: bool,
        out: &mut Vec<Output>,
    ) {
        self.condition.machine = complaints;
        self.condition.exhausted = exhausted;
        self.tell_condition(out);
    }

    /// An attempt has ended, perhaps without an end of all of its processes.
    pub(super) fn on_residue(
        &mut self,
        attempt: AttemptId,
        residue: &Residue,
        out: &mut Vec<Output>,
    ) {
        if !residue.unconfirmed || self.condition.taints.len() >= MAX_TAINTS {
            return;
        }
        let processes = residue.processes.clone();
        out.push(Output::Journal(JournalEntry::Tainted {
            attempt,
            boot: self.config.boot,
            processes: processes.clone(),
        }));
        self.condition.taints.insert(attempt, processes);
        self.tell_condition(out);
    }

    pub(super) fn on_taint_gone(&mut self, attempt: AttemptId, out: &mut Vec<Output>) {
        if self.condition.taints.remove(&attempt).is_some() {
            out.push(Output::Journal(JournalEntry::Untainted { attempt }));
            self.tell_condition(out);
        }
    }

    /// Says what the master does not know yet of whether, and why not, this worker takes assignments. The reason stands
    /// when there is a refusal, and not without one: a worker that refuses without a reason is about to end.
    pub(super) fn tell_condition(&mut self, out: &mut Vec<Output>) {
        if !self.phase.is_open() {
            return;
        }
        let accepting = self.is_accepting();
        let complaints = self.condition.complaints();
        let complains_anew = self.condition.told != complaints;
        if complains_anew && !complaints.is_empty() {
            self.say(WorkerMessage::Complaints(complaints.clone()), out);
        }
        if self.told_accepting != accepting {
            self.told_accepting = accepting;
            self.say(WorkerMessage::Accepting(accepting), out);
        }
        if complains_anew && complaints.is_empty() {
            self.say(WorkerMessage::Complaints(Vec::new()), out);
        }
        self.condition.told = complaints;
    }
}

/// In words, for whoever looks after the machine. Writing to a text does not fail.
fn taint(attempt: AttemptId, processes: &[KilledProcess], attempts: usize) -> String {
    let mut text = format!("attempt {attempt} ended, but ");
    if processes.is_empty() {
        text.push_str("it is not known whether all of its processes did");
    } else {
        let named: Vec<String> = processes
            .iter()
            .take(NAMED_PROCESSES)
            .map(|process| format!("{} ({})", process.pid, process.name))
            .collect();
        let (count, named) = (processes.len(), named.join(", "));
        let _ = write!(
            text,
            "{count} of its processes could not be killed: {named}"
        );
    }
    if attempts > 1 {
        let _ = write!(text, "; the same of {} more", attempts - 1);
    }
    text.push_str("; restart the worker when they are gone");
    text
}
