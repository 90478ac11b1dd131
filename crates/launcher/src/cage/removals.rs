//! Groups that could not be removed at once.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::group;

/// Groups to remove. A group is busy for a moment after its last process has ended; it is tried again whenever a cage is
/// taken or given back.
#[derive(Debug, Default)]
pub(super) struct Removals {
    kept: VecDeque<PathBuf>,
}

impl Removals {
    /// Removes the group, now or later.
    pub(super) fn add(&mut self, path: PathBuf) {
        if group::remove(&path).is_ok() {
            return;
        }
        if self.kept.len() >= MOST_KEPT {
            // What is dropped here is found again when the launcher ends.
            self.kept.pop_front();
        }
        self.kept.push_back(path);
    }

    /// Tries some again, those that have waited longest.
    pub(super) fn retry(&mut self) {
        for _ in 0..self.kept.len().min(MOST_RETRIED) {
            if let Some(path) = self.kept.pop_front()
                && group::remove(&path).is_err()
            {
                self.kept.push_back(path);
            }
        }
    }
}

/// More groups than this are not remembered.
const MOST_KEPT: usize = 256;

/// More groups than this are not tried at once, so that a start does not wait for them.
const MOST_RETRIED: usize = 4;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_busy_group_is_removed_later() {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("group");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("process"), "").expect("written");
        let mut removals = Removals::default();
        removals.add(path.clone());
        removals.retry();
        assert!(path.exists());
        fs::remove_file(path.join("process")).expect("removed");
        removals.retry();
        assert!(!path.exists());
        assert!(removals.kept.is_empty());
    }

    #[test]
    fn no_more_are_kept_than_is_bounded() {
        let root = tempfile::tempdir().expect("a directory");
        fs::create_dir(root.path().join("group")).expect("made");
        fs::write(root.path().join("group/process"), "").expect("written");
        let mut removals = Removals::default();
        for _ in 0..MOST_KEPT + 5 {
            removals.add(root.path().join("group"));
        }
        assert_eq!(removals.kept.len(), MOST_KEPT);
    }
}
