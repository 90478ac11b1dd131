//! What happened. The happening itself travels as JSON: it grows by kinds and fields, and whoever does not know one hands
//! it on as it is.

use jobyard_core::{Event, EventQuery, Happening, Timestamp};

use super::InvalidMessage;
use super::field::{at_most, list};
use crate::generated::v1;
use crate::limits::EVENTS_PER_MESSAGE;

/// Far above the longest that there is: what a worker with the most complaints says.
const MAX_HAPPENING_BYTES: usize = 64 * 1024;

impl From<Event> for v1::Event {
    fn from(event: Event) -> Self {
        Self {
            seq: event.seq,
            at_us: event.time.as_micros(),
            // It has texts and numbers only, whose keys are texts; an empty text is refused by whoever reads it.
            happening: serde_json::to_string(&event.what).unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Event) -> Result<Self, InvalidMessage> {
        at_most("happening", wire.happening.len(), MAX_HAPPENING_BYTES)?;
        let what: Happening = serde_json::from_str(&wire.happening)
            .map_err(|error| InvalidMessage::new("happening", error))?;
        Ok(Self::new(
            wire.seq,
            Timestamp::from_micros(wire.at_us),
            what,
        ))
    }
}

impl TryFrom<v1::EventsResponse> for Vec<Event> {
    type Error = InvalidMessage;

    fn try_from(frame: v1::EventsResponse) -> Result<Self, InvalidMessage> {
        list("events", frame.events, EVENTS_PER_MESSAGE)
    }
}

impl From<EventQuery> for v1::EventsRequest {
    fn from(query: EventQuery) -> Self {
        Self {
            first: query.from,
            follow: query.follow,
        }
    }
}

impl From<v1::EventsRequest> for EventQuery {
    fn from(wire: v1::EventsRequest) -> Self {
        Self::new(wire.first, wire.follow)
    }
}
