//! Backups and their restore, as commands.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use jobyard::core::Epoch;
use jobyard::master::{back_up, restore};
use jobyard::store::BackupProgress;

/// What else the program does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Copies records, output, certificate authority and the administrator's profile into one file
    ///
    /// The master may run meanwhile. The file holds the keys of the cluster, and is readable for its owner alone. It has
    /// its name only when it is complete. Progress goes to standard error; the exit code is 0, or 1 with a sentence that
    /// says what is in the way.
    Backup(Backup),
    /// Puts such a file into an empty directory, from which a master then goes on
    ///
    /// Everything is compared with the file's own list before anything is put into its place. What happened after the
    /// backup is not known to the restored master: jobs that were submitted since are gone, and what workers report of
    /// them is refused. Never let the old master and the restored one run at once. The exit code is 0, or 1 with a
    /// sentence that says what is in the way.
    Restore(Restore),
}

/// See [`Command::Backup`].
#[derive(Clone, Debug, Args)]
pub(crate) struct Backup {
    /// The file to make; there must be none of this name
    file: PathBuf,

    #[command(flatten)]
    at: DataDirectory,
}

/// See [`Command::Restore`].
#[derive(Clone, Debug, Args)]
#[command(mut_arg("data", |data| data.help("The directory to make; it must be empty, or not there")))]
pub(crate) struct Restore {
    /// The file
    file: PathBuf,

    #[command(flatten)]
    at: DataDirectory,

    /// Jump above this term as well, which workers name when they refuse the restored master. The jump is by the clock in
    /// any case, far above every term that the lost master can have begun
    #[arg(
        long,
        value_name = "TERM",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0"
    )]
    bump: Option<u64>,
}

/// Where everything of a master is.
#[derive(Clone, Debug, Args)]
struct DataDirectory {
    /// The directory of the master
    #[arg(
        long,
        env = "JOBYARD_DATA",
        value_name = "DIR",
        default_value = ".jobyard"
    )]
    data: PathBuf,
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Backup(backup) => backup.run(),
            Self::Restore(restore) => restore.run(),
        }
    }
}

impl Backup {
    fn run(self) -> anyhow::Result<()> {
        let report = back_up(&self.at.data, &self.file, &mut tell)
            .with_context(|| format!("no backup was made of {}", self.at.data.display()))?;
        for row in &report.damaged {
            eprintln!("damaged before it was copied: {row:?}; an older backup may have it whole");
        }
        let files = report.manifest.files.len();
        let bytes: u64 = report.manifest.files.iter().map(|file| file.bytes).sum();
        eprintln!(
            "{} holds {files} files, {} MiB, as of term {}",
            self.file.display(),
            bytes >> 20,
            report.manifest.epoch()
        );
        Ok(())
    }
}

impl Restore {
    fn run(self) -> anyhow::Result<()> {
        let at_least = Epoch(self.bump.unwrap_or(0));
        let manifest = restore(&self.file, &self.at.data, at_least, &mut tell)
            .with_context(|| format!("{} was not restored", self.file.display()))?;
        eprintln!(
            "{} is restored: {} files, as of term {}; start the master with --data {0}",
            self.at.data.display(),
            manifest.files.len(),
            manifest.epoch()
        );
        Ok(())
    }
}

/// How far it is, for whoever watches.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the form that backups and restores call"
)]
fn tell(progress: BackupProgress) {
    match progress {
        BackupProgress::Database => eprintln!("copying the records"),
        BackupProgress::Files { files, bytes } => {
            eprintln!("{files} files, {} MiB", bytes >> 20);
        }
        BackupProgress::Verifying => eprintln!("comparing"),
        // What is put into its place is there in a moment.
        _ => {}
    }
}
