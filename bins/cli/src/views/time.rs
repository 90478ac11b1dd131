//! Moments.

use jobyard_core::Timestamp;

/// A moment as RFC 3339 in UTC.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| format!("{} us", at.as_micros()), |at| at.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A moment for the tests of what is shown, so many seconds after a fixed one.
    pub(in crate::views) fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000 + second * 1_000_000)
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(time(at(5)), "2027-01-15T08:00:05Z");
    }
}
