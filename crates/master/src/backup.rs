//! Backups of a whole data directory, and their restore.

use std::path::{Path, PathBuf};

use jobyard_clock::SystemClock;
use jobyard_core::{Clock, Epoch};
use jobyard_store::{
    BackupError, BackupPlan, BackupProgress, BackupReport, Manifest, RestoreError, RestoreOptions,
};

use crate::daemon::{ADMIN_PROFILE, AUTHORITY, DATABASE, LOGS};

/// Copies everything that the master in this directory needs to go on elsewhere into one file: records, output,
/// certificate authority and the administrator's profile. The master may run meanwhile, in this process or another one.
/// Blocks for as long as it takes to read all of that. See [`jobyard_store::backup`] for what is copied as of when.
///
/// # Errors
///
/// Each names what is in the way; nothing of the file is left then.
pub fn back_up(
    data: &Path,
    file: &Path,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupReport, BackUpError> {
    if !data.join(DATABASE).is_file() {
        let path = data.to_owned();
        return Err(BackUpError::NoMaster { path });
    }
    let mut plan = BackupPlan::new(data, DATABASE, SystemClock::new().now().wall);
    plan.logs = Some(LOGS.to_owned());
    let files = [AUTHORITY, ADMIN_PROFILE];
    // A master whose first start did not come so far has no profile yet.
    let files = files.into_iter().filter(|name| data.join(name).exists());
    plan.files = files.map(ToOwned::to_owned).collect();
    env!("CARGO_PKG_VERSION").clone_into(&mut plan.program);
    Ok(jobyard_store::backup(&plan, file, progress)?)
}

/// Restores such a file into a directory that is empty or not there. The next master on it leads in a term above every
/// one that the lost master may have begun, and above `at_least`; see
/// [`epoch_after_restore`](jobyard_store::epoch_after_restore).
///
/// # Errors
///
/// Each names what is in the way; nothing is restored then.
pub fn restore(
    file: &Path,
    data: &Path,
    at_least: Epoch,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<Manifest, RestoreError> {
    let mut options = RestoreOptions::new(SystemClock::new().now().wall);
    options.at_least = at_least;
    jobyard_store::restore(file, data, &options, progress)
}

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackUpError {
    /// The directory is no master's.
    #[error("no master has worked in {}: name its directory with --data", path.display())]
    NoMaster {
        /// Which.
        path: PathBuf,
    },
    /// Something could not be copied.
    #[error(transparent)]
    Backup(#[from] BackupError),
}
