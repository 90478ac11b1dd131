//! Which bytes of the log directory are copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jobyard_core::AttemptId;

use crate::files::{Kind, durable_prefix, numbered_directories, parse_name};

/// A file to copy.
#[derive(Debug)]
pub(crate) struct LogFile {
    pub(crate) path: PathBuf,
    /// Relative to the directory of logs.
    pub(crate) name: String,
    attempt: AttemptId,
    kind: Kind,
    /// Whether it is the last segment of a log, which may grow meanwhile.
    is_last: bool,
}

/// What is copied of a file.
#[derive(Debug)]
pub(crate) enum Copied {
    /// These bytes.
    Bytes(Vec<u8>),
    /// All of it, so long: it does not change any more.
    Whole(File, u64),
}

impl LogFile {
    /// What of it is copied: of a segment all but what a write that is not finished has left at the end of a log. `None`
    /// if it is gone: it was removed meanwhile, or what it held is in another file now. A segment is a few MiB long.
    pub(crate) fn open(&self) -> io::Result<Option<Copied>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Kind::Segment { base } = self.kind else {
            let bytes = file.metadata()?.len();
            return Ok(Some(Copied::Whole(file, bytes)));
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if self.is_last {
            bytes.truncate(durable_prefix(&bytes, self.attempt, base));
        }
        Ok(Some(Copied::Bytes(bytes)))
    }
}

/// Hands out all files of logs, directory by directory; of each log in order. `take` says whether the file was still
/// there. A log of which one was not may have been compressed or archived in between: what it has become is handed out
/// then, and wins over its segments when it is restored.
pub(crate) fn each_log_file<E: From<io::Error>>(
    root: &Path,
    mut take: impl FnMut(LogFile) -> Result<bool, E>,
) -> Result<(), E> {
    for (_, branch) in numbered_directories(root)? {
        for (_, leaf) in numbered_directories(&branch)? {
            let mut taken = BTreeSet::new();
            let mut wanted: Option<BTreeSet<AttemptId>> = None;
            loop {
                let mut gone = BTreeSet::new();
                for file in files_of(root, &leaf)? {
                    let (attempt, kind) = (file.attempt, file.kind);
                    let is_wanted = wanted.as_ref().is_none_or(|some| some.contains(&attempt));
                    if !is_wanted || !taken.insert((attempt, kind)) {
                        continue;
                    }
                    if !take(file)? {
                        gone.insert(attempt);
                    }
                }
                if gone.is_empty() {
                    break;
                }
                // A log goes from form to form and never back, so this ends.
                wanted = Some(gone);
            }
        }
    }
    Ok(())
}

fn files_of(root: &Path, leaf: &Path) -> io::Result<Vec<LogFile>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(leaf)? {
        let entry = entry?;
        match parse_name(&entry.file_name()) {
            None | Some((_, Kind::SealedPartial | Kind::ArchivedPartial { .. })) => {}
            Some(file) => drop(found.insert(file, entry.path())),
        }
    }
    // A log that is on its way to the archive is here still, and what notes that is none of its forms.
    let here: BTreeSet<AttemptId> = found
        .keys()
        .filter(|(_, kind)| matches!(kind, Kind::Sealed))
        .map(|(attempt, _)| *attempt)
        .collect();
    found.retain(|(attempt, kind), _| {
        !(matches!(kind, Kind::Removing { .. }) && here.contains(attempt))
    });
    let is_segment = |kind: &Kind| matches!(kind, Kind::Segment { .. });
    let segments = found.keys().filter(|(_, kind)| is_segment(kind));
    let last: BTreeMap<AttemptId, Kind> = segments.copied().collect();
    let files = found.into_iter().filter_map(|((attempt, kind), path)| {
        let name = path.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
        Some(LogFile {
            path,
            name,
            attempt,
            kind,
            is_last: last.get(&attempt) == Some(&kind),
        })
    });
    Ok(files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_out_what_notes_that_a_log_is_on_its_way_to_the_archive() {
        let directory = tempfile::tempdir().expect("a directory");
        let leaf = directory.path().join("ab/cd");
        fs::create_dir_all(&leaf).expect("a directory");
        let job = jobyard_core::JobId::from_uuid(uuid::Uuid::from_u128(0xabcd));
        let name = |rest: &str| format!("{job}.{rest}");
        // The first is here still; the second has only to be removed from the archive.
        let names = [
            "1.zst",
            "1.00000000000000000005.removing",
            "2.00000000000000000005.removing",
        ];
        for rest in names {
            fs::write(leaf.join(name(rest)), "x").expect("a file");
        }
        let mut found = Vec::new();
        let walked = each_log_file(directory.path(), |file| {
            found.push(file.name);
            Ok::<_, io::Error>(true)
        });
        walked.expect("it can be read");
        let wanted = [names[0], names[2]].map(|rest| format!("ab/cd/{}", name(rest)));
        assert_eq!(found, wanted);
    }
}
