//! How long to wait before the next try.

use std::time::Duration;

use jobyard_core::WorkerId;

/// Waiting times that grow with each failed try, up to a limit, and differ between workers, so that a thousand workers
/// do not come back to a restarted master in the same moment.
///
/// Pure: the time is a function of the worker, the number of the try and these three values.
///
/// ```
/// use jobyard_core::WorkerId;
/// use jobyard_transport::Backoff;
///
/// let backoff = Backoff::default();
/// let worker: WorkerId = "0190a0b0-0000-7000-8000-000000000001".parse()?;
/// let waits: Vec<_> = (0..20).map(|attempt| backoff.delay(worker, attempt)).collect();
/// assert!(waits.iter().all(|wait| *wait <= backoff.cap));
/// assert_eq!(waits[3], backoff.delay(worker, 3));
/// # Ok::<(), jobyard_core::InvalidId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the second try.
    pub first: Duration,
    /// By how much the longest wait grows with each try.
    pub factor: u32,
    /// No wait is longer.
    pub cap: Duration,
}

impl Default for Backoff {
    /// 100 ms, doubled each time, at most 15 s: half of the time within which the master misses a worker.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            factor: 2,
            cap: Duration::from_secs(15),
        }
    }
}

impl Backoff {
    /// How long to wait after failed try number `attempt`, counted from 0: between half of the longest wait and all of
    /// it.
    pub fn delay(&self, worker: WorkerId, attempt: u32) -> Duration {
        let longest = self
            .factor
            .checked_pow(attempt)
            .and_then(|factor| self.first.checked_mul(factor))
            .map_or(self.cap, |wait| wait.min(self.cap));
        let half = longest / 2;
        half + half.mul_f64(fraction(worker, attempt))
    }
}

/// A number from 0 up to 1, evenly spread over workers and tries: FNV-1a over both, then the finalizer of SplitMix64,
/// because the high bits of FNV alone hardly depend on the last bytes.
fn fraction(worker: WorkerId, attempt: u32) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in worker
        .as_uuid()
        .as_bytes()
        .iter()
        .chain(&attempt.to_be_bytes())
    {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    // 32 bits are exact in a double.
    let high = u32::try_from(hash >> 32).unwrap_or(u32::MAX);
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn worker(number: u128) -> WorkerId {
        WorkerId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn waits_grow_up_to_the_cap_and_stay_there() {
        let backoff = Backoff::default();
        for attempt in [0, 1, 5, 7, 31, 32, u32::MAX] {
            let wait = backoff.delay(worker(1), attempt);
            assert!(wait >= backoff.first / 2 && wait <= backoff.cap, "{wait:?}");
        }
        assert!(backoff.delay(worker(1), 9) >= backoff.cap / 2);
    }

    #[test]
    fn workers_do_not_come_back_together() {
        let backoff = Backoff::default();
        let mut buckets = [0_u32; 10];
        for number in 0..10_000 {
            let wait = backoff.delay(worker(number), 8).as_millis();
            let bucket = usize::try_from((wait - 7_500) / 751).unwrap();
            buckets[bucket] += 1;
        }
        assert!(
            buckets.iter().all(|count| (800..1200).contains(count)),
            "{buckets:?}"
        );
    }
}
