//! What is asked and answered about queues.

/// The largest weight of a queue.
pub const MAX_QUEUE_WEIGHT: u32 = 1_000_000;

/// How far from 0 the class of a queue may lie, up and down.
pub const MAX_QUEUE_CLASS: i32 = 1_000;

/// How many queues may have settings of their own.
pub const MAX_QUEUES: usize = 10_000;

/// How a queue shares workers with the others. What every queue has that nobody set is [`Default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct QueueSettings {
    /// Higher classes go first. A queue that is passed over for long rises, so that it comes to its turn.
    pub class: i32,
    /// Its share of what its class uses, against the other queues' weights; 1 to [`MAX_QUEUE_WEIGHT`].
    pub weight: u32,
    /// How many of its jobs may have a worker at once. `None`: any number; `Some(0)` pauses the queue.
    pub max_running: Option<u64>,
}

impl QueueSettings {
    /// Checks the limits. The error says what is wrong, as the end of a sentence.
    pub fn check(&self) -> Result<(), String> {
        if self.weight == 0 || self.weight > MAX_QUEUE_WEIGHT {
            return Err(format!(
                "the weight has to lie between 1 and {MAX_QUEUE_WEIGHT}"
            ));
        }
        if self.class.unsigned_abs() > MAX_QUEUE_CLASS.unsigned_abs() {
            return Err(format!(
                "the class has to lie between -{MAX_QUEUE_CLASS} and {MAX_QUEUE_CLASS}"
            ));
        }
        Ok(())
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            class: 0,
            weight: 1,
            max_running: None,
        }
    }
}

/// What to change of a queue. What is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueChange {
    /// Its class.
    pub class: Option<i32>,
    /// Its weight.
    pub weight: Option<u32>,
    /// How many of its jobs may have a worker at once; `Some(None)` takes the limit away.
    pub max_running: Option<Option<u64>>,
}

impl QueueChange {
    /// The settings after the change.
    #[must_use]
    pub fn applied_to(self, settings: QueueSettings) -> QueueSettings {
        QueueSettings {
            class: self.class.unwrap_or(settings.class),
            weight: self.weight.unwrap_or(settings.weight),
            max_running: self.max_running.unwrap_or(settings.max_running),
        }
    }
}

/// A queue as its users see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueInfo {
    /// Its name.
    pub name: String,
    /// How it shares workers with the others.
    pub settings: QueueSettings,
    /// How many of its jobs wait.
    pub queued: u64,
    /// How many of its jobs have a worker.
    pub running: u64,
    /// What it has been charged so far, against its weight, above the level of its class, in milliseconds of the whole
    /// fleet at weight 1. Of the queues of a class, the lowest goes first.
    pub ahead_ms: u64,
}

impl QueueInfo {
    /// A queue without jobs.
    pub const fn new(name: String, settings: QueueSettings) -> Self {
        Self {
            name,
            settings,
            queued: 0,
            running: 0,
            ahead_ms: 0,
        }
    }
}
