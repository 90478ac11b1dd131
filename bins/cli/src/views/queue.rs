//! Queues.

use jobyard_core::QueueInfo;
use serde::Serialize;

/// One queue: how it shares workers with the others, and how it stands.
#[derive(Debug, Serialize)]
pub(crate) struct QueueView<'a> {
    name: &'a str,
    class: i32,
    weight: u32,
    /// `null` for any number.
    max_running: Option<u64>,
    queued: u64,
    running: u64,
    /// How far it is ahead of its share: of the queues of a class, the lowest goes first.
    ahead_ms: u64,
}

impl<'a> From<&'a QueueInfo> for QueueView<'a> {
    fn from(queue: &'a QueueInfo) -> Self {
        Self {
            name: &queue.name,
            class: queue.settings.class,
            weight: queue.settings.weight,
            max_running: queue.settings.max_running,
            queued: queue.queued,
            running: queue.running,
            ahead_ms: queue.ahead_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::QueueSettings;

    #[test]
    fn queue_has_the_keys_that_programs_rely_on() {
        let mut settings = QueueSettings::default();
        settings.class = -1;
        settings.weight = 3;
        let mut queue = QueueInfo::new("team".to_owned(), settings);
        queue.queued = 12;
        queue.running = 4;
        queue.ahead_ms = 1_500;
        insta::assert_json_snapshot!(QueueView::from(&queue));
    }
}
