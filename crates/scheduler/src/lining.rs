//! The lines of queues, as jobs come and go.

use jobyard_core::Steady;

use crate::Scheduler;
use crate::lines::{Change, Head, Key};

impl Scheduler {
    /// A line has its first job: it is listed if its group is open.
    pub(crate) fn open_line(&mut self, line: u32) {
        let common = self.lines.line(line).common;
        if let Some(gate) = common.gate {
            self.groups.gate_mut(gate).lines.insert(line);
        }
        if self.patience().is_some() && self.shapes.shape(common.shape).uses_warmth() {
            self.warm_lines.insert(line);
        }
        self.list_line(line);
        self.await_yielding(line);
    }

    /// A line is about to lose its last job.
    fn close_line(&mut self, line: u32) {
        self.unlist_line(line);
        if let Some(worker) = self.lines.line(line).kept_on {
            self.keep_no_room(worker);
        }
        if let Some(gate) = self.lines.line(line).common.gate {
            self.groups.gate_mut(gate).lines.remove(&line);
        }
        self.warm_lines.remove(&line);
        self.lines.set_yields_at(line, None);
        self.dirty.lines.remove(&line);
    }

    /// Takes a job out of its line, and lists what is left of it. The caller brings the order of queues up to date.
    pub(crate) fn take_from_line(&mut self, line: u32, key: Key) {
        match self.lines.change_without(line, key) {
            Change::Behind => self.lines.remove(line, key, &self.jobs),
            Change::First(old) => {
                self.lines.remove(line, key, &self.jobs);
                self.on_head_changed(line, old);
                if self.warm_lines.contains(&line) {
                    // The next may have waited for longer than this one.
                    self.dirty.lines.insert(line);
                }
            }
            Change::Whole => {
                self.close_line(line);
                self.lines.remove(line, key, &self.jobs);
            }
        }
    }

    /// A line has another first job than before.
    pub(crate) fn on_head_changed(&mut self, at: u32, old: Head) {
        let line = self.lines.line(at);
        if line.listed.is_some() {
            self.queues
                .replace_head(line.common.queue, old, line.head(at));
        }
        self.await_yielding(at);
    }

    /// A line may go, unless its group is full.
    pub(crate) fn list_line(&mut self, at: u32) {
        let line = self.lines.line(at);
        let is_open = line
            .common
            .gate
            .is_none_or(|gate| self.groups.is_open(gate));
        if line.listed.is_some() || !is_open {
            return;
        }
        let place = self.needs.add_line(line.need, at);
        let (queue, head) = (line.common.queue, line.head(at));
        self.lines.line_mut(at).listed = Some(place);
        self.queues.add_head(self.now, queue, head);
    }

    pub(crate) fn unlist_line(&mut self, at: u32) {
        let line = self.lines.line_mut(at);
        let Some(place) = line.listed.take() else {
            return;
        };
        let (queue, need, head) = (line.common.queue, line.need, line.head(at));
        if let Some(moved) = self.needs.remove_line(need, place) {
            self.lines.line_mut(moved).listed = Some(place);
        }
        self.queues.remove_head(self.now, queue, head);
    }

    /// Notes when the first job of a line goes anywhere.
    fn await_yielding(&mut self, line: u32) {
        if !self.warm_lines.contains(&line) {
            return;
        }
        let since = self.lines.line(line).first.since;
        let due = self.patience().map(|patience| since + patience);
        self.lines
            .set_yields_at(line, due.filter(|due| *due > self.now));
    }

    /// Lines whose first job holds out no longer may go anywhere.
    pub(crate) fn yield_lines(&mut self) {
        while let Some(&(due, line)) = self.lines.yielding.first()
            && due <= self.now
        {
            self.lines.set_yields_at(line, None);
            self.dirty.lines.insert(line);
        }
    }

    /// Keeps room on a worker for a line.
    pub(crate) fn keep_room(&mut self, worker: u32, line: u32) {
        self.kept += 1;
        self.fleet.keep_room(worker, Some(line));
        self.lines.line_mut(line).kept_on = Some(worker);
    }

    /// Keeps no room on a worker any more.
    pub(crate) fn keep_no_room(&mut self, worker: u32) {
        let Some(line) = self.fleet.worker(worker).kept_for else {
            return;
        };
        self.kept -= 1;
        self.fleet.keep_room(worker, None);
        self.lines.line_mut(line).kept_on = None;
        self.on_room(worker);
    }

    /// Whether room may be kept for a job that was queued then.
    pub(crate) fn is_overdue(&self, since: Steady) -> bool {
        let after = self.policy.reserve_after;
        after.is_some_and(|after| since + after <= self.now)
    }
}
