//! Medians, percentiles and rates.

use std::time::Duration;

/// The value in the middle; of an even number of values the mean of the two. `None` without values. Values that are no
/// numbers count as the largest.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[middle - 1], upper))
}

/// The smallest sample that at least `percent` of all samples do not exceed ("nearest rank"). `None` without samples.
pub fn percentile(samples: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
pub fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0]), Some(5.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&samples, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&samples, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&samples, 100), Some(Duration::from_millis(200)));
        assert_eq!(
            percentile(&samples[..1], 1),
            Some(Duration::from_millis(200))
        );
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_rate_is_per_second() {
        assert!((rate(10, Duration::from_millis(500)) - 20.0).abs() < 1e-9);
    }
}
