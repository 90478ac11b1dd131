//! One job as its author writes it, in a file or with options.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jobyard_core::{
    ConfigError, ExecutorSpec, InvalidSpec, JobId, JobSpec, PROCESS_EXECUTOR, Requirement,
    ValidSpec,
};
use jobyard_executor::ProcessConfig;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity::{parse_duration, parse_size};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stdin: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<Requirement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worker: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grace: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) infra_retries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeatable: Option<bool>,
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
    /// What it asks for, checked against every limit.
    pub(crate) fn spec(&self) -> Result<ValidSpec, InvalidDraft> {
        let mut spec = JobSpec::new(self.executor()?);
        let defaults = JobSpec::default();
        spec.name.clone_from(&self.name);
        spec.requirements.clone_from(&self.tags);
        spec.worker.clone_from(&self.worker);
        spec.queue = self.queue.clone().unwrap_or(defaults.queue);
        spec.slots = self.slots.unwrap_or(defaults.slots);
        spec.timeout = self.timeout.as_ref().map(|timeout| timeout.value);
        spec.grace = self
            .grace
            .as_ref()
            .map_or(defaults.grace, |grace| grace.value);
        spec.infra_retries = self.infra_retries.unwrap_or(defaults.infra_retries);
        spec.repeatable = self.repeatable.unwrap_or(defaults.repeatable);
        spec.labels.clone_from(&self.labels);
        spec.log_limit = self
            .log_limit
            .as_ref()
            .map_or(defaults.log_limit, |size| size.value);
        spec.merge = self.merge.unwrap_or(defaults.merge);
        Ok(spec.validate()?)
    }

    fn executor(&self) -> Result<ExecutorSpec, InvalidDraft> {
        let process = self.process_key();
        match &self.executor {
            None => Ok(ExecutorSpec::new(PROCESS_EXECUTOR, self.process_config()?)),
            Some(ExecutorText { name, config: None }) => {
                let config = if name == PROCESS_EXECUTOR || process.is_some() {
                    self.process_config()?
                } else {
                    "{}".to_owned()
                };
                Ok(ExecutorSpec::new(name, config))
            }
            Some(ExecutorText {
                config: Some(config),
                name,
            }) => match process {
                Some(key) => Err(InvalidDraft::TwoConfigs { key }),
                None => Ok(ExecutorSpec::new(name, config_text(config))),
            },
        }
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

/// Why a draft is no job.
#[derive(Debug)]
pub(crate) enum InvalidDraft {
    /// Nothing to run.
    Nothing,
    /// The executor has its configuration, and this key would belong into another one.
    TwoConfigs { key: &'static str },
    /// The executor's part is wrong.
    Config(ConfigError),
    /// Another part is wrong.
    Spec(InvalidSpec),
}

impl fmt::Display for InvalidDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is neither `command` nor `script`: give one"),
            Self::TwoConfigs { key } => write!(
                f,
                "{key}: the executor has its own `config`: put it there or leave that out"
            ),
            Self::Config(problem) => problem.fmt(f),
            Self::Spec(problem) => problem.fmt(f),
        }
    }
}

impl From<ConfigError> for InvalidDraft {
    fn from(problem: ConfigError) -> Self {
        Self::Config(problem)
    }
}

impl From<InvalidSpec> for InvalidDraft {
    fn from(problem: InvalidSpec) -> Self {
        Self::Spec(problem)
    }
}

/// A duration as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DurationText {
    text: String,
    pub(crate) value: Duration,
}

impl FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self {
            value: parse_duration(text)?,
            text: text.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor("a duration with its unit, as in \"10m\""))?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

/// A size as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SizeText {
    text: String,
    pub(crate) value: u64,
}

impl FromStr for SizeText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self {
            value: parse_size(text)?,
            text: text.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor("a size, as in \"64MiB\""))?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for SizeText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

/// An executor's name, with or without what it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ExecutorText {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<serde_json::Value>,
}

impl ExecutorText {
    /// Only the name.
    pub(crate) const fn named(name: String) -> Self {
        Self { name, config: None }
    }
}

impl<'de> Deserialize<'de> for ExecutorText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ExecutorVisitor)
    }
}

struct ExecutorVisitor;

impl<'de> Visitor<'de> for ExecutorVisitor {
    type Value = ExecutorText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an executor, or a map of `name` and `config`")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<ExecutorText, E> {
        Ok(ExecutorText::named(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ExecutorText, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parts {
            name: String,
            config: Option<serde_json::Value>,
        }
        let parts = Parts::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ExecutorText {
            name: parts.name,
            config: parts.config,
        })
    }
}

/// Text, or a whole number taken as text.
struct TextVisitor(&'static str);

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

/// A text is handed on as it is; anything else as JSON.
fn config_text(config: &serde_json::Value) -> String {
    match config {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
