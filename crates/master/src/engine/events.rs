//! What happened: collected while the engine works, numbered and written with the changes that it tells of.
//!
//! An event has its place from the moment at which its batch is taken out, so the sequence has a gap for nobody: what
//! is lost with a failed commit had no place yet that anybody saw, and the next term goes on after the last one that is
//! durable. All events of a batch are one record, or a few if there are very many.

use jobyard_core::{Change, Event, Happening, Now};

use super::Engine;
use crate::records::{KeptEvent, MAX_RECORD_EVENTS, event_record, job_of};

/// What happened since the last outbox.
#[derive(Debug, Default)]
pub(super) struct Events {
    pending: Vec<KeptEvent>,
}

impl Events {
    /// Whether nothing happened.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many records they will be at most.
    pub(super) fn records(&self) -> usize {
        self.pending.len().div_ceil(MAX_RECORD_EVENTS)
    }
}

impl Engine {
    /// Notes that something happened. It is told to the world with the next batch.
    pub(super) fn happened(&mut self, now: Now, what: Happening) {
        let job = job_of(&what).and_then(|job| self.tables.jobs.get(&job));
        let owner = job.map(|entry| entry.record.submitted_by.clone());
        let event = Event::new(0, now.wall, what);
        self.events.pending.push(KeptEvent { event, owner });
    }

    /// Gives what happened its place, and adds it to the changes. What tells of a job whose record goes with a later
    /// batch waits for that.
    pub(super) fn write_events(&mut self) {
        let dirty = &self.tables.dirty;
        let (waiting, mut ready): (Vec<_>, Vec<_>) = if dirty.is_empty() {
            (Vec::new(), std::mem::take(&mut self.events.pending))
        } else {
            let all = std::mem::take(&mut self.events.pending);
            let waits =
                |kept: &KeptEvent| job_of(&kept.event.what).is_some_and(|job| dirty.contains(&job));
            all.into_iter().partition(waits)
        };
        self.events.pending = waiting;
        for kept in &mut ready {
            self.counters.event_seq += 1;
            kept.event.seq = self.counters.event_seq;
        }
        let records = ready.chunks(MAX_RECORD_EVENTS).filter_map(event_record);
        self.outbox.changes.extend(records.map(Change::Put));
    }
}
