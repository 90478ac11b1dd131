//! What a job asks for.

use jobyard_core::{
    ExecutorSpec, Group, JobSpec, MAX_PREFERENCES, OnDisconnect, Preference, ValidSpec,
};

use super::field::{
    choice, duration, entries, list, map, millis, optional, required, same_names, text, texts,
    to_texts,
};
use super::{InvalidMessage, limits, resources, secret};
use crate::generated::v1;

impl From<&ValidSpec> for v1::JobSpec {
    fn from(spec: &ValidSpec) -> Self {
        Self {
            name: spec.name.clone(),
            executor: secret::executor(spec),
            executor_config: spec.executor.config.clone(),
            requirements: to_texts(&spec.requirements),
            worker: spec.worker.clone(),
            queue: spec.queue.clone(),
            slots: spec.resources.slots,
            timeout_ms: spec.timeout.map(millis),
            grace_ms: millis(spec.grace),
            infra_retries: spec.infra_retries,
            repeatable: spec.repeatable,
            labels: entries(spec.labels.clone()),
            log_limit: spec.log_limit,
            merge: spec.merge,
            prefer: spec.prefer.iter().map(Into::into).collect(),
            priority: spec.priority,
            group: spec.group.clone().map(Into::into),
            resources: resources::amounts(spec.resources.clone()),
            queue_timeout_ms: spec.queue_timeout.map(millis),
            limits: limits::limits(spec.limits),
            retries: spec.retries,
            retry_on: spec.retry_on.iter().copied().map(u32::from).collect(),
            on_disconnect: on_disconnect(spec.on_disconnect).into(),
            secrets: secret::secrets(spec),
        }
    }
}

same_names!(OnDisconnect, [Finish, Stop], Unspecified);

/// The usual one is not said.
fn on_disconnect(policy: OnDisconnect) -> v1::OnDisconnect {
    match policy {
        OnDisconnect::Finish => v1::OnDisconnect::Unspecified,
        policy => policy.into(),
    }
}

impl TryFrom<v1::JobSpec> for ValidSpec {
    type Error = InvalidMessage;

    /// To be run: its secrets have values.
    fn try_from(wire: v1::JobSpec) -> Result<Self, InvalidMessage> {
        draft(wire)?
            .validate()
            .map_err(|error| InvalidMessage::new("", error))
    }
}

/// A spec that is only shown: its secrets need no values.
pub(super) fn shown(field: &str, wire: Option<v1::JobSpec>) -> Result<ValidSpec, InvalidMessage> {
    let shown = required::<_, Shown>(field, wire)?;
    Ok(shown.0)
}

struct Shown(ValidSpec);

impl TryFrom<v1::JobSpec> for Shown {
    type Error = InvalidMessage;

    fn try_from(wire: v1::JobSpec) -> Result<Self, InvalidMessage> {
        draft(wire)?
            .validate_shown()
            .map(Self)
            .map_err(|error| InvalidMessage::new("", error))
    }
}

/// What has still to be validated.
fn draft(wire: v1::JobSpec) -> Result<JobSpec, InvalidMessage> {
    let (executor, secrets) = secret::read(wire.executor, wire.secrets)?;
    let mut spec = JobSpec::new(ExecutorSpec::new(executor, wire.executor_config));
    spec.secret_env = secrets;
    spec.name = wire.name;
    // The number of requirements is checked with the rest; the message's size bounds it here.
    spec.requirements = texts("requirements", &wire.requirements, usize::MAX)?;
    spec.worker = wire.worker;
    spec.prefer = list("prefer", wire.prefer, MAX_PREFERENCES)?;
    spec.queue = wire.queue;
    spec.priority = wire.priority;
    spec.group = optional("group", wire.group)?;
    spec.resources = resources::checked("resources", wire.slots, wire.resources)?;
    spec.queue_timeout = wire
        .queue_timeout_ms
        .map(|millis| duration("queue_timeout", millis))
        .transpose()?;
    spec.limits = wire.limits.map(Into::into).unwrap_or_default();
    spec.timeout = wire
        .timeout_ms
        .map(|millis| duration("timeout", millis))
        .transpose()?;
    spec.grace = duration("grace", wire.grace_ms)?;
    spec.infra_retries = wire.infra_retries;
    spec.retries = wire.retries;
    spec.retry_on = wire
        .retry_on
        .into_iter()
        .map(|code| {
            u8::try_from(code).map_err(|_| InvalidMessage::new("retry_on", "a code is 1 to 255"))
        })
        .collect::<Result<_, _>>()?;
    spec.on_disconnect = match wire.on_disconnect {
        0 => OnDisconnect::Finish,
        policy => choice::<v1::OnDisconnect, _>("on_disconnect", policy)?,
    };
    spec.repeatable = wire.repeatable;
    spec.labels = map("labels", wire.labels)?;
    spec.log_limit = wire.log_limit;
    spec.merge = wire.merge;
    Ok(spec)
}

impl From<&Preference> for v1::Preference {
    fn from(preference: &Preference) -> Self {
        Self {
            tag: preference.tag.to_string(),
            weight: preference.weight,
        }
    }
}

impl TryFrom<v1::Preference> for Preference {
    type Error = InvalidMessage;

    /// The weight is checked with the rest of the spec.
    fn try_from(wire: v1::Preference) -> Result<Self, InvalidMessage> {
        Ok(Self::new(text("tag", &wire.tag)?, wire.weight))
    }
}

impl From<Group> for v1::Group {
    fn from(group: Group) -> Self {
        Self {
            key: group.key,
            limit: group.limit,
        }
    }
}

impl TryFrom<v1::Group> for Group {
    type Error = InvalidMessage;

    /// Key and limit are checked with the rest of the spec.
    fn try_from(wire: v1::Group) -> Result<Self, InvalidMessage> {
        Ok(Self::new(wire.key, wire.limit))
    }
}
