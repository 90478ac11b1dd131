//! How long to wait, as people write it.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// A duration, or `off`: for as long as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Patience(pub(crate) Option<Duration>);

impl FromStr for Patience {
    type Err = String;

    /// Reads `off` (or `never`), or a number with a unit: `ms`, `s`, `m`, `h` or `d`, as in `10m`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" || text == "never" {
            return Ok(Self(None));
        }
        let wrong = || {
            format!(
                "`{text}` is no duration: write a number and a unit, as in 30s, 10m or 1h, or off"
            )
        };
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let duration = number.checked_mul(millis).map(Duration::from_millis);
        duration
            .map(|duration| Self(Some(duration)))
            .ok_or_else(wrong)
    }
}

impl TryFrom<String> for Patience {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_or_off() {
        assert_eq!("10m".parse(), Ok(Patience(Some(Duration::from_mins(10)))));
        assert_eq!("0s".parse(), Ok(Patience(Some(Duration::ZERO))));
        assert_eq!("off".parse(), Ok(Patience(None)));
        assert_eq!("never".parse(), Ok(Patience(None)));
        for wrong in ["", "10", "m", "1.5h", "10 m", "18446744073709551615d"] {
            assert!(wrong.parse::<Patience>().is_err(), "{wrong}");
        }
    }
}
