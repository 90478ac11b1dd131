//! Removes a tree of files that a job made, however it made it.
//!
//! Nothing is ever reached by a path: each directory is opened through the descriptor of the one above it, without
//! following links and without crossing into another file system, and removed through it. A process that swaps a
//! directory for a link, or moves one away, meanwhile, has us remove what it moved, but nothing that it could not have
//! reached from there.
//!
//! Depth takes neither stack nor descriptors: below a certain one, a directory is first moved up to the top.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, unlinkat,
};
use rustix::io::Errno;

/// Removes a directory with all it contains, or a file. What is not there is no error.
///
/// # Errors
///
/// Something could not be removed: the first reason. All else was.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR) => return unlink(CWD, path),
        Err(_) => {}
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    let parent = openat(CWD, parent, DIRECTORY, Mode::empty())?;
    let name = CString::new(name.as_encoded_bytes())?;
    let root = open_directory(parent.as_fd(), &name)?;
    let mut removal = Removal {
        root,
        moved: 0,
        problem: None,
    };
    removal.empty_root();
    let removed = unlinkat(&parent, &name, AtFlags::REMOVEDIR);
    match (removed, removal.problem) {
        (Ok(()) | Err(Errno::NOENT), _) => Ok(()),
        (Err(_), Some(problem)) => Err(problem.into()),
        (Err(error), None) => Err(error.into()),
    }
}

fn unlink(dir: impl AsFd, path: &Path) -> io::Result<()> {
    match unlinkat(dir, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What is being removed.
struct Removal {
    root: OwnedFd,
    /// How many directories were moved up to the top.
    moved: u64,
    problem: Option<Errno>,
}

/// A directory that is open while what is in it is being removed.
struct Level {
    /// Its name in the level above.
    name: CString,
    dir: Dir,
}

impl Removal {
    /// Removes all in the root. What is moved up while it is read may be missed, so it is read until there is nothing
    /// new.
    fn empty_root(&mut self) {
        for _ in 0..MAX_PASSES {
            let moved = self.moved;
            let Some(dir) = self.note(Dir::read_from(&self.root)) else {
                return;
            };
            self.empty(dir);
            if self.moved == moved {
                return;
            }
        }
    }

    /// Removes what is in a directory, and the directories beneath it; not itself.
    fn empty(&mut self, top: Dir) {
        let mut levels = vec![Level {
            name: CString::default(),
            dir: top,
        }];
        while let Some(level) = levels.last_mut() {
            let Some((name, kind)) = self.next_entry(&mut level.dir) else {
                let done = levels.pop();
                if let (Some(done), Some(above)) = (done, levels.last()) {
                    self.remove(&above.dir, &done.name, AtFlags::REMOVEDIR);
                }
                continue;
            };
            let depth = levels.len();
            let Some(level) = levels.last() else { return };
            if kind != FileType::Directory && self.unlink(&level.dir, &name) {
                continue;
            }
            if depth >= MAX_OPEN {
                self.move_up(&level.dir, &name);
            } else if let Some(dir) = self.open(&level.dir, &name) {
                levels.push(Level { name, dir });
            }
        }
    }

    fn next_entry(&mut self, dir: &mut Dir) -> Option<(CString, FileType)> {
        loop {
            let entry = self.note(dir.read()?)?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                return Some((name.to_owned(), entry.file_type()));
            }
        }
    }

    /// Removes what is no directory; `false` if it is one.
    fn unlink(&mut self, dir: &Dir, name: &CString) -> bool {
        let fd = self.note(dir.fd());
        match fd.map(|fd| unlinkat(fd, name, AtFlags::empty())) {
            Some(Err(Errno::ISDIR)) => false,
            Some(Err(error)) if error != Errno::NOENT => {
                self.problem.get_or_insert(error);
                true
            }
            _ => true,
        }
    }

    fn remove(&mut self, dir: &Dir, name: &CString, flags: AtFlags) {
        if let Some(fd) = self.note(dir.fd())
            && let Err(error) = unlinkat(fd, name, flags)
            && error != Errno::NOENT
        {
            self.problem.get_or_insert(error);
        }
    }

    /// Opens a directory for removing what is in it. Nothing if it is empty and could be removed at once.
    fn open(&mut self, dir: &Dir, name: &CString) -> Option<Dir> {
        let fd = self.note(dir.fd())?;
        match open_directory(fd, name) {
            Ok(opened) => self.note(Dir::new(opened)),
            // It went away, or became something else.
            Err(Errno::NOENT) => None,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.unlink(dir, name);
                None
            }
            Err(error) => {
                self.problem.get_or_insert(error);
                None
            }
        }
    }

    fn move_up(&mut self, dir: &Dir, name: &CString) {
        // The entry `..` of a directory changes with a move, which takes the right to write into it.
        if let Some(fd) = self.note(dir.fd())
            && self.note(open_directory(fd, name)).is_some()
        {
            let place = format!(".moved-up-{}", self.moved);
            if self.note(renameat(fd, name, &self.root, place)).is_some() {
                self.moved += 1;
            }
        }
    }

    fn note<T>(&mut self, result: Result<T, Errno>) -> Option<T> {
        result
            .map_err(|error| self.problem.get_or_insert(error).to_owned())
            .ok()
    }
}

