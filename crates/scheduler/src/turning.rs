//! Workers with room, in the order in which placement prefers them.

use std::collections::BTreeSet;
use std::collections::btree_set::Range;
use std::iter::Chain;

use crate::fleet::Spot;

/// The place of a worker in the order of placement for one job: lowest first.
pub(crate) type Rank = (u32, u128);

/// Walks over spots by load, and those of one load once round the ring from the place of a job.
pub(crate) struct Turning<'a> {
    spots: &'a BTreeSet<Spot>,
    from: u128,
    highest_first: bool,
    level: Option<u32>,
    turn: Option<Chain<Range<'a, Spot>, Range<'a, Spot>>>,
}

impl<'a> Turning<'a> {
    pub(crate) fn new(spots: &'a BTreeSet<Spot>, from: u128, highest_first: bool) -> Self {
        Self {
            spots,
            from,
            highest_first,
            level: None,
            turn: None,
        }
    }

    fn rank(&self, spot: &Spot) -> Rank {
        rank(spot.load, spot.place, self.from, self.highest_first)
    }

    fn next_level(&self) -> Option<u32> {
        let spot = match (self.highest_first, self.level) {
            (false, None) => self.spots.first(),
            (true, None) => self.spots.last(),
            (false, Some(load)) => self.spots.range(spot(load.checked_add(1)?, 0)..).next(),
            (true, Some(load)) => self.spots.range(..spot(load, 0)).next_back(),
        };
        spot.map(|spot| spot.load)
    }
}

impl Iterator for Turning<'_> {
    type Item = (Rank, u32);

    fn next(&mut self) -> Option<(Rank, u32)> {
        loop {
            if let Some(spot) = self.turn.as_mut().and_then(Iterator::next) {
                return Some((self.rank(spot), spot.worker));
            }
            let load = self.next_level()?;
            self.level = Some(load);
            let end = Spot {
                load,
                place: u128::MAX,
                worker: u32::MAX,
            };
            let here = spot(load, self.from);
            let from_here = self.spots.range(here..=end);
            self.turn = Some(from_here.chain(self.spots.range(spot(load, 0)..here)));
        }
    }
}

/// Where a worker stands for a job at this place of the ring.
pub(crate) fn rank(load: u32, place: u128, from: u128, highest_first: bool) -> Rank {
    let by_load = if highest_first { u32::MAX - load } else { load };
    (by_load, place.wrapping_sub(from))
}

fn spot(load: u32, place: u128) -> Spot {
    Spot {
        load,
        place,
        worker: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(highest_first: bool) -> Vec<u32> {
        let spots = [(0, 10), (0, 30), (5, 20), (5, 40), (9, 1)];
        let spots = (0..).zip(spots).map(|(worker, (load, place))| Spot {
            load,
            place,
            worker,
        });
        let spots = spots.collect();
        let turning = Turning::new(&spots, 25, highest_first);
        let (ranks, workers): (Vec<_>, Vec<_>) = turning.unzip();
        assert!(ranks.is_sorted());
        workers
    }

    #[test]
    fn by_load_then_round_the_ring() {
        assert_eq!(workers(false), [1, 0, 3, 2, 4]);
        assert_eq!(workers(true), [4, 3, 2, 1, 0]);
    }
}
