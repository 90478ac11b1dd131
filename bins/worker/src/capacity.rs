//! What the worker has for jobs, put together from flags, environment and file.

use anyhow::{Context, ensure};
use jobyard_core::{MAX_WORKER_SLOTS, Resources, WorkerFacts};
use jobyard_worker::facts;

use crate::file::ConfigFile;
use crate::named_resource::by_name;
use crate::options::Options;

/// What the machine has, with what was said otherwise. A named resource of a flag wins over that of the file.
pub(crate) fn capacity(
    options: &Options,
    file: &ConfigFile,
    facts: &WorkerFacts,
) -> anyhow::Result<Resources> {
    let mut capacity = facts::capacity(facts);
    if let Some(slots) = options.slots.or(file.slots) {
        ensure!(
            (1..=MAX_WORKER_SLOTS).contains(&slots),
            "--slots: {slots} is not between 1 and {MAX_WORKER_SLOTS}"
        );
        capacity.slots = slots;
    }
    if let Some(cores) = options.cpu.or(file.cpu) {
        capacity.cpu_millis = cores.millis;
    }
    if let Some(size) = options.memory.or(file.memory) {
        capacity.memory_bytes = size.bytes;
    }
    capacity.counts = file.resource.clone();
    capacity.counts.extend(by_name(&options.resource)?);
    capacity
        .check()
        .context("what this worker offers to jobs (--cpu, --memory, --resource)")?;
    Ok(capacity)
}
