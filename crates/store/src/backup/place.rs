//! Putting what was restored into its place, so that a master never starts on half of it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::staging::{STAGING, private_directories, private_file, sync_all_below, sync_directory};
use crate::sqlite::UNFINISHED;

/// A directory that is being restored.
///
/// From the first moment a file that is no database stands where the database belongs, and a master refuses to start on
/// it. Everything is made ready in a directory inside, moves out of it by renaming, and last the database takes the
/// place of that file.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    database: PathBuf,
    staging: PathBuf,
}

impl Place {
    /// In an empty directory, which is made if it is not there.
    pub(crate) fn begin(directory: &Path, database: &str) -> io::Result<Self> {
        private_directories(directory)?;
        let place = Self {
            directory: directory.to_owned(),
            database: directory.join(database),
            staging: directory.join(STAGING),
        };
        let begun = place.mark().and_then(|()| fs::create_dir(&place.staging));
        if let Err(error) = begun {
            // It was empty: nothing else is lost.
            drop(place.clear());
            return Err(error);
        }
        Ok(place)
    }

    fn mark(&self) -> io::Result<()> {
        let mut file = private_file(&self.database)?;
        file.write_all(UNFINISHED.as_bytes())?;
        file.sync_all()?;
        sync_directory(&self.directory)
    }

    /// Where a file is made ready.
    pub(crate) fn staged(&self, path: &str) -> PathBuf {
        self.staging.join(path)
    }

    /// Moves everything to its place; tells before each move.
    pub(crate) fn settle(&self, tell: &mut dyn FnMut()) -> io::Result<()> {
        sync_all_below(&self.staging)?;
        let staged = self
            .staging
            .join(self.database.file_name().unwrap_or_default());
        for entry in fs::read_dir(&self.staging)? {
            let entry = entry?;
            if entry.path() != staged {
                tell();
                fs::rename(entry.path(), self.directory.join(entry.file_name()))?;
            }
        }
        sync_directory(&self.directory)?;
        tell();
        fs::rename(staged, &self.database)?;
        tell();
        fs::remove_dir(&self.staging)?;
        sync_directory(&self.directory)
    }

    /// Removes everything again. What marks the directory as unfinished goes last.
    pub(crate) fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path == self.database {
                continue;
            }
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        sync_directory(&self.directory)?;
        match fs::remove_file(&self.database) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_directory(&self.directory),
        }
    }
}
