//! Leaves that are used again: those of attempts that ended by themselves.

use std::io;
use std::path::PathBuf;

use super::leaf::{Leaf, Way};

/// Leaves without controllers, kept once they are empty: to make and remove one costs more than to start a small program.
#[derive(Debug)]
pub(super) struct LeafPool {
    parent: PathBuf,
    way: Way,
    free: Vec<Leaf>,
    made: u64,
}

impl LeafPool {
    /// Leaves of this group.
    pub(super) fn new(parent: PathBuf, way: Way) -> Self {
        Self {
            parent,
            way,
            free: Vec::new(),
            made: 0,
        }
    }

    /// A leaf with nothing in it.
    pub(super) fn take(&mut self) -> io::Result<Leaf> {
        while let Some(mut leaf) = self.free.pop() {
            if leaf.is_free() {
                leaf.start_counting();
                return Ok(leaf);
            }
            // Somebody removed it, or put a process into it. What is not ours is not killed: the leaf is left to it.
        }
        loop {
            self.made += 1;
            match Leaf::make(&self.parent.join(self.made.to_string()), self.way) {
                // Left there by an earlier launcher, with something in it.
                Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made,
            }
        }
    }

    /// Keeps a leaf for the next one. What cannot be kept is returned, to be removed.
    pub(super) fn give_back(&mut self, leaf: Leaf) -> Option<PathBuf> {
        if self.free.len() < MOST_FREE && leaf.renew() {
            self.free.push(leaf);
            return None;
        }
        Some(leaf.into_path())
    }
}

/// How many are kept: five descriptors each; as many as end at about the same time.
const MOST_FREE: usize = 64;
