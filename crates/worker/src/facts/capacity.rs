//! What a machine has for jobs.

use jobyard_core::{MAX_AMOUNT, MAX_WORKER_SLOTS, Resources, WorkerFacts};

/// All that a machine with these facts has: one slot for each core, its cores, its memory, and nothing else that is
/// counted. Within the limits of what a worker may offer.
pub fn capacity(facts: &WorkerFacts) -> Resources {
    let mut capacity = Resources::of_slots(facts.cores.clamp(1, MAX_WORKER_SLOTS));
    capacity.cpu_millis = u64::from(facts.cores) * 1000;
    capacity.memory_bytes = facts.memory_bytes.min(MAX_AMOUNT);
    capacity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_its_cores_and_its_memory() {
        let mut facts = WorkerFacts::default();
        (facts.cores, facts.memory_bytes) = (6, 1 << 34);
        let has = capacity(&facts);
        assert_eq!(
            (has.slots, has.cpu_millis, has.memory_bytes),
            (6, 6000, 1 << 34)
        );
    }

    #[test]
    fn facts_without_numbers_and_with_the_largest_can_be_offered() {
        let mut facts = WorkerFacts::default();
        assert_eq!(capacity(&facts), Resources::of_slots(1));
        (facts.cores, facts.memory_bytes) = (u32::MAX, u64::MAX);
        assert_eq!(capacity(&facts).check(), Ok(()));
        assert_eq!(capacity(&facts).slots, MAX_WORKER_SLOTS);
    }
}
