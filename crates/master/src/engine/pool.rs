//! Equal values, held once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::FixedState;

/// Below how many values nobody looks for those that are no longer used: fewer are not worth the walk.
const FEW: usize = 1_024;

/// Lets those who hold equal values share one. Holds at most about twice as many as are in use, or [`FEW`].
#[derive(Debug)]
pub(super) struct Pool<T: ?Sized> {
    held: HashSet<Arc<T>, FixedState>,
    sweep_at: usize,
}

impl<T: Hash + Eq + ?Sized> Pool<T> {
    /// An empty one. The seed keeps whoever chooses the values from making look-ups slow; it decides nothing.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            held: HashSet::with_hasher(FixedState::with_seed(seed)),
            sweep_at: FEW,
        }
    }

    /// The value that is held already, or else this one.
    pub(super) fn share(&mut self, value: Arc<T>) -> Arc<T> {
        if let Some(known) = self.held.get(&value) {
            return Arc::clone(known);
        }
        if self.held.len() >= self.sweep_at {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.sweep_at = FEW.max(2 * self.held.len());
        }
        self.held.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_become_one() {
        let mut pool = Pool::new(7);
        let first: Arc<str> = pool.share("a".into());
        let second = pool.share("a".into());
        assert!(Arc::ptr_eq(&first, &second));
        assert!(!Arc::ptr_eq(&first, &pool.share("b".into())));
    }

    #[test]
    fn what_nobody_uses_is_let_go() {
        let mut pool = Pool::new(7);
        let kept: Vec<Arc<str>> = (0..10).map(|n| pool.share(format!("{n}").into())).collect();
        for n in 0..10 * FEW {
            drop(pool.share(Arc::<str>::from(format!("other {n}"))));
        }
        assert!(pool.held.len() <= FEW + 1, "{}", pool.held.len());
        assert!(kept.iter().all(|kept| pool.held.contains(kept)));
    }
}
