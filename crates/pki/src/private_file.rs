//! Files that only their owner may read, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A file or directory that holds keys could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// The operating system refused. The operator's matter: rights, a full disk, a read-only mount.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example "read".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read or change the file, so its key must not be relied upon. The operator's matter.
    #[error(
        "{} is open to other users (mode {mode:03o}): if nobody has read it, run chmod 600 on it",
        path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Larger than anything that belongs there.
    #[error("{} is larger than {max} bytes, it is not one of our files", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// Not text.
    #[error("{} is not a text file", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads a file that only its owner may read; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, PrivateFileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    let metadata = file.metadata().map_err(failed("read", path))?;
    check_mode(path, &metadata)?;
    let size = metadata.len();
    if size > MAX_BYTES {
        return Err(PrivateFileError::TooLarge {
            path: path.to_owned(),
            max: MAX_BYTES,
        });
    }
    // Reserved in full, so that no copy of a key is left behind by growing.
    let capacity = usize::try_from(size).unwrap_or_default().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PrivateFileError::NotText {
        path: path.to_owned(),
    })?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

/// Writes a file with mode 0600. On return it is on the disk under its name; after a crash or an error there is
/// either the whole new file or what was there before.
pub(crate) fn write(path: &Path, contents: &str) -> Result<(), PrivateFileError> {
    let staged = with_suffix(path, ".new");
    remove(&staged)?;
    let mut file = private_options()
        .open(&staged)
        .map_err(failed("create", &staged))?;
    file.write_all(contents.as_bytes())
        .map_err(failed("write", &staged))?;
    file.sync_all().map_err(failed("write", &staged))?;
    rename(&staged, path)
}

/// Renames, and makes the new name durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), PrivateFileError> {
    fs::rename(from, to).map_err(failed("create", to))?;
    sync_directory(parent(to))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), PrivateFileError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync", path))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), PrivateFileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Creates a directory with mode 0700, with its missing parents.
pub(crate) fn create_directory(path: &Path) -> Result<(), PrivateFileError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(failed("create", path))
}

/// The same path with something appended to its last name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The directory that a path lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(crate) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> PrivateFileError {
    move |source| PrivateFileError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), PrivateFileError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    let for_others = mode & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    Err(PrivateFileError::Exposed {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), PrivateFileError> {
    Ok(())
}

/// A key and a few certificates have some 5 KiB; this leaves room for long chains.
const MAX_BYTES: u64 = 256 * 1024;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn written_file_is_private_and_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        fs::write(with_suffix(&path, ".new"), "left by a crash").unwrap();
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "two");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing staged is left"
        );
        assert!(read(&dir.path().join("other")).unwrap().is_none());
    }

    #[test]
    fn refuse_files_that_others_can_read_or_that_are_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("key") && error.contains("640"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, vec![b'x'; 300 * 1024]).unwrap();
        assert!(matches!(
            read(&path),
            Err(PrivateFileError::TooLarge { .. })
        ));
        fs::write(&path, [0xff]).unwrap();
        assert!(matches!(read(&path), Err(PrivateFileError::NotText { .. })));
    }

    #[test]
    fn created_directory_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a").join("b");
        create_directory(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
    }
}
