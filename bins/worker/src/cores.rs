//! Numbers of cores as people write them.

use std::fmt;
use std::str::FromStr;

use jobyard_core::{InvalidCores, parse_cores};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Processor time, in thousandths of a core: `4`, `1.5`, `0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) millis: u64,
}

impl FromStr for Cores {
    type Err = InvalidCores;

    fn from_str(text: &str) -> Result<Self, InvalidCores> {
        parse_cores(text).map(|millis| Self { millis })
    }
}

impl<'de> Deserialize<'de> for Cores {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CoresVisitor)
    }
}

/// Takes numbers and texts alike: `cpu = 1.5` and `cpu = "1.5"` mean the same.
struct CoresVisitor;

impl Visitor<'_> for CoresVisitor {
    type Value = Cores;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of cores, as in 4 or 1.5")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cores, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Cores, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Cores, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Cores, E> {
        self.visit_str(&number.to_string())
    }
}
