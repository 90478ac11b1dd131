//! What a decision is compared with.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;

use super::Stopwatch;

/// An ordered set of a million keys.
#[derive(Debug)]
pub struct Yardstick {
    set: BTreeSet<u64>,
    keys: Vec<u64>,
    rng: Rng,
}

impl Yardstick {
    /// How many keys there are.
    pub const KEYS: usize = 1_000_000;

    /// Fills it with keys by chance, the same ones each time.
    pub fn new() -> Self {
        let mut rng = Rng::with_seed(1);
        let mut set = BTreeSet::new();
        while set.len() < Self::KEYS {
            set.insert(rng.u64(..));
        }
        let mut keys: Vec<u64> = set.iter().copied().collect();
        rng.shuffle(&mut keys);
        Self { set, keys, rng }
    }

    /// So many times removes a key, and inserts another one. Says what that took of processor time.
    pub fn run(&mut self, times: usize) -> Duration {
        let begun = Stopwatch::start();
        for _ in 0..times {
            let at = self.rng.usize(..self.keys.len());
            let key = self.rng.u64(..);
            self.set.remove(&self.keys[at]);
            self.set.insert(key);
            self.keys[at] = key;
        }
        begun.elapsed()
    }
}

impl Default for Yardstick {
    fn default() -> Self {
        Self::new()
    }
}
