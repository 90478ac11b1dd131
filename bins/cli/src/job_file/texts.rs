//! Values of a job file that are kept as they were written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jobyard_core::{InvalidCores, InvalidDuration, Requirement, parse_cores, parse_duration};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::requirement::read_requirement;
use crate::size::parse_size;

/// A duration as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DurationText {
    text: String,
    pub(crate) value: Duration,
}

/// A size as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SizeText {
    text: String,
    /// In bytes.
    pub(crate) value: u64,
}

/// A number of cores as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CoresText {
    text: String,
    /// In thousandths.
    pub(crate) millis: u64,
}

impl FromStr for DurationText {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        Ok(Self {
            value: parse_duration(text)?,
            text: text.to_owned(),
        })
    }
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

impl FromStr for CoresText {
    type Err = InvalidCores;

    fn from_str(text: &str) -> Result<Self, InvalidCores> {
        Ok(Self {
            millis: parse_cores(text)?,
            text: text.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, "a duration with its unit, as in \"10m\"")
    }
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, "a size, as in \"64MiB\"")
    }
}

impl<'de> Deserialize<'de> for CoresText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, "a number of cores, as in 1.5")
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl Serialize for SizeText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl Serialize for CoresText {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

/// A requirement whose refusal says what was written and where the mistake is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct RequirementText(pub(crate) Requirement);

impl<'de> Deserialize<'de> for RequirementText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = from.deserialize_str(TextVisitor("a requirement, as in \"os=linux\""))?;
        match read_requirement(&text) {
            Ok(requirement) => Ok(Self(requirement)),
            Err(misread) => Err(D::Error::custom(format!("{text:?}: {misread}"))),
        }
    }
}

fn read<'de, D, T>(from: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    from.deserialize_any(TextVisitor(expected))?
        .parse()
        .map_err(D::Error::custom)
}

/// Text, or a number taken as text.
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

    fn visit_f64<E>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}
