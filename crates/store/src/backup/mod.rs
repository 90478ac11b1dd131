//! Copies of everything a master remembers, in one file: see [`backup`] and [`restore`].

mod archive;
mod digest;
mod epoch;
mod error;
mod log_files;
mod make;
mod manifest;
mod place;
mod progress;
mod restore;
mod staging;

pub use epoch::epoch_after_restore;
pub use error::{BackupError, RestoreError};
pub use make::{BackupPlan, BackupReport, backup};
pub use manifest::{BackupFile, Manifest};
pub use progress::BackupProgress;
pub use restore::{RestoreOptions, restore, verify_backup};
