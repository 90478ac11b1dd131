//! Amounts of data as people write them.

use std::fmt;
use std::str::FromStr;

use jobyard_core::Quantity;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes, written with a unit: `8GiB`, `1.5tb`, `512mib`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: u64,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size: Option<Quantity> = text.parse().ok();
        // Hardly anybody who writes `8` means eight bytes; `0` needs no unit.
        let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        size.filter(|size| has_unit || size.whole() == 0)
            .and_then(|size| u64::try_from(size.whole()).ok())
            .map(|bytes| Self { bytes })
            .ok_or_else(|| {
                format!(
                    "`{text}` is no size: write a number and a unit (b, kb, mb, gb, tb, kib, mib, gib or tib), as in 8GiB"
                )
            })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SizeVisitor)
    }
}

/// Says what to write where a number without a unit stands.
struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text with a number and a unit, as in \"8GiB\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for (text, bytes) in [("8GiB", 8 << 30), ("1.5kb", 1500), ("100b", 100), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Size { bytes }));
        }
        for wrong in ["", "8", "-1gib", "8 gib", "8gigs", "999999999999999tib"] {
            let problem = wrong.parse::<Size>().unwrap_err();
            assert!(problem.contains("as in 8GiB"), "{problem}");
        }
    }
}
