//! How long to wait, as people write it.

use std::str::FromStr;
use std::time::Duration;

use jobyard::core::parse_duration;
use serde::Deserialize;

/// A duration, or `off`: for as long as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Patience(pub(crate) Option<Duration>);

impl FromStr for Patience {
    type Err = String;

    /// Reads `off` (or `never`), or a duration, as in `10m` or `1h30m`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" || text == "never" {
            return Ok(Self(None));
        }
        match parse_duration(text) {
            Ok(duration) => Ok(Self(Some(duration))),
            Err(problem) => Err(format!("{problem}; or write off")),
        }
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
    fn a_duration_or_off() {
        assert_eq!("1h30m".parse(), Ok(Patience(Some(Duration::from_mins(90)))));
        assert_eq!("0s".parse(), Ok(Patience(Some(Duration::ZERO))));
        assert_eq!("off".parse(), Ok(Patience(None)));
        assert_eq!("never".parse(), Ok(Patience(None)));
        for wrong in ["", "10", "soon", "366d"] {
            let problem = wrong.parse::<Patience>().expect_err(wrong);
            assert!(problem.contains("or write off"), "{problem}");
        }
    }
}
