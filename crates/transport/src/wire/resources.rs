//! Amounts of resources. Slots have fields of their own, which were there first.

use jobyard_core::{MAX_NAMED_RESOURCES, Resources};

use super::InvalidMessage;
use super::field::{at_most, counts, to_counts};
use crate::generated::v1;

/// What there is besides slots; nothing where there is nothing, as peers wrote that knew slots alone.
pub(super) fn amounts(resources: Resources) -> Option<v1::Amounts> {
    let wire = v1::Amounts {
        cpu_millis: resources.cpu_millis,
        memory_bytes: resources.memory_bytes,
        counts: to_counts(resources.counts),
    };
    (wire != v1::Amounts::default()).then_some(wire)
}

/// Slots, and what there is besides them, within the limits of names and numbers.
pub(super) fn checked(
    field: &str,
    slots: u32,
    wire: Option<v1::Amounts>,
) -> Result<Resources, InvalidMessage> {
    if let Some(wire) = &wire {
        let counts = format!("{field}.counts");
        at_most(&counts, wire.counts.len(), MAX_NAMED_RESOURCES)?;
    }
    let resources = shown(field, slots, wire)?;
    resources
        .check()
        .map_err(|error| InvalidMessage::new(field, error))?;
    Ok(resources)
}

/// The same where somebody else has checked it, and what is taken may be more than there is.
pub(super) fn shown(
    field: &str,
    slots: u32,
    wire: Option<v1::Amounts>,
) -> Result<Resources, InvalidMessage> {
    let mut resources = Resources::of_slots(slots);
    let wire = wire.unwrap_or_default();
    resources.cpu_millis = wire.cpu_millis;
    resources.memory_bytes = wire.memory_bytes;
    resources.counts = counts(&format!("{field}.counts"), wire.counts)?;
    Ok(resources)
}
