//! Which bytes of the log directory are copied.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use jobyard_core::AttemptId;

use crate::files::{durable_prefix, numbered_directories, parse_name};

/// A segment to copy.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    /// Relative to the directory of logs.
    pub(crate) name: String,
    /// `Some` for the last one of a log, which may grow meanwhile.
    last_of: Option<(AttemptId, u64)>,
}

impl SegmentFile {
    /// What of it is copied: all but what a write that is not finished has left at the end of a log. `None` if it was
    /// removed meanwhile. A segment is a few MiB long.
    pub(crate) fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(mut file) => file.read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Some((attempt, base)) = self.last_of {
            bytes.truncate(durable_prefix(&bytes, attempt, base));
        }
        Ok(Some(bytes))
    }
}

/// Hands out all segments, directory by directory; of each log in order.
pub(crate) fn each_segment<E: From<io::Error>>(
    root: &Path,
    mut take: impl FnMut(SegmentFile) -> Result<(), E>,
) -> Result<(), E> {
    for (_, branch) in numbered_directories(root)? {
        for (_, leaf) in numbered_directories(&branch)? {
            for segment in segments_of(root, &leaf)? {
                take(segment)?;
            }
        }
    }
    Ok(())
}

fn segments_of(root: &Path, leaf: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(leaf)? {
        let entry = entry?;
        if let Some(segment) = parse_name(&entry.file_name()) {
            found.insert(segment, entry.path());
        }
    }
    let attempts: Vec<AttemptId> = found.keys().map(|(attempt, _)| *attempt).collect();
    let segments = found.into_iter().enumerate();
    let files = segments.filter_map(|(index, ((attempt, base), path))| {
        let name = path.strip_prefix(root).ok()?.to_str()?.replace('\\', "/");
        let is_last = attempts.get(index + 1) != Some(&attempt);
        Some(SegmentFile {
            path,
            name,
            last_of: is_last.then_some((attempt, base)),
        })
    });
    Ok(files.collect())
}
