//! Durations and numbers of cores, as people write them.

use std::time::Duration;

use crate::quantity::Quantity;
use crate::spec::MAX_DURATION;

/// Reads a duration: `500ms`, `10s`, `1h30m`, `2d`.
///
/// One or more whole numbers, each with its unit, without spaces or signs between them: `ms` (milliseconds), `s`, `m`
/// (minutes), `h` or `d` (24 hours), in lower case. Their sum counts, in whatever order they stand. A bare number is
/// refused, because it could mean anything. At most [`MAX_DURATION`]; nothing (`0s`) is a duration.
///
/// ```
/// # use std::time::Duration;
/// use jobyard_core::parse_duration;
///
/// assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
/// assert!(parse_duration("90").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let wrong = || InvalidDuration::NotADuration {
        text: text.to_owned(),
    };
    if text.is_empty() {
        return Err(wrong());
    }
    let mut rest = text;
    // `None` when it became too long: whether all of it is a duration is said first.
    let mut total = Some(Duration::ZERO);
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| !c.is_ascii_alphabetic());
        let millis = unit_millis(unit).ok_or_else(wrong)?;
        if number.is_empty() {
            return Err(wrong());
        }
        // Digits that are no number are too many of them.
        let part = number
            .parse()
            .ok()
            .and_then(|number: u64| number.checked_mul(millis));
        total = total
            .zip(part)
            .and_then(|(total, millis)| total.checked_add(Duration::from_millis(millis)));
        rest = after;
    }
    total
        .filter(|total| *total <= MAX_DURATION)
        .ok_or_else(|| InvalidDuration::TooLong {
            text: text.to_owned(),
        })
}

/// Reads a number of cores, in thousandths of one: `4`, `1.5`, `0.125`.
///
/// Without sign, exponent or unit; up to 15 digits stand before the point. A number that is finer than a thousandth is
/// refused rather than rounded. None (`0`) is a number of cores.
///
/// ```
/// use jobyard_core::parse_cores;
///
/// assert_eq!(parse_cores("1.5"), Ok(1_500));
/// assert!(parse_cores("0.0001").is_err());
/// ```
pub fn parse_cores(text: &str) -> Result<u64, InvalidCores> {
    let wrong = || InvalidCores::NotANumber {
        text: text.to_owned(),
    };
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(wrong());
    }
    let cores: Quantity = text.parse().map_err(|_| wrong())?;
    if !cores.millionths().is_multiple_of(1_000) {
        return Err(InvalidCores::TooFine {
            text: text.to_owned(),
        });
    }
    u64::try_from(cores.thousandths()).map_err(|_| wrong())
}

/// Why a text is no duration. The author of the text has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDuration {
    /// Something other than numbers with units.
    #[error("{text:?} is no duration: write numbers with units, as in 500ms, 10s, 1h30m or 2d")]
    NotADuration {
        /// What stands there.
        text: String,
    },
    /// Longer than [`MAX_DURATION`].
    #[error("{text:?} is longer than a year, which is the most")]
    TooLong {
        /// What stands there.
        text: String,
    },
}

/// Why a text is no number of cores. The author of the text has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCores {
    /// Something other than a number, a number with a unit, or one with too many digits.
    #[error("{text:?} is no number of cores: write one such as 4 or 1.5, without a unit")]
    NotANumber {
        /// What stands there.
        text: String,
    },
    /// Not a whole number of thousandths.
    #[error(
        "{text:?} is finer than a thousandth of a core: write at most three digits behind the point, such as 4 or 1.5"
    )]
    TooFine {
        /// What stands there.
        text: String,
    },
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn unit_millis(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let cases = [
            ("500ms", Duration::from_millis(500)),
            ("10s", Duration::from_secs(10)),
            ("10m", Duration::from_mins(10)),
            ("1h30m", Duration::from_mins(90)),
            ("30m1h", Duration::from_mins(90)),
            ("2d", Duration::from_hours(48)),
            ("0s", Duration::ZERO),
            ("365d", MAX_DURATION),
        ];
        for (text, duration) in cases {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn refuse_durations_that_could_mean_anything() {
        let wrong = [
            "",
            "10",
            "s",
            "10 s",
            "10m ",
            "-1s",
            "+1s",
            "1.5h",
            "10x",
            "1h30",
            "10µs",
            "10M",
            "٣s",
            "99999999999999999999",
            "366d1",
        ];
        for text in wrong {
            let error = parse_duration(text).expect_err(text).to_string();
            assert!(error.contains("units"), "{error}");
        }
    }

    #[test]
    fn refuse_durations_longer_than_a_year() {
        let wrong = [
            "366d",
            "365d1ms",
            "18446744073709551615d",
            "99999999999999999999s",
            "18446744073709551615ms18446744073709551615ms",
        ];
        for text in wrong {
            let error = parse_duration(text).expect_err(text).to_string();
            assert!(error.contains("longer than a year"), "{error}");
        }
    }

    #[test]
    fn cores_have_at_most_three_decimals_and_no_unit() {
        let cases = [
            ("0", 0),
            ("2", 2_000),
            ("1.5", 1_500),
            ("0.125", 125),
            ("0.500000", 500),
            ("999999999999999", 999_999_999_999_999_000),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_cores(text), Ok(millis), "{text}");
        }
        let wrong = [
            "",
            "-1",
            "1.5k",
            "2GiB",
            "2kb",
            "1e3",
            "many",
            ".5",
            "1.",
            "NaN",
            "1000000000000000",
        ];
        for text in wrong {
            let error = parse_cores(text).expect_err(text).to_string();
            assert!(error.contains("no number of cores"), "{error}");
        }
        for text in ["0.0001", "1.5005"] {
            let error = parse_cores(text).expect_err(text).to_string();
            assert!(error.contains("thousandth"), "{error}");
        }
    }
}
