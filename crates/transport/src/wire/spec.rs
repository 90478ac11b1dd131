//! What a job asks for.

use jobyard_core::{ExecutorSpec, JobSpec, ValidSpec};

use super::InvalidMessage;
use super::field::{duration, entries, map, millis, texts, to_texts};
use crate::generated::v1;

impl From<&ValidSpec> for v1::JobSpec {
    fn from(spec: &ValidSpec) -> Self {
        Self {
            name: spec.name.clone(),
            executor: spec.executor.name.clone(),
            executor_config: spec.executor.config.clone(),
            requirements: to_texts(&spec.requirements),
            worker: spec.worker.clone(),
            queue: spec.queue.clone(),
            slots: spec.slots,
            timeout_ms: spec.timeout.map(millis),
            grace_ms: millis(spec.grace),
            infra_retries: spec.infra_retries,
            repeatable: spec.repeatable,
            labels: entries(spec.labels.clone()),
            log_limit: spec.log_limit,
            merge: spec.merge,
        }
    }
}

impl TryFrom<v1::JobSpec> for ValidSpec {
    type Error = InvalidMessage;

    fn try_from(wire: v1::JobSpec) -> Result<Self, InvalidMessage> {
        let mut spec = JobSpec::new(ExecutorSpec::new(wire.executor, wire.executor_config));
        spec.name = wire.name;
        // The number of requirements is checked with the rest; the message's size bounds it here.
        spec.requirements = texts("requirements", &wire.requirements, usize::MAX)?;
        spec.worker = wire.worker;
        spec.queue = wire.queue;
        spec.slots = wire.slots;
        spec.timeout = wire
            .timeout_ms
            .map(|millis| duration("timeout", millis))
            .transpose()?;
        spec.grace = duration("grace", wire.grace_ms)?;
        spec.infra_retries = wire.infra_retries;
        spec.repeatable = wire.repeatable;
        spec.labels = map("labels", wire.labels)?;
        spec.log_limit = wire.log_limit;
        spec.merge = wire.merge;
        spec.validate()
            .map_err(|error| InvalidMessage::new("", error))
    }
}
