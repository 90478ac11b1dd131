//! Private directories that can be used again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobyard_core::AttemptId;

use super::Owner;
use super::home::{self, Home, remove_or_warn};
use super::slot::Slot;

/// Slots, of which each is given to one attempt after the other: making and removing directories costs more than starting
/// a small program. A slot comes back only after everything that could hold on to it is proven gone, and only if it is as
/// it was made. Cheap to clone; the last clone removes what no attempt was left in.
#[derive(Clone)]
pub(in super::super) struct Pool(Arc<Shared>);

struct Shared {
    /// Where the launchers of these attempts are.
    launchers: PathBuf,
    runs: Box<dyn Fn(AttemptId) -> bool + Send + Sync>,
    state: Mutex<State>,
    /// Held while the disk is looked at; says whether it was. Never taken together with the state by who must not wait.
    swept: Mutex<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// Made with the first slot, beside the files of the attempt: all others of this pool are there as well.
    home: Option<Arc<Home>>,
    free: Vec<Slot>,
    /// Numbers below the next one of which there is no slot.
    vacant: Vec<u32>,
    next: u32,
}

impl Pool {
    /// Slots for attempts that the launchers of this directory start; `runs` says whether they hold one that has not
    /// ended.
    pub(in super::super) fn new(
        launchers: PathBuf,
        runs: impl Fn(AttemptId) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            launchers,
            runs: Box::new(runs),
            state: Mutex::default(),
            swept: Mutex::new(false),
        }))
    }

    /// A slot of this owner that was in use a moment ago; asks the file system for nothing. `for_other`: the way to it is
    /// to be known as well.
    pub(super) fn take_fresh(
        &self,
        parent: &Path,
        owner: Owner,
        for_other: bool,
        attempt: AttemptId,
    ) -> Option<Slot> {
        let fits = |slot: &Slot| {
            slot.owner() == owner && slot.is_fresh() && (!for_other || slot.is_way_fresh())
        };
        let mut slot = self.pop(parent, fits)?;
        if slot.hand_out(attempt).is_err() {
            self.dispose(&slot);
            return None;
        }
        Some(slot)
    }

    /// A slot of this owner, made if there is none. Blocks on the disk. `None`: this pool has its slots elsewhere.
    pub(super) fn take(
        &self,
        parent: &Path,
        owner: Owner,
        attempt: AttemptId,
    ) -> io::Result<Option<Slot>> {
        let Some(home) = self.home(parent)? else {
            return Ok(None);
        };
        while let Some(mut slot) = self.pop(parent, |slot| slot.owner() == owner) {
            if (slot.is_fresh() || slot.is_untouched() || slot.prove())
                && slot.hand_out(attempt).is_ok()
            {
                return Ok(Some(slot));
            }
            self.dispose(&slot);
        }
        let number = {
            let mut state = self.state();
            let number = state.vacant.pop().unwrap_or(state.next);
            state.next = state.next.max(number + 1);
            number
        };
        let made = Slot::make(home, number, owner).and_then(|mut slot| {
            slot.hand_out(attempt)?;
            Ok(slot)
        });
        if made.is_err() {
            self.state().vacant.push(number);
        }
        made.map(Some)
    }

    /// Takes a slot back that is as it was made.
    pub(super) fn give(&self, slot: Slot) {
        let mut state = self.state();
        if state.free.len() < MAX_FREE {
            state.free.push(slot);
        } else {
            drop(state);
            self.dispose(&slot);
        }
    }

    /// Removes a slot with all that is in it. Blocks on the disk.
    pub(super) fn dispose(&self, slot: &Slot) {
        remove_or_warn(&slot.dir());
        self.state().vacant.push(slot.number());
    }

    /// The slot that a pool of an earlier life gave to an attempt. What such pools left, and what nothing runs in, is
    /// removed. Blocks on the disk.
    pub(in super::super) fn find(&self, parent: &Path, attempt: AttemptId) -> Option<PathBuf> {
        self.sweep(parent);
        home::find(parent, attempt)
    }

    fn pop(&self, parent: &Path, fits: impl Fn(&Slot) -> bool) -> Option<Slot> {
        let mut state = self.state();
        if !state.home.as_ref().is_some_and(|home| home.is_in(parent)) {
            return None;
        }
        // The one that came last, of which most is in the memory of the kernel.
        let place = state.free.iter().rposition(fits)?;
        Some(state.free.remove(place))
    }

    fn home(&self, parent: &Path) -> io::Result<Option<Arc<Home>>> {
        let known = self.state().home.clone();
        if let Some(home) = known {
            return Ok(home.is_in(parent).then_some(home));
        }
        std::fs::create_dir_all(parent)?;
        self.sweep(parent);
        let _alone = self.swept();
        // Somebody else may have been here first.
        if let Some(home) = self.state().home.clone() {
            return Ok(home.is_in(parent).then_some(home));
        }
        let home = Arc::new(Home::make(parent, &self.0.launchers)?);
        self.state().home = Some(Arc::clone(&home));
        Ok(Some(home))
    }

    fn sweep(&self, parent: &Path) {
        let mut swept = self.swept();
        if !*swept {
            home::sweep(parent, &self.0.launchers, &self.0.runs);
            *swept = true;
        }
    }

    fn swept(&self) -> MutexGuard<'_, bool> {
        self.0.swept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can be left half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for slot in self.free.drain(..) {
            remove_or_warn(&slot.dir());
        }
        if let Some(home) = &self.home {
            home.close();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("state", &*self.state())
            .finish_non_exhaustive()
    }
}

