//! What stands where the output of an attempt was, once it has given way.
//!
//! A file with the name of the directory. It keeps how far the output was, and it keeps a launcher of any version from
//! writing more of it: the next segment cannot be begun, and what comes is counted as dropped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How often the directory is taken away again, if a launcher makes it anew at the same moment.
const TRIES: usize = 8;

/// What a directory, or a file, is called that is on its way out, or in.
const PASSING: &str = ".passing";

/// Deletes the directory, and puts the file in its place. Blocks.
pub(super) fn put(dir: &Path, end: u64) -> io::Result<()> {
    let (file, gone) = (passing(dir, "in"), passing(dir, "out"));
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&file, end.to_string())?;
    let mut last = Ok(());
    for _ in 0..TRIES {
        let _ = fs::remove_dir_all(&gone);
        match fs::rename(dir, &gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        last = fs::rename(&file, dir);
        if last.is_ok() {
            break;
        }
    }
    let _ = fs::remove_dir_all(&gone);
    last
}

/// How far the output was that stood here; `None`: it did not give way.
pub(super) fn read(dir: &Path) -> Option<u64> {
    if !dir.is_file() {
        return None;
    }
    let text = fs::read_to_string(dir).unwrap_or_default();
    // One that cannot be read says at least that there was output.
    Some(text.parse().unwrap_or(1))
}

/// Whether this is what a worker left that ended while it put a file in place of a directory.
pub(super) fn is_passing(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.contains(PASSING)
}

fn passing(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(PASSING);
    name.push(".");
    name.push(what);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jobyard_core::{OutputStream, Timestamp};
    use jobyard_launcher::spool::SpoolWriter;

    use super::*;

    #[test]
    fn launcher_that_writes_there_begins_no_further_segment() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a.1");
        let mut writer = SpoolWriter::new(dir.clone(), u64::MAX).with_segment_bytes(3);
        let mut write = |text: &'static str| {
            let at = Timestamp::from_micros(1);
            writer.write(
                OutputStream::Stdout,
                at,
                Bytes::from_static(text.as_bytes()),
            );
            writer.progress()
        };
        assert_eq!(write("ab").end, 2);
        put(&dir, 2).unwrap();
        assert_eq!(read(&dir), Some(2));
        // What it has open it fills, and then there is nothing more.
        assert_eq!(write("cd").dropped, 0);
        assert_eq!(write("ef").dropped, 2);
        let names = fs::read_dir(base.path()).unwrap().count();
        assert_eq!(names, 1);
    }

    #[test]
    fn it_stands_where_nothing_was_and_where_it_stood() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("spool").join("a.1");
        assert_eq!(read(&dir), None);
        put(&dir, 7).unwrap();
        put(&dir, 9).unwrap();
        assert_eq!(read(&dir), Some(9));
        assert!(is_passing(&passing(&dir, "in")) && !is_passing(&dir));
    }
}
