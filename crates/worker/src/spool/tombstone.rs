//! What stands where the output of an attempt was, once it has given way.
//!
//! A file with the name of the directory. It keeps how far the output was, and it keeps a launcher of any version from
//! writing more of it: the next segment cannot be begun, and what comes is counted as dropped.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How often the directory is taken away again, if a launcher makes it anew at the same moment.
const TRIES: usize = 8;

/// What a file is called that is on its way in: it has the name of the directory, and this.
const IN: &str = ".passing.in";

/// The same for a directory that is on its way out.
const OUT: &str = ".passing.out";

/// Deletes the directory, and puts the file in its place. Needs no room on the disk, which may be full. What failed half
/// way may be done again. Blocks.
pub(super) fn put(dir: &Path, end: u64) -> io::Result<()> {
    let (file, gone) = (passing(dir, IN), passing(dir, OUT));
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut made = make(&file, end);
    let mut last = Ok(());
    for _ in 0..TRIES {
        delete(&gone)?;
        match fs::rename(dir, &gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let is_whole = if let Ok(is_whole) = made {
            is_whole
        } else {
            // There may be room for a file once there is none of the output any more.
            delete(&gone)?;
            make(&file, end)?
        };
        made = Ok(is_whole);
        last = fs::rename(&file, dir);
        if last.is_ok() {
            delete(&gone)?;
            if !is_whole {
                // Now there is room, and if there is not, it does without.
                let _ = fs::write(dir, end.to_string());
            }
            break;
        }
    }
    last
}

/// Makes the file; says whether there was room for what it tells, without which it serves as well.
fn make(file: &Path, end: u64) -> io::Result<bool> {
    let mut opened = File::create(file)?;
    Ok(opened.write_all(end.to_string().as_bytes()).is_ok())
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

/// Brings to an end what a worker left in its spool that ended while it put files in the place of directories. Blocks.
pub(super) fn settle(spool: &Path) -> io::Result<()> {
    for entry in fs::read_dir(spool)? {
        let path = entry?.path();
        let settled = match (without(&path, IN), without(&path, OUT)) {
            // The directory is gone, and whoever looks for it has to find why.
            (Some(dir), _) if is_nothing(&dir) => fs::rename(&path, dir),
            // It is still there, or was made anew: whether it has to go is decided again.
            (Some(_), _) | (None, Some(_)) => delete(&path),
            (None, None) => Ok(()),
        };
        if let Err(error) = settled {
            tracing::warn!(path = %path.display(), %error, "what an earlier life left could not be cleared up");
        }
    }
    Ok(())
}

/// Deletes a directory, or a file, or nothing. Blocks.
pub(super) fn delete(path: &Path) -> io::Result<()> {
    let deleted = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        deleted => deleted,
    };
    match deleted {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        deleted => deleted,
    }
}

fn is_nothing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn passing(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(what);
    PathBuf::from(name)
}

/// The directory for which this passes.
fn without(path: &Path, what: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(what)?;
    Some(path.with_file_name(name))
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
        assert_eq!(names(dir.parent().unwrap()), ["a.1"]);
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_begun_is_brought_to_an_end_and_what_was_not_is_undone() {
        let base = tempfile::tempdir().unwrap();
        let spool = base.path();
        // The directory was taken away, and the file not yet put there.
        fs::write(spool.join("a.1.passing.in"), "7").unwrap();
        fs::create_dir(spool.join("a.1.passing.out")).unwrap();
        fs::write(spool.join("a.1.passing.out").join("segment"), "x").unwrap();
        // It had not been taken away.
        fs::write(spool.join("b.1.passing.in"), "7").unwrap();
        fs::create_dir(spool.join("b.1")).unwrap();
        // All was done but the last step.
        fs::write(spool.join("c.1"), "9").unwrap();
        fs::create_dir(spool.join("c.1.passing.out")).unwrap();
        settle(spool).unwrap();
        assert_eq!(names(spool), ["a.1", "b.1", "c.1"]);
        assert_eq!(
            ["a.1", "b.1", "c.1"].map(|name| read(&spool.join(name))),
            [Some(7), None, Some(9)]
        );
    }

    #[test]
    fn other_names_are_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let spool = base.path().join("ci.passing.out").join("spool");
        fs::create_dir_all(spool.join("x.passing.by")).unwrap();
        fs::create_dir(spool.join("a.1")).unwrap();
        settle(&spool).unwrap();
        assert_eq!(names(&spool), ["a.1", "x.passing.by"]);
    }

    #[test]
    fn what_could_not_be_done_can_be_done_again() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("a.1");
        fs::create_dir(&dir).unwrap();
        // No file can be made under this name.
        let file = passing(&dir, IN);
        fs::create_dir(&file).unwrap();
        put(&dir, 7).unwrap_err();
        assert!(is_nothing(&dir), "there is room at least");
        fs::remove_dir(&file).unwrap();
        put(&dir, 7).unwrap();
        assert_eq!(read(&dir), Some(7));
    }

    /// Where the test that is started again finds its disk.
    #[cfg(target_os = "linux")]
    const DISK: &str = "JOBYARD_SPOOL_TEST_DISK";

    /// Starts itself again in a mount namespace of its own, on a small disk of its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_gives_way() {
        if let Some(disk) = std::env::var_os(DISK) {
            return give_way_on(Path::new(&disk));
        }
        let disk = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=256k,nr_inodes=32 none \"$0\" && exec \"$@\"";
        let ended = std::process::Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(disk.path())
            .arg(std::env::current_exe().unwrap())
            .arg("--exact")
            .arg("spool::tombstone::tests::a_full_disk_gives_way")
            .arg("--nocapture")
            .env(DISK, disk.path())
            .output()
            .expect("unshare starts");
        let said = [&ended.stdout[..], &ended.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}"
        );
    }

    #[cfg(target_os = "linux")]
    fn give_way_on(disk: &Path) {
        let dir = disk.join("a.1");
        let full = || {
            let mut writer = SpoolWriter::new(dir.clone(), u64::MAX);
            while writer.progress().dropped == 0 {
                let at = Timestamp::from_micros(1);
                writer.write(OutputStream::Stdout, at, Bytes::from_static(&[7; 4096]));
            }
            writer.progress().end
        };
        // No room for bytes.
        let end = full();
        fs::write(disk.join("probe"), "x").expect_err("it is full");
        put(&dir, end).unwrap();
        assert_eq!(read(&dir), Some(end));
        // No room for as much as an empty file.
        fs::remove_file(&dir).unwrap();
        let end = full();
        let mut others = 0;
        while File::create(disk.join(others.to_string())).is_ok() {
            others += 1;
        }
        put(&dir, end).unwrap();
        assert_eq!(read(&dir), Some(end));
        assert!(!names(disk).iter().any(|name| name.contains("passing")));
    }
}