/// More than this many jobs seldom end and begin at once.
const MAX_FREE: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use jobyard_core::{AttemptNumber, JobId};
    use rustix::process::{getgid, getuid};

    use super::*;
    use crate::process::unix::{TMP, WORK};

    fn attempt(number: u128) -> AttemptId {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(number));
        AttemptId::new(job, AttemptNumber::FIRST)
    }

    fn own() -> Owner {
        (getuid().as_raw(), getgid().as_raw())
    }

    fn pool() -> Pool {
        Pool::new("/launchers".into(), |_| false)
    }

    fn take(pool: &Pool, base: &Path, number: u128) -> Slot {
        let taken = pool.take(base, own(), attempt(number));
        taken.expect("made").expect("here")
    }

    fn homes(base: &Path) -> usize {
        fs::read_dir(base).expect("there").count()
    }

    #[test]
    fn untouched_slot_is_used_again_by_the_same_owner_only() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = pool();
        let mut slot = take(&pool, base.path(), 1);
        let dir = slot.dir();
        assert!(slot.prove());
        pool.give(slot);
        assert!(
            pool.take_fresh(base.path(), (4711, 4711), false, attempt(2))
                .is_none()
        );
        let again = pool.take_fresh(base.path(), own(), false, attempt(2));
        assert_eq!(again.map(|slot| slot.dir()), Some(dir));
        assert!(
            pool.take_fresh(base.path(), own(), false, attempt(3))
                .is_none(),
            "there was one"
        );
        drop(pool);
        assert_eq!(homes(base.path()), 0);
    }

    #[test]
    fn slot_that_was_changed_is_not_as_it_was_made() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = pool();
        let change: [fn(&Path); 4] = [
            |dir| fs::write(dir.join(WORK).join("file"), b"x").expect("written"),
            |dir| fs::create_dir(dir.join(TMP).join("dir")).expect("made"),
            |dir| {
                let mode = Permissions::from_mode(0o1777);
                fs::set_permissions(dir.join(TMP), mode).expect("our own");
            },
            |dir| {
                fs::remove_dir(dir.join(WORK)).expect("empty");
                std::os::unix::fs::symlink("/tmp", dir.join(WORK)).expect("a link");
            },
        ];
        for (number, change) in (1..).zip(change) {
            let mut slot = take(&pool, base.path(), number);
            change(&slot.dir());
            assert!(!slot.is_untouched() && !slot.prove());
            pool.dispose(&slot);
            assert!(!slot.dir().exists());
        }
    }

    #[test]
    fn change_that_was_taken_back_is_seen_by_the_time_that_the_kernel_keeps() {
        let base = tempfile::tempdir().expect("a directory");
        let pool = pool();
        let mut slot = take(&pool, base.path(), 1);
        slot.age();
        assert!(slot.is_untouched());
        let file = slot.dir().join(WORK).join("file");
        // Times on a file system go in steps.
        let before = fs::metadata(slot.dir().join(WORK)).expect("there");
        loop {
            fs::write(&file, b"x").expect("written");
            fs::remove_file(&file).expect("there");
            let now = fs::metadata(slot.dir().join(WORK)).expect("there");
            if now.modified().ok() != before.modified().ok() {
                break;
            }
        }
        assert!(!slot.is_untouched());
        assert!(slot.prove(), "it is empty all the same");
    }

    #[test]
    fn slot_is_found_by_a_later_life_and_the_others_are_removed() {
        let base = tempfile::tempdir().expect("a directory");
        let first = pool();
        let (kept, other) = (take(&first, base.path(), 1), take(&first, base.path(), 2));
        let (kept_dir, other_dir) = (kept.dir(), other.dir());
        kept.home().on_left();
        drop((kept, other, first));
        assert!(kept_dir.exists() && other_dir.exists());

        let elsewhere = Pool::new("/others".into(), |_| false);
        assert_eq!(elsewhere.find(base.path(), attempt(3)), None);
        assert!(other_dir.exists(), "nobody there knows whether it runs");

        let second = Pool::new("/launchers".into(), |found| found == attempt(1));
        let found = second.find(base.path(), attempt(1));
        assert_eq!(found.as_ref(), Some(&kept_dir));
        assert!(kept_dir.exists() && !other_dir.exists());
        home::remove_found(&kept_dir);
        assert_eq!(homes(base.path()), 0);
    }

    #[test]
    fn slots_of_a_pool_that_lives_are_left_alone() {
        let base = tempfile::tempdir().expect("a directory");
        let (one, two) = (pool(), pool());
        let slot = take(&one, base.path(), 1);
        let other = take(&two, base.path(), 2);
        assert!(slot.dir().exists() && other.dir().exists());
        assert_eq!(homes(base.path()), 2);
    }
}
