//! Making a backup.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jobyard_core::Timestamp;
use rusqlite::Connection;

use super::archive::ArchiveWriter;
use super::error::{BackupError, read, write};
use super::log_files::{Copied, each_log_file};
use super::manifest::{FORMAT, HEAD, Head, MANIFEST, Manifest};
use super::progress::BackupProgress;
use super::staging::Partial;
use crate::sqlite::{self, DamagedRow};

/// How large a named file may be: keys, certificates and profiles are some kilobytes.
const MAX_FILE_BYTES: u64 = 64 * 1_024 * 1_024;

/// What is copied. All names are relative to one directory, and are the same after a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupPlan {
    /// The directory of the master.
    pub directory: PathBuf,
    /// The name of the database in it.
    pub database: String,
    /// The name of the directory of logs in it, if there are logs.
    pub logs: Option<String>,
    /// Further files, and directories with all that is in them: the certificate authority, profiles. Each has to be
    /// there, and to change only by being replaced as a whole.
    pub files: Vec<String>,
    /// The version of the program.
    pub program: String,
    /// Now, by the wall clock.
    pub now: Timestamp,
}

impl BackupPlan {
    /// A database alone.
    pub fn new(directory: impl Into<PathBuf>, database: impl Into<String>, now: Timestamp) -> Self {
        Self {
            directory: directory.into(),
            database: database.into(),
            logs: None,
            files: Vec::new(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            now,
        }
    }
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// What is in the archive.
    pub manifest: Manifest,
    /// Records that were damaged before they were copied; at most 100. Older backups may have them whole.
    pub damaged: Vec<DamagedRow>,
}

/// Copies a database, logs and files into one archive, while a master uses them. Blocks, for as long as it takes to read
/// all of them; the master goes on meanwhile, and may be another process.
///
/// The database is copied as of one moment, the logs after it: whatever a record says about its output is in the
/// archive, unless retention removed it in between. Of a log that grows, what is whole is copied. Of one that was moved to
/// an archive of logs, what is copied names its place there: the archive itself is not copied. Temporary files lie
/// beside the archive, and need as much room as the database. The archive has its name only when it is complete and
/// durable; it is readable for its owner alone, since it holds the keys of the cluster. Memory: about 250 bytes for each
/// file of the logs. A process that is killed leaves files with `.partial-` in their names there, to be deleted.
///
/// # Errors
///
/// Each names the file that is in the way; nothing of the archive is left then.
pub fn backup(
    plan: &BackupPlan,
    archive: &Path,
    progress: &mut dyn FnMut(BackupProgress),
) -> Result<BackupReport, BackupError> {
    if archive.exists() {
        let path = archive.to_owned();
        return Err(BackupError::Exists { path });
    }
    let (partial, file) = Partial::beside(archive, "").map_err(write(archive))?;
    progress(BackupProgress::Database);
    let (copy, copied) = Partial::beside(archive, ".db").map_err(write(archive))?;
    drop(copied);
    let facts = copy_database(&plan.directory.join(&plan.database), copy.path())?;

    let mut writer = ArchiveWriter::begin(file, progress).map_err(write(archive))?;
    let head = Head {
        format: FORMAT,
        database: plan.database.clone(),
    };
    writer.add_json(HEAD, &head).map_err(write(archive))?;
    add_file(&mut writer, archive, copy.path(), &plan.database)?;
    drop(copy);
    for name in &plan.files {
        add_tree(&mut writer, archive, &plan.directory.join(name), name)?;
    }
    if let Some(logs) = &plan.logs {
        add_logs(&mut writer, archive, &plan.directory.join(logs), logs)?;
    }
    writer.tell(BackupProgress::Verifying);
    let manifest = Manifest {
        format: FORMAT,
        program: plan.program.clone(),
        made_at_micros: plan.now.as_micros(),
        database: plan.database.clone(),
        schema: facts.schema,
        epoch: facts.epoch,
        files: writer.take_files(),
    };
    writer
        .add_json(MANIFEST, &manifest)
        .and_then(|()| writer.finish())
        .map_err(write(archive))?;
    partial.keep_as(archive).map_err(write(archive))?;
    Ok(BackupReport {
        manifest,
        damaged: facts.damaged,
    })
}

/// What the copy of the database says.
struct Facts {
    schema: i64,
    epoch: u64,
    damaged: Vec<DamagedRow>,
}

/// Copies the database as of one moment, and looks at the copy.
fn copy_database(from: &Path, to: &Path) -> Result<Facts, BackupError> {
    if !from.exists() {
        return Err(read(from)(io::ErrorKind::NotFound.into()));
    }
    let failed = |error: rusqlite::Error| BackupError::Database {
        path: from.to_owned(),
        problem: error.to_string(),
    };
    let source = sqlite::open_reader(from).map_err(failed)?;
    sqlite::refuse_others(&source, from)?;
    // Also reads every page, and leaves out what is free.
    source
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .map_err(failed)?;
    drop(source);
    let copy = Connection::open(to).map_err(failed)?;
    let schema = sqlite::found_schema(&copy, to)?;
    let epoch: i64 = copy
        .query_row("SELECT epoch FROM leader", [], |row| row.get(0))
        .map_err(failed)?;
    Ok(Facts {
        schema,
        epoch: u64::try_from(epoch).unwrap_or(0),
        damaged: sqlite::damaged_rows(&copy).map_err(failed)?,
    })
}

fn add_file(
    writer: &mut ArchiveWriter<'_>,
    archive: &Path,
    path: &Path,
    name: &str,
) -> Result<(), BackupError> {
    let file = File::open(path).map_err(read(path))?;
    let bytes = file.metadata().map_err(read(path))?.len();
    writer.add(name, bytes, file).map_err(write(archive))
}

/// A file, or a directory with all that is in it.
fn add_tree(
    writer: &mut ArchiveWriter<'_>,
    archive: &Path,
    path: &Path,
    name: &str,
) -> Result<(), BackupError> {
    let unfit = |problem| BackupError::Unfit {
        path: path.to_owned(),
        problem,
    };
    let found = fs::symlink_metadata(path).map_err(read(path))?;
    if found.is_file() {
        if found.len() > MAX_FILE_BYTES {
            return Err(unfit("it is larger than 64 MiB"));
        }
        // Read at once: it may be replaced meanwhile, and then is one or the other.
        let bytes = fs::read(path).map_err(read(path))?;
        return writer
            .add(name, bytes.len() as u64, bytes.as_slice())
            .map_err(write(archive));
    }
    if !found.is_dir() {
        return Err(unfit("it is neither a file nor a directory"));
    }
    let mut entries: Vec<_> = fs::read_dir(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(read(path))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let inner = entry
            .file_name()
            .into_string()
            .map_err(|_| unfit("a name in it is not text"))?;
        add_tree(writer, archive, &entry.path(), &format!("{name}/{inner}"))?;
    }
    Ok(())
}

/// All logs.
fn add_logs(
    writer: &mut ArchiveWriter<'_>,
    archive: &Path,
    root: &Path,
    name: &str,
) -> Result<(), BackupError> {
    if !root.exists() {
        return Ok(());
    }
    each_log_file(root, |file| {
        let opened = file.open();
        let Some(copied) = opened.map_err(|error| Walk::Known(read(&file.path)(error)))? else {
            return Ok(false);
        };
        let name = format!("{name}/{}", file.name);
        let added = match copied {
            Copied::Bytes(bytes) if bytes.is_empty() => Ok(()),
            Copied::Bytes(bytes) => writer.add(&name, bytes.len() as u64, bytes.as_slice()),
            Copied::Whole(file, bytes) => writer.add(&name, bytes, file),
        };
        added.map_err(|error| Walk::Known(write(archive)(error)))?;
        Ok(true)
    })
    .map_err(|walk| match walk {
        Walk::Directory(error) => read(root)(error),
        Walk::Known(error) => error,
    })
}

/// What goes wrong while walking is the directory's; the rest says itself what it is.
enum Walk {
    Directory(io::Error),
    Known(BackupError),
}

impl From<io::Error> for Walk {
    fn from(error: io::Error) -> Self {
        Self::Directory(error)
    }
}
