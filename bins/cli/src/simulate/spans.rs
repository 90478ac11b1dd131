//! Spans of time and parts of a whole, for people.

use std::time::Duration;

/// The two largest units that say something, rounded down: `250ms`, `12.5s`, `4m05s`, `1h02m`, `3d07h`.
pub(super) fn show_span(span: Duration) -> String {
    let millis = span.as_millis();
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0 if millis == 0 => "0s".to_owned(),
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}.{}s", span.subsec_millis() / 100),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..172_800 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{}d{:02}h", hours / 24, hours % 24),
    }
}

/// Thousandths as a percentage with one digit.
pub(super) fn show_part(thousandths: u32) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        let cases = [
            (0, "0s"),
            (250, "250ms"),
            (12_549, "12.5s"),
            (245_000, "4m05s"),
            (3_725_000, "1h02m"),
            (286_000_000, "3d07h"),
        ];
        for (millis, shown) in cases {
            assert_eq!(show_span(Duration::from_millis(millis)), shown);
        }
        assert_eq!(show_part(1000), "100.0%");
        assert_eq!(show_part(66), "6.6%");
    }
}
