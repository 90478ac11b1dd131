//! Records of queues that somebody has set.

use jobyard_core::{QueueSettings, Record};
use serde::{Deserialize, Serialize};

use super::body::body;
use super::kind::QUEUE;

/// A queue whose settings are not the default. All others need no record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRecord {
    /// Its name.
    pub name: String,
    /// Its settings.
    #[serde(flatten)]
    pub settings: QueueSettings,
}

impl QueueRecord {
    /// The record to keep.
    pub fn to_record(&self) -> Record {
        let mut record = Record::new(QUEUE, self.name.as_str(), body(self));
        record.fields.name = Some(self.name.clone());
        record
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn a_queue_reads_back_as_it_was_written() {
        let mut settings = QueueSettings::default();
        (settings.class, settings.weight, settings.max_running) = (-3, 7, Some(0));
        let record = QueueRecord {
            name: "nightly".to_owned(),
            settings,
        };
        let kept = record.to_record();
        assert!(kept.fields.live);
        assert_eq!(read(&kept), Ok(record));
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let kept = Record::new(QUEUE, "a", r#"{"name": "a", "weight": 2}"#);
        let record: QueueRecord = read(&kept).expect("a queue");
        assert_eq!((record.settings.class, record.settings.weight), (0, 2));
        assert_eq!(record.settings.max_running, None);
    }
}
