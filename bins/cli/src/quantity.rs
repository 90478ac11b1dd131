//! Durations and sizes as people write them.

use std::time::Duration;

use bytesize::ByteSize;
use jobyard_core::{MAX_DURATION, Quantity};

/// Reads `500ms`, `10s`, `1h30m`, `2d`: whole numbers, each with its unit, without spaces. A bare number is refused,
/// because it could mean anything.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("{text:?} is no duration: write numbers with units, as in 500ms, 10s, 1h30m or 2d")
    };
    if text.is_empty() {
        return Err(wrong());
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = unit_millis(unit).ok_or_else(wrong)?;
        total = number
            .checked_mul(millis)
            .and_then(|millis| total.checked_add(Duration::from_millis(millis)))
            .filter(|total| *total <= MAX_DURATION)
            .ok_or_else(|| format!("{text:?} is longer than a year, which is the most"))?;
        rest = after;
    }
    Ok(total)
}

/// Reads `100`, `64MiB`, `2GiB`, `10MB`: bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| format!("{text:?} is no size: write it as in 500KiB, 64MiB or 2GiB"))?;
    Ok(size.as_u64())
}

/// Reads `2` or `1.5`: cores, in thousandths. A finer number is refused rather than rounded.
pub(crate) fn parse_cores(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!("{text:?} is no number of cores: write it as in 2, 1.5 or 0.125, without a unit")
    };
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Err(wrong());
    }
    let cores: Quantity = text.parse().map_err(|_| wrong())?;
    if !cores.millionths().is_multiple_of(1_000) {
        return Err(format!("{text:?} is finer than a thousandth of a core"));
    }
    u64::try_from(cores.thousandths()).map_err(|_| wrong())
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

/// Bytes for people, with two digits.
pub(crate) fn show_size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
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
            ("2d", Duration::from_hours(48)),
            ("0s", Duration::ZERO),
        ];
        for (text, duration) in cases {
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn refuse_durations_that_could_mean_anything() {
        for text in [
            "", "10", "s", "10 s", "-1s", "1.5h", "10x", "1h30", "10µs", "10M",
        ] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains("units"), "{error}");
        }
        for text in ["366d", "18446744073709551615d", "365d1ms"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("365d"), Ok(MAX_DURATION));
    }

    #[test]
    fn cores_have_at_most_three_decimals_and_no_unit() {
        assert_eq!(parse_cores("2"), Ok(2_000));
        assert_eq!(parse_cores("1.5"), Ok(1_500));
        assert_eq!(parse_cores("0.125"), Ok(125));
        assert_eq!(parse_cores("0.500000"), Ok(500));
        for text in ["", "-1", "1.5k", "2GiB", "1e3", "many", ".5", "1.", "NaN"] {
            let error = parse_cores(text).expect_err(text);
            assert!(error.contains("no number of cores"), "{error}");
        }
        assert!(parse_cores("0.0001").is_err_and(|error| error.contains("thousandth")));
    }

    #[test]
    fn sizes_may_have_units() {
        let cases = [
            ("0", 0),
            ("100", 100),
            ("64MiB", 64 << 20),
            ("2GiB", 2 << 30),
            ("10MB", 10_000_000),
            ("1.5KiB", 1536),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "10 lightyears"] {
            let error = parse_size(text).expect_err(text);
            assert!(error.contains("no size"), "{error}");
        }
    }
}
