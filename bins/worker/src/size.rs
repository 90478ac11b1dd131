//! Amounts of data as people write them.

use std::str::FromStr;

use jobyard_core::Quantity;
use serde::Deserialize;

/// A number of bytes, written with a unit: `8GiB`, `1.5tb`, `512mib`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size {
    pub(crate) bytes: u64,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| {
            format!("`{text}` is no size: {problem}; write a number and a unit, as in 8GiB")
        };
        let size: Quantity = text
            .parse()
            .map_err(|problem: jobyard_core::InvalidQuantity| wrong(&problem.to_string()))?;
        // Hardly anybody who writes `8` means eight bytes.
        if size.whole() > 0 && !text.ends_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(wrong("it has no unit"));
        }
        let bytes = u64::try_from(size.whole()).map_err(|_| wrong("it is too large"))?;
        Ok(Self { bytes })
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
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