/// Opens a directory that has to be one, in this file system, with all rights for its owner.
fn open_directory(above: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, Errno> {
    match open_beneath(above, name, DIRECTORY) {
        Ok(dir) => {
            let mode = Mode::from_raw_mode(fstat(&dir)?.st_mode);
            if !mode.contains(Mode::RWXU) {
                // Not ours, and still in our way: what cannot be removed then is told by who tries.
                let _ = fchmod(&dir, Mode::RWXU);
            }
            Ok(dir)
        }
        Err(Errno::ACCESS) => {
            open_up(above, name)?;
            open_beneath(above, name, DIRECTORY)
        }
        Err(error) => Err(error),
    }
}

/// Gives the owner of a directory that it may not read all rights to it: by its descriptor, so that it is this one.
#[cfg(target_os = "linux")]
fn open_up(above: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let held = open_beneath(above, name, OFlags::PATH.union(DIRECTORY))?;
    rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU)
}

#[cfg(not(target_os = "linux"))]
fn open_up(above: BorrowedFd<'_>, name: &CString) -> Result<(), Errno> {
    rustix::fs::chmodat(above, name, Mode::RWXU, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(target_os = "linux")]
fn open_beneath(above: BorrowedFd<'_>, name: &CString, flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH
        .union(ResolveFlags::NO_SYMLINKS)
        .union(ResolveFlags::NO_XDEV);
    loop {
        match openat2(above, name, flags, Mode::empty(), resolve) {
            // Something was renamed or mounted somewhere meanwhile.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(above: BorrowedFd<'_>, name: &CString, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(above, name, flags, Mode::empty())
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How many directories are open at once: each takes a descriptor.
const MAX_OPEN: usize = 32;
/// How often the top is read again: enough for a depth of 32 million, and an end for whoever makes ever more.
const MAX_PASSES: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::mkdirat;

    use super::*;

    fn base() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory")
    }

    #[test]
    fn remove_directories_without_permissions_but_not_behind_links() {
        let outside = base();
        fs::write(outside.path().join("kept"), b"x").expect("a file");
        let base = base();
        let root = base.path().join("tree");
        let closed = root.join("a/b");
        fs::create_dir_all(&closed).expect("made");
        fs::write(closed.join("file"), b"x").expect("a file");
        symlink(outside.path(), root.join("link")).expect("a link");
        for dir in [closed, root.join("a")] {
            fs::set_permissions(dir, Permissions::from_mode(0o000)).expect("our own");
        }
        remove_tree(&root).expect("removed");
        assert!(!root.exists());
        assert!(outside.path().join("kept").exists());
    }

    #[test]
    fn files_links_and_what_is_not_there_are_removed_as_well() {
        let base = base();
        let file = base.path().join("file");
        fs::write(&file, b"x").expect("a file");
        let link = base.path().join("link");
        symlink("/etc", &link).expect("a link");
        for path in [&file, &link, &base.path().join("nothing")] {
            remove_tree(path).expect("removed");
            assert!(fs::symlink_metadata(path).is_err());
        }
    }

    #[test]
    fn tree_of_a_hundred_thousand_levels_is_removed() {
        // In memory, where there is such a place: a disk takes a minute for it.
        let base = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| base());
        let root = base.path().join("deep");
        fs::create_dir(&root).expect("made");
        let mut dir = openat(CWD, &root, DIRECTORY, Mode::empty()).expect("open");
        for _ in 0..100_000 {
            mkdirat(&dir, "d", Mode::RWXU).expect("made");
            dir = openat(&dir, "d", DIRECTORY, Mode::empty()).expect("open");
        }
        drop(dir);
        remove_tree(&root).expect("removed");
        assert!(!root.exists());
    }

    #[test]
    fn directory_that_becomes_a_link_while_it_is_removed_leads_nowhere() {
        let outside = base();
        fs::write(outside.path().join("kept"), b"x").expect("a file");
        let base = base();
        let root = base.path().join("tree");
        let (real, link) = (root.join("d"), base.path().join("link"));
        symlink(outside.path(), &link).expect("a link");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                use rustix::fs::{RenameFlags, renameat_with};
                while !done.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE);
                }
            });
            for _ in 0..300 {
                fs::create_dir_all(&root).expect("made");
                for dir in ["a", "d", "e"] {
                    let dir = root.join(dir);
                    let _ = fs::create_dir(&dir);
                    for file in 0..5 {
                        // Into our own directory, or, once it was swapped, not at all.
                        let _ = fs::write(dir.join("sub").join(file.to_string()), b"x");
                    }
                }
                let _ = remove_tree(&root);
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(outside.path().join("kept").exists());
    }
}
