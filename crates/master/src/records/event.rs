//! Records of what happened.

use jobyard_core::{Event, EventDetail, Happening, JobId, Record};
use serde::{Deserialize, Serialize};

use super::body::{DamagedRecord, body, read};
use super::kind::EVENT;

/// How many events one record holds at most: some hundred KiB, so that a reader needs little memory for a page.
pub const MAX_RECORD_EVENTS: usize = 1_000;

/// An event as it is kept: with what it takes to decide who may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEvent {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Who submitted the job that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The record of events that follow each other, at most [`MAX_RECORD_EVENTS`]; `None` for none. Its place is that of
/// the last one.
pub fn event_record(events: &[KeptEvent]) -> Option<Record> {
    let last = events.last()?.event.seq;
    // The zeros keep the order of the keys that of the places.
    let mut record = Record::new(EVENT, format!("{last:020}"), body(&events));
    record.fields.live = false;
    record.fields.order = last;
    Some(record)
}

/// The events of a record, in order.
pub fn read_events(record: &Record) -> Result<Vec<KeptEvent>, DamagedRecord> {
    read(record)
}

/// The job that something tells of, also if a newer version wrote it.
pub fn job_of(what: &Happening) -> Option<JobId> {
    if let Some(attempt) = what.attempt() {
        return Some(attempt.job);
    }
    match what {
        Happening::JobSubmitted { job_id, .. }
        | Happening::JobStopping { job_id, .. }
        | Happening::JobFinished { job_id, .. } => Some(*job_id),
        Happening::Other { details, .. } => match details.get("job_id") {
            Some(EventDetail::Text(id)) => id.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobyard_core::{Outcome, Timestamp};

    #[test]
    fn events_read_back_as_they_were_written() {
        let id = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let finished = Happening::JobFinished {
            job_id: id,
            outcome: Outcome::Succeeded,
        };
        let strange =
            r#"{"seq": 8, "time": 5, "kind": "moon_rose", "owner": "ann", "phase": "full"}"#;
        let strange: KeptEvent = serde_json::from_str(strange).expect("an event");
        assert_eq!(strange.owner.as_deref(), Some("ann"));
        let events = vec![
            KeptEvent {
                event: Event::new(7, Timestamp::from_micros(5), finished),
                owner: Some("ann".to_owned()),
            },
            strange,
        ];
        let record = event_record(&events).expect("some");
        assert_eq!((record.key.len(), record.fields.order), (20, 8));
        assert!(!record.fields.live);
        assert_eq!(read_events(&record), Ok(events));
        assert_eq!(event_record(&[]), None);
    }

    #[test]
    fn an_event_that_is_not_known_still_belongs_to_its_job() {
        let id = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let json = format!(r#"{{"kind": "job_praised", "job_id": "{id}"}}"#);
        let what: Happening = serde_json::from_str(&json).expect("something");
        assert_eq!(job_of(&what), Some(id));
    }
}
