//! How long certificates live.

use std::time::Duration;

use jobyard_core::Timestamp;
use time::OffsetDateTime;

/// How long a root lives: 10 years, longer than most clusters, since no root can be replaced without a rotation.
pub const ROOT_LIFETIME: Duration = days(3650);

/// How long an intermediate lives: 5 years.
pub const AUTHORITY_LIFETIME: Duration = days(1825);

/// How long a master's certificate lives: 365 days. A master makes itself a new one at every start, and its
/// key can be replaced while it runs.
pub const SERVER_LIFETIME: Duration = days(365);

/// How long certificates of workers and clients live: 365 days. Far longer than the day that would do if they were
/// renewed automatically; they are not yet, so a shorter life would mean that every worker joins again by hand.
/// A worker that is removed is refused by the master's registry, not by its certificate's end.
pub const CLIENT_LIFETIME: Duration = days(365);

/// How far certificates begin in the past: 5 minutes, so that a peer whose clock is slow by less accepts them.
pub const BACKDATE: Duration = Duration::from_mins(5);

/// When a certificate holds, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
}

impl Validity {
    /// From a little before `now` for `lifetime`, but never beyond `limit`. `None` if nothing is left, or if the
    /// machine's time is out of the range of the calendar.
    pub(super) fn starting(
        now: Timestamp,
        lifetime: Duration,
        limit: Option<OffsetDateTime>,
    ) -> Option<Self> {
        let now =
            OffsetDateTime::from_unix_timestamp(now.as_micros().div_euclid(1_000_000)).ok()?;
        let not_before = now.checked_sub(time::Duration::try_from(BACKDATE).ok()?)?;
        let wanted = now.checked_add(time::Duration::try_from(lifetime).ok()?)?;
        let not_after = limit.map_or(wanted, |limit| wanted.min(limit));
        (now < not_after).then_some(Self {
            not_before,
            not_after,
        })
    }
}

/// Days of 24 hours.
const fn days(count: u64) -> Duration {
    Duration::from_hours(count * 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_ends_with_the_issuer_at_the_latest() {
        let now = Timestamp::from_micros(1_800_000_000_999_999);
        let start = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let free = Validity::starting(now, days(1), None).unwrap();
        assert_eq!(free.not_before + BACKDATE, start);
        assert_eq!(free.not_after, start + days(1));
        let limit = start + Duration::from_secs(9);
        assert_eq!(
            Validity::starting(now, days(1), Some(limit))
                .unwrap()
                .not_after,
            limit
        );
        assert_eq!(Validity::starting(now, days(1), Some(start)), None);
        assert_eq!(
            Validity::starting(Timestamp::from_micros(i64::MAX), days(1), None),
            None
        );
    }
}
