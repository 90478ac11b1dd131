//! Queues as their users see them.

use jobyard_core::{MAX_QUEUES, QueueChange, QueueInfo, QueueSettings, check_name};

use super::InvalidMessage;
use super::field::{list, short_text};
use crate::generated::v1;

impl From<QueueInfo> for v1::Queue {
    fn from(queue: QueueInfo) -> Self {
        Self {
            name: queue.name,
            class: queue.settings.class,
            weight: queue.settings.weight,
            max_running: queue.settings.max_running,
            queued: queue.queued,
            running: queue.running,
            ahead_ms: queue.ahead_ms,
        }
    }
}

impl TryFrom<v1::Queue> for QueueInfo {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Queue) -> Result<Self, InvalidMessage> {
        let mut settings = QueueSettings::default();
        settings.class = class(wire.class)?;
        settings.weight = weight(wire.weight)?;
        settings.max_running = wire.max_running;
        let mut queue = Self::new(short_text("name", wire.name)?, settings);
        queue.queued = wire.queued;
        queue.running = wire.running;
        queue.ahead_ms = wire.ahead_ms;
        Ok(queue)
    }
}

/// A request to change this queue.
pub(crate) fn set_queue_request(queue: &str, change: QueueChange) -> v1::SetQueueRequest {
    use v1::set_queue_request::Limit;

    let limit = change.max_running.map(|limit| match limit {
        Some(jobs) => Limit::MaxRunning(jobs),
        None => Limit::Unlimited(v1::Nothing {}),
    });
    v1::SetQueueRequest {
        queue: queue.to_owned(),
        class: change.class,
        weight: change.weight,
        limit,
    }
}

impl TryFrom<v1::SetQueueRequest> for (String, QueueChange) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::SetQueueRequest) -> Result<Self, InvalidMessage> {
        use v1::set_queue_request::Limit;

        check_name(&wire.queue).map_err(|problem| InvalidMessage::new("queue", problem))?;
        let mut change = QueueChange::default();
        change.class = wire.class.map(class).transpose()?;
        change.weight = wire.weight.map(weight).transpose()?;
        change.max_running = wire.limit.map(|limit| match limit {
            Limit::MaxRunning(jobs) => Some(jobs),
            Limit::Unlimited(_) => None,
        });
        Ok((wire.queue, change))
    }
}

/// A class within its limits, whatever the weight.
fn class(class: i32) -> Result<i32, InvalidMessage> {
    let mut settings = QueueSettings::default();
    settings.class = class;
    let checked = settings.check();
    checked.map_err(|problem| InvalidMessage::new("class", problem))?;
    Ok(class)
}

/// A weight within its limits, whatever the class.
fn weight(weight: u32) -> Result<u32, InvalidMessage> {
    let mut settings = QueueSettings::default();
    settings.weight = weight;
    let checked = settings.check();
    checked.map_err(|problem| InvalidMessage::new("weight", problem))?;
    Ok(weight)
}

/// One message's worth of all queues, which come by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueuePage {
    /// At most [`MAX_QUEUES`].
    pub(crate) queues: Vec<QueueInfo>,
    /// Behind which name the next page begins; `None` at the end.
    pub(crate) next: Option<String>,
}

impl QueuePage {
    /// The page that begins behind this name.
    pub(crate) fn of(queues: Vec<QueueInfo>, after: Option<&str>) -> Self {
        let mut rest = queues
            .into_iter()
            .filter(|queue| after.is_none_or(|after| queue.name.as_str() > after));
        let queues: Vec<_> = rest.by_ref().take(MAX_QUEUES).collect();
        let more = rest.next().is_some();
        let next = queues.last().filter(|_| more).map(|it| it.name.clone());
        Self { queues, next }
    }
}

impl From<QueuePage> for v1::ListQueuesResponse {
    fn from(page: QueuePage) -> Self {
        Self {
            queues: page.queues.into_iter().map(Into::into).collect(),
            next: page.next,
        }
    }
}

impl TryFrom<v1::ListQueuesResponse> for QueuePage {
    type Error = InvalidMessage;

    /// A page that another one follows ends with the name behind which that begins.
    fn try_from(wire: v1::ListQueuesResponse) -> Result<Self, InvalidMessage> {
        let queues: Vec<QueueInfo> = list("queues", wire.queues, MAX_QUEUES)?;
        let last = queues.last().map(|queue| &queue.name);
        if wire.next.is_some() && wire.next.as_ref() != last {
            return Err(InvalidMessage::new("next", "it is not the last name"));
        }
        Ok(Self {
            queues,
            next: wire.next,
        })
    }
}

/// The name behind which a page shall begin.
pub(crate) fn after_queue(wire: v1::ListQueuesRequest) -> Result<Option<String>, InvalidMessage> {
    wire.after
        .map(|after| short_text("after", after))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(number: usize) -> Vec<QueueInfo> {
        let queue = |at| QueueInfo::new(format!("q{at:06}"), QueueSettings::default());
        (0..number).map(queue).collect()
    }

    #[test]
    fn pages_together_hold_each_queue_once() {
        let all = queues(2 * MAX_QUEUES + 1);
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        let mut pages = 0;
        loop {
            let page = QueuePage::of(all.clone(), after.as_deref());
            assert!(page.queues.len() <= MAX_QUEUES);
            seen.extend(page.queues);
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3);
        assert!(seen == all, "each queue comes once and in order");
    }

    #[test]
    fn a_page_that_holds_all_is_the_last() {
        assert_eq!(QueuePage::of(queues(MAX_QUEUES), None).next, None);
        assert_eq!(QueuePage::of(Vec::new(), Some("x")).next, None);
    }
}
