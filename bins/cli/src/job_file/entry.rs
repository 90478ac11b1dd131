//! One job as its author writes it, in a file or with options.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jobyard_core::{
    ExecutorSpec, Group, JobId, JobSpec, OnDisconnect, PROCESS_EXECUTOR, Preference, Resources,
    SecretText, ValidSpec,
};
use jobyard_executor::ProcessConfig;
use serde::{Deserialize, Serialize};

use super::executor::ExecutorText;
use super::invalid::InvalidDraft;
use super::limits::LimitsText;
use super::secrets::SecretSource;
use super::texts::{CoresText, DurationText, RequirementText, SizeText};

/// The keys of a job file. Unknown ones are refused, so that a misspelt one is not ignored.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Draft {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) script: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) secret_env: BTreeMap<String, SecretSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stdin: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<RequirementText>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) prefer: Vec<PreferenceText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<GroupText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu: Option<CoresText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<SizeText>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) resources: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limits: Option<LimitsText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue_timeout: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grace: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) infra_retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<u32>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) retry_on: BTreeSet<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeatable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_disconnect: Option<OnDisconnect>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_limit: Option<SizeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) merge: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) executor: Option<ExecutorText>,
}

impl Draft {
    /// What it asks for, checked against every limit. Reads the files of its secrets; blocks on that.
    pub(crate) fn spec(&self) -> Result<ValidSpec, InvalidDraft> {
        let mut spec = JobSpec::new(self.executor()?);
        let defaults = JobSpec::default();
        spec.name.clone_from(&self.name);
        spec.requirements = self.tags.iter().map(|tag| tag.0.clone()).collect();
        spec.prefer = self.prefer.iter().map(PreferenceText::preference).collect();
        spec.worker.clone_from(&self.worker);
        spec.queue = self.queue.clone().unwrap_or(defaults.queue);
        spec.priority = self.priority.unwrap_or(defaults.priority);
        spec.group = self.group.as_ref().map(GroupText::group);
        spec.resources = self.taken(defaults.resources);
        spec.limits = self
            .limits
            .as_ref()
            .map(LimitsText::limits)
            .unwrap_or_default();
        spec.queue_timeout = self.queue_timeout.as_ref().map(|timeout| timeout.value);
        spec.timeout = self.timeout.as_ref().map(|timeout| timeout.value);
        spec.grace = self
            .grace
            .as_ref()
            .map_or(defaults.grace, |grace| grace.value);
        spec.infra_retries = self.infra_retries.unwrap_or(defaults.infra_retries);
        spec.retries = self.retries.unwrap_or(defaults.retries);
        spec.retry_on.clone_from(&self.retry_on);
        spec.repeatable = self.repeatable.unwrap_or(defaults.repeatable);
        spec.on_disconnect = self.on_disconnect.unwrap_or(defaults.on_disconnect);
        spec.labels.clone_from(&self.labels);
        spec.log_limit = self
            .log_limit
            .as_ref()
            .map_or(defaults.log_limit, |size| size.value);
        spec.merge = self.merge.unwrap_or(defaults.merge);
        spec.secret_env = self.secrets()?;
        Ok(spec.validate()?)
    }

    fn secrets(&self) -> Result<BTreeMap<String, SecretText>, InvalidDraft> {
        let mut secrets = BTreeMap::new();
        for (name, source) in &self.secret_env {
            let wrong = |problem| InvalidDraft::Secret {
                name: name.clone(),
                problem,
            };
            if self.env.contains_key(name) {
                let twice = "it is a variable of `env` as well: leave one out".to_owned();
                return Err(wrong(twice));
            }
            secrets.insert(name.clone(), source.value().map_err(wrong)?);
        }
        Ok(secrets)
    }

    /// What it takes of its worker.
    fn taken(&self, defaults: Resources) -> Resources {
        let mut taken = defaults;
        taken.slots = self.slots.unwrap_or(taken.slots);
        taken.cpu_millis = self.cpu.as_ref().map_or(0, |cores| cores.millis);
        taken.memory_bytes = self.memory.as_ref().map_or(0, |size| size.value);
        // Nothing of a resource is the same as not naming it, and has to be the same spec.
        let some = self.resources.iter().filter(|(_, count)| **count > 0);
        taken.counts = some.map(|(name, count)| (name.clone(), *count)).collect();
        taken
    }

    fn executor(&self) -> Result<ExecutorSpec, InvalidDraft> {
        let process = self.process_key();
        let Some(executor) = &self.executor else {
            return Ok(ExecutorSpec::new(PROCESS_EXECUTOR, self.process_config()?));
        };
        let config = match (executor.config_text(), process) {
            (Some(_), Some(key)) => return Err(InvalidDraft::TwoConfigs { key }),
            (Some(config), None) => config,
            (None, None) if executor.name != PROCESS_EXECUTOR => "{}".to_owned(),
            (None, _) => self.process_config()?,
        };
        Ok(ExecutorSpec::new(&executor.name, config))
    }

    /// The first key that belongs into the configuration of the process executor.
    fn process_key(&self) -> Option<&'static str> {
        let keys = [
            ("command", !self.command.is_empty()),
            ("script", self.script.is_some()),
            ("env", !self.env.is_empty()),
            ("dir", self.dir.is_some()),
            ("stdin", self.stdin.is_some()),
        ];
        keys.into_iter()
            .find(|(_, given)| *given)
            .map(|(key, _)| key)
    }

    fn process_config(&self) -> Result<String, InvalidDraft> {
        if self.command.is_empty() && self.script.is_none() {
            return Err(InvalidDraft::Nothing);
        }
        let mut config = ProcessConfig::default();
        config.command.clone_from(&self.command);
        config.script.clone_from(&self.script);
        config.env.clone_from(&self.env);
        config.dir.clone_from(&self.dir);
        config.stdin.clone_from(&self.stdin);
        config.check()?;
        Ok(config.to_config_string())
    }
}

impl fmt::Debug for Draft {
    /// Leaves out what may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a job would rather have, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map of `tag` and `weight`")]
pub(crate) struct PreferenceText {
    pub(crate) tag: RequirementText,
    pub(crate) weight: u32,
}

impl PreferenceText {
    pub(crate) fn preference(&self) -> Preference {
        Preference::new(self.tag.0.clone(), self.weight)
    }
}

/// A group and how many of its jobs may run at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map of `key` and `limit`")]
pub(crate) struct GroupText {
    pub(crate) key: String,
    pub(crate) limit: u32,
}

impl GroupText {
    pub(crate) fn group(&self) -> Group {
        Group::new(&self.key, self.limit)
    }
}

/// A draft that was checked while it was read, so that a refusal knows its place in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Draft")]
pub(crate) struct Entry {
    pub(crate) draft: Draft,
    pub(crate) spec: ValidSpec,
}

impl TryFrom<Draft> for Entry {
    type Error = String;

    fn try_from(draft: Draft) -> Result<Self, String> {
        let spec = draft.spec().map_err(|problem| match &draft.name {
            Some(name) => format!("job {name:?}: {problem}"),
            None => problem.to_string(),
        })?;
        Ok(Self { draft, spec })
    }
}
