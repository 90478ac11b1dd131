//! What happened.

use jobyard_core::Event;
use serde::Serialize;
use serde_json::{Map, Value};

use super::outcome::OutcomeView;
use super::time::time;

/// Something that happened: its place, when, what, and whatever else is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    seq: u64,
    time: String,
    kind: String,
    #[serde(flatten)]
    details: Map<String, Value>,
}

impl EventView {
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn details(&self) -> &Map<String, Value> {
        &self.details
    }
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        let what = serde_json::to_value(&event.what).unwrap_or_default();
        let mut details = match what {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        if let Some(outcome) = event.what.outcome() {
            let view = serde_json::to_value(OutcomeView::from(&outcome));
            details.insert("outcome".to_owned(), view.unwrap_or_default());
        }
        let kind = match details.remove("kind") {
            Some(Value::String(kind)) => kind,
            _ => "unknown".to_owned(),
        };
        Self {
            seq: event.seq,
            time: time(event.time),
            kind,
            details,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job_id;
    use crate::views::time::tests::at;
    use jobyard_core::{Happening, Outcome};

    #[test]
    fn an_event_has_its_keys() {
        let what = Happening::JobFinished {
            job_id: job_id(),
            outcome: Outcome::Succeeded,
        };
        insta::assert_json_snapshot!(EventView::from(&Event::new(9, at(1), what)));
    }
}
