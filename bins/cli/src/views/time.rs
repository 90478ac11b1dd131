//! Moments and durations.

use std::time::Duration;

use jobyard_core::Timestamp;

/// A moment as RFC 3339 in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| format!("{} us", at.as_micros()), |at| at.to_string())
}

/// A duration as it may be written, exact to the millisecond: `1h30m`.
pub(crate) fn duration(span: Duration) -> String {
    let mut rest = span.as_millis();
    let mut shown = String::new();
    for (unit, millis) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if rest >= millis {
            shown.push_str(&(rest / millis).to_string());
            shown.push_str(unit);
        }
        rest %= millis;
    }
    if shown.is_empty() {
        shown.push_str("0s");
    }
    shown
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A moment for the tests of what is shown, so many seconds after a fixed one.
    pub(crate) fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + second * 1_000_000)
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(time(at(5)), "2027-01-15T08:00:05Z");
    }

    #[test]
    fn durations_are_shown_as_they_may_be_written() {
        for text in ["0s", "250ms", "10s", "1h30m", "2d", "1d1h1m1s1ms"] {
            let span = jobyard_core::parse_duration(text).expect("a duration");
            assert_eq!(duration(span), text);
        }
        assert_eq!(duration(Duration::from_secs(90)), "1m30s");
    }
}
