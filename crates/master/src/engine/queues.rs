//! Queues that an operator sets.

use jobyard_core::{
    AuditEntry, Change, ControlError, Happening, MAX_QUEUES, Now, QueueChange, QueueInfo,
    QueueSettings, check_name,
};
use jobyard_scheduler::{Event, QueueState};

use super::Engine;
use super::input::ReplyTo;
use super::output::Answer;
use crate::records::{QUEUE, QueueRecord};

impl Engine {
    /// Changes how a queue shares workers with the others. What that lets start is started at once.
    pub(super) fn on_set_queue(
        &mut self,
        now: Now,
        reply: ReplyTo,
        by: String,
        queue: &str,
        change: QueueChange,
    ) {
        let settings = match self.check_queue(queue, change) {
            Ok(settings) => settings,
            Err(error) => return self.reply(reply, Answer::Refused(error)),
        };
        self.keep_queue(queue, settings);
        let changed = Happening::QueueChanged {
            queue: queue.to_owned(),
            by: by.clone(),
        };
        self.happened(now, changed);
        let result = described(settings);
        self.audit(AuditEntry::new(now.wall, by, "queue.set", queue, result));
        self.schedule(
            now,
            Event::QueueSet {
                queue: queue.into(),
                settings,
            },
        );
        let shown = self.queue(queue);
        self.reply(reply, Answer::Queue(Box::new(shown)));
    }

    /// The settings after the change, if they are allowed.
    fn check_queue(&self, queue: &str, change: QueueChange) -> Result<QueueSettings, ControlError> {
        check_name(queue).map_err(|problem| ControlError::invalid("queue", problem.to_string()))?;
        let known = self.tables.queues.get(queue).copied();
        let settings = change.applied_to(known.unwrap_or_default());
        settings
            .check()
            .map_err(|problem| ControlError::invalid("queue", problem))?;
        let is_new = known.is_none() && settings != QueueSettings::default();
        if is_new && self.tables.queues.len() >= MAX_QUEUES {
            let problem = format!(
                "there are {MAX_QUEUES} queues with settings of their own: set one back to class 0, weight 1 and no \
                 limit of running jobs first"
            );
            return Err(ControlError::Conflict { problem });
        }
        Ok(settings)
    }

    /// Settings that are the default need not be remembered.
    fn keep_queue(&mut self, queue: &str, settings: QueueSettings) {
        let name = queue.to_owned();
        if settings == QueueSettings::default() {
            if self.tables.queues.remove(queue).is_some() {
                let (kind, key) = (QUEUE, name);
                self.outbox.changes.push(Change::Remove { kind, key });
            }
        } else if self.tables.queues.insert(name.clone(), settings) != Some(settings) {
            let record = QueueRecord { name, settings };
            self.outbox.changes.push(Change::Put(record.to_record()));
        }
    }

    /// All queues that have jobs or settings of their own, by name.
    pub fn queues(&self) -> Vec<QueueInfo> {
        let queues = self.scheduler.queues();
        queues.map(|(name, state)| shown(name, state)).collect()
    }

    /// One queue, also if it has neither jobs nor settings of its own.
    fn queue(&self, name: &str) -> QueueInfo {
        shown(name, self.scheduler.queue(name).unwrap_or_default())
    }
}

fn shown(name: &str, state: QueueState) -> QueueInfo {
    let mut queue = QueueInfo::new(name.to_owned(), state.settings);
    queue.queued = state.queued as u64;
    queue.running = state.placed as u64;
    queue.ahead_ms = state.ahead_ms;
    queue
}

/// For the audit trail.
fn described(settings: QueueSettings) -> String {
    let limit = match settings.max_running {
        Some(limit) => format!("at most {limit} running"),
        None => "any number running".to_owned(),
    };
    let (class, weight) = (settings.class, settings.weight);
    format!("ok: class {class}, weight {weight}, {limit}")
}
