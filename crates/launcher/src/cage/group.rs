//! Control groups as directories.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::processes::Process;

/// Makes a group; one that is there already is as good.
pub(super) fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(|problem| named(group, problem)),
    }
}

/// The same problem, that says which file or directory it is with.
pub(super) fn named(path: &Path, problem: io::Error) -> io::Error {
    let kind = problem.kind();
    let path = path.to_path_buf();
    io::Error::new(kind, Named { path, problem })
}

/// The number of the kernel's error, also of one that was [`named`].
pub(super) fn errno(problem: &io::Error) -> Option<i32> {
    let named = || problem.get_ref()?.downcast_ref::<Named>();
    problem
        .raw_os_error()
        .or_else(|| named()?.problem.raw_os_error())
}

/// Something that is not as it should be with a file or a directory.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
struct Named {
    path: PathBuf,
    problem: io::Error,
}

/// Reads a file of a group.
pub(super) fn read(group: &Path, file: &str) -> io::Result<String> {
    fs::read_to_string(group.join(file))
}

/// Writes to a file that the kernel has made.
pub(super) fn write(group: &Path, file: &str, value: &str) -> io::Result<()> {
    open_for_writing(group, file)?
        .write_all(value.as_bytes())
        .map_err(|problem| named(&group.join(file), problem))
}

/// Opens a file that the kernel has made.
pub(super) fn open_for_writing(group: &Path, file: &str) -> io::Result<File> {
    let path = group.join(file);
    let opened = OpenOptions::new().write(true).open(&path);
    opened.map_err(|problem| named(&path, problem))
}

/// The group and all that are beneath it, from above.
pub(super) fn with_nested(group: &Path) -> Vec<PathBuf> {
    let mut found = vec![group.to_path_buf()];
    let mut next = 0;
    while let Some(entries) = found.get(next).map(fs::read_dir) {
        next += 1;
        for entry in entries.into_iter().flatten().flatten() {
            if found.len() < MOST_NESTED && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
            }
        }
    }
    found
}

/// Removes the group with all that are beneath it. One that is not there is removed.
///
/// # Errors
///
/// A process is in one of them, or was until just now.
pub(super) fn remove(group: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    if gone(fs::remove_dir(group)).is_ok() {
        return Ok(());
    }
    with_nested(group)
        .iter()
        .rev()
        .map(|nested| gone(fs::remove_dir(nested)))
        .fold(Ok(()), io::Result::and)
}

/// The living processes in the group and in all that are beneath it.
///
/// # Errors
///
/// The group, or one of its processes, cannot be looked at: what is in it is not known.
pub(super) fn members(group: &Path) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    look_through(group, &mut found).map(|()| found)
}

/// As many of them as can be looked at: for whoever kills them, and proves nothing by it.
pub(super) fn visible_members(group: &Path) -> Vec<Process> {
    let mut found = Vec::new();
    // What was found is right, whatever else could not be looked at.
    let _ = look_through(group, &mut found);
    found
}

fn look_through(group: &Path, found: &mut Vec<Process>) -> io::Result<()> {
    let mut seen = Ok(());
    for nested in with_nested(group) {
        match read(&nested, "cgroup.procs") {
            Ok(text) => {
                for pid in text.lines().filter_map(|line| line.parse().ok()) {
                    match Process::look(pid) {
                        Ok(process) => found.extend(process.filter(|it| !it.dead)),
                        Err(problem) => seen = seen.and(Err(problem)),
                    }
                }
            }
            // One with threads alone: its processes are listed above.
            Err(problem) if problem.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {}
            // Removed meanwhile.
            Err(problem) if is_gone(&problem) && nested != group => {}
            Err(problem) => seen = seen.and(Err(problem)),
        }
    }
    seen
}

/// Whether the group itself is not there any more.
pub(super) fn is_gone(problem: &io::Error) -> bool {
    problem.kind() == io::ErrorKind::NotFound || errno(problem) == Some(Errno::NODEV.raw_os_error())
}

/// Whether the group holds processes, by its `cgroup.procs`.
pub(super) fn is_occupied(group: &Path) -> io::Result<bool> {
    match members(group) {
        Err(problem) if is_gone(&problem) => Ok(false),
        members => Ok(!members?.is_empty()),
    }
}

/// A job that makes more groups than this in its own is not followed into the rest.
const MOST_NESTED: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_groups_are_removed_from_below() {
        let root = tempfile::tempdir().expect("a directory");
        let group = root.path().join("group");
        fs::create_dir_all(group.join("a/b/c")).expect("made");
        fs::create_dir_all(group.join("d")).expect("made");
        remove(&group).expect("removed");
        assert!(!group.exists());
        remove(&group).expect("still removed");
    }

    #[test]
    fn a_group_in_use_is_not_removed() {
        let root = tempfile::tempdir().expect("a directory");
        let group = root.path().join("group");
        fs::create_dir_all(group.join("a")).expect("made");
        fs::write(group.join("a/process"), "").expect("written");
        assert!(remove(&group).is_err());
    }

    #[test]
    fn files_are_not_made_where_the_kernel_has_none() {
        let root = tempfile::tempdir().expect("a directory");
        let problem = write(root.path(), "memory.max", "1").expect_err("no such file");
        assert!(is_gone(&problem));
        let path = root.path().join("memory.max");
        assert!(
            problem
                .to_string()
                .starts_with(&format!("{}: ", path.display()))
        );
        assert_eq!(errno(&problem), Some(Errno::NOENT.raw_os_error()));
    }
}
