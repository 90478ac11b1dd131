//! The term from which a restored master leads.

use jobyard_core::{Epoch, Timestamp};

/// How many terms a second of the wall clock stands for. A master begins one a second at most.
const TERMS_PER_SECOND: u64 = 1_024;

/// How far a restore jumps at least, for a clock that is wrong: more terms than a master begins in eleven days if it
/// does nothing else.
const LEAST_JUMP: u64 = 1_000_000;

/// A term above every one that the lost master may have begun since the backup was made, and above those of earlier
/// restores of the same backup. Workers refuse a master whose term is lower than one that they have seen.
///
/// Nobody knows which terms those were, so the wall clock decides: 1,024 times the seconds since 1970, which grow faster
/// than terms can be begun. If the backup's own term or `at_least` is already above that, a million more than the higher
/// of both: then somebody led with such a term, or this clock is behind. If workers still refuse the master, they say
/// which term they have seen: restore again with that as `at_least`.
pub fn epoch_after_restore(backup: Epoch, at_least: Epoch, now: Timestamp) -> Epoch {
    let seconds = u64::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
    let by_clock = seconds.saturating_mul(TERMS_PER_SECOND);
    let known = backup.0.max(at_least.0);
    if by_clock > known {
        Epoch(by_clock)
    } else {
        Epoch(known.saturating_add(LEAST_JUMP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn each_restore_leads_above_all_before() {
        let (first, later) = (at(1_795_000_000), at(1_795_000_060));
        let backup = Epoch(7);
        let one = epoch_after_restore(backup, Epoch::ZERO, first);
        assert!(one.0 > backup.0 + LEAST_JUMP);
        // The same backup, a minute and as many terms as that minute can have later.
        let two = epoch_after_restore(backup, Epoch::ZERO, later);
        assert!(two.0 > one.0 + 60, "{two} {one}");
        // A backup of what was restored.
        let three = epoch_after_restore(Epoch(one.0 + 5), Epoch::ZERO, later);
        assert!(three.0 > one.0 + 60);
    }

    #[test]
    fn clock_that_is_wrong_does_not_take_a_term_back() {
        let backup = Epoch(5_000_000_000_000);
        for now in [at(0), at(-5), at(1)] {
            let epoch = epoch_after_restore(backup, Epoch::ZERO, now);
            assert_eq!(epoch, Epoch(backup.0 + LEAST_JUMP));
            let seen = Epoch(6_000_000_000_000);
            assert!(epoch_after_restore(backup, seen, now) > seen);
        }
    }
}
