//! The authority's directory: all of it or nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::issuer::{CaIssuer, Problem};
use crate::private_file::{self, PrivateFileError};

/// The names of the files; each holds one certificate and its key.
pub(super) const ROOT: &str = "root.pem";
pub(super) const SERVERS: &str = "servers.pem";
pub(super) const CLIENTS: &str = "clients.pem";

/// A new authority's files: name and contents.
pub(super) type Contents = [(&'static str, Zeroizing<String>); 3];

/// Whether an authority was ever written to `dir`: whether anything is in there.
pub(super) fn exists(dir: &Path) -> Result<bool, OpenAuthorityError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(private_file::failed("read", dir)(error).into()),
    }
}

/// Writes a new authority. The directory is filled under another name beside its own, and takes its own name once
/// everything is on the disk: a crash leaves nothing or all of it. What an earlier crash left is removed.
pub(super) fn create(dir: &Path, contents: &Contents) -> Result<(), OpenAuthorityError> {
    let staged = private_file::with_suffix(dir, ".new");
    match fs::remove_dir_all(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(private_file::failed("remove", &staged)(error).into());
        }
        _ => {}
    }
    private_file::create_directory(&staged)?;
    for (name, text) in contents {
        private_file::write(&staged.join(name), text)?;
    }
    // An empty directory that waits under the final name is replaced.
    Ok(private_file::rename(&staged, dir)?)
}

/// Reads one of the files.
pub(super) fn load(dir: &Path, name: &str) -> Result<CaIssuer, OpenAuthorityError> {
    let path = dir.join(name);
    let text = private_file::read(&path)?
        .ok_or_else(|| OpenAuthorityError::Missing { path: path.clone() })?;
    CaIssuer::from_pem(&text).map_err(|problem| OpenAuthorityError::Broken { path, problem })
}

/// Why there is no authority. Always the operator's matter; the same start will fail again until it is mended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenAuthorityError {
    /// A file or directory cannot be read or written, or is open to others.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The directory is not empty, and not whole. It is never filled up: a new root would lock out every worker.
    #[error(
        "{} is missing: the certificate authority is incomplete, restore it from a backup",
        path.display()
    )]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// A file was read and is not usable.
    #[error("{} is not usable: {problem}; restore it from a backup", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// No new authority could be made.
    #[error("no certificate authority could be made: {problem}")]
    Create {
        /// Why.
        problem: Problem,
    },
}
