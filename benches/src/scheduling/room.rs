//! What is left of a worker.

use jobyard_core::Resources;

/// Takes an amount that is [covered](Resources::covers).
pub(super) fn take(room: &mut Resources, taken: &Resources) {
    room.slots -= taken.slots;
    room.cpu_millis -= taken.cpu_millis;
    room.memory_bytes -= taken.memory_bytes;
    for (name, count) in &taken.counts {
        if let Some(left) = room.counts.get_mut(name) {
            *left -= count;
        }
    }
}

/// Gives back what was taken.
pub(super) fn give_back(room: &mut Resources, taken: &Resources) {
    room.slots += taken.slots;
    room.cpu_millis += taken.cpu_millis;
    room.memory_bytes += taken.memory_bytes;
    for (name, count) in &taken.counts {
        if let Some(left) = room.counts.get_mut(name) {
            *left += count;
        }
    }
}
