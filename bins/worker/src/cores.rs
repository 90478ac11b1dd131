//! Numbers of cores as people write them.

use std::fmt;
use std::str::FromStr;

use jobyard_core::Quantity;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Processor time, in thousandths of a core: `4`, `1.5`, `0.25`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) millis: u64,
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: Option<Quantity> = text
            .ends_with(|c: char| c.is_ascii_digit())
            .then(|| text.parse().ok())
            .flatten();
        number
            .filter(|number| number.millionths().is_multiple_of(1_000))
            .and_then(|number| u64::try_from(number.thousandths()).ok())
            .map(|millis| Self { millis })
            .ok_or_else(|| {
                format!(
                    "`{text}` is no number of cores: write one such as 4 or 1.5, with at most three digits behind the \
                     point and no unit"
                )
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_up_to_three_digits_behind_the_point() {
        for (text, millis) in [("4", 4000), ("1.5", 1500), ("0.125", 125), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Cores { millis }));
        }
        for wrong in ["", "-1", "four", "2kb", "1.", ".5", "0.0001", "1e3"] {
            let problem = wrong.parse::<Cores>().unwrap_err();
            assert!(problem.contains("such as 4 or 1.5"), "{problem}");
        }
    }
}
