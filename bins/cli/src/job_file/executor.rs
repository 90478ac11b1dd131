//! The key `executor` of a job file.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// An executor's name, with or without what it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ExecutorText {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<serde_json::Value>,
}

impl ExecutorText {
    /// Only the name.
    pub(crate) const fn named(name: String) -> Self {
        Self { name, config: None }
    }

    /// What the executor is told, if anything: a text as it is, anything else as JSON.
    pub(super) fn config_text(&self) -> Option<String> {
        self.config.as_ref().map(|config| match config {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
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
