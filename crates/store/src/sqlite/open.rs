//! Opening the file: connections, settings and the schema.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::leader_lock::{LeaderLock, LockError};
use super::store::SqliteOptions;

/// Marks the file as ours: `JYRD` in ASCII, at offset 68 of the file.
const APPLICATION_ID: i32 = 0x4a59_5244;

/// How long a statement waits for another process that writes, a person with the `sqlite3` tool for example.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that a connection keeps compiled: more than the forms that exist.
const CACHED_STATEMENTS: usize = 128;

/// Memory for pages of the write connection, in KiB: the inner pages of all indexes of a million records fit.
const WRITER_CACHE_KIB: i64 = 64 * 1_024;

/// The file that holds the write-ahead log is cut back to this size when it has grown beyond, in bytes.
const WAL_KEEP_BYTES: i64 = 64 * 1_024 * 1_024;

/// A file that belongs to the store: its name with this at the end.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// The file is something else. Name another file.
    #[error("{} is not a Jobyard store: {problem}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        problem: String,
    },
    /// A newer program wrote the file. Use that program, or restore the copy from before the upgrade.
    #[error(
        "{} was written by a newer version: its schema is {found}, this program knows {known}; use the newer program, \
         or restore the backup from before the upgrade with `jobyard-master restore`",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema of the file.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The schema has to be created or changed, and another process leads with this file. Stop that process first.
    #[error("{} is in use by {holder}", path.display())]
    Held {
        /// The file.
        path: PathBuf,
        /// Who leads.
        holder: String,
    },
    /// A restore was interrupted, so what lies beside the file is not all there. Empty the directory and restore again.
    #[error(
        "{} is what an interrupted restore has left: empty its directory and repeat `jobyard-master restore`",
        path.display()
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged so that SQLite cannot read it. Restore it from a backup.
    #[error("{} is damaged: {problem}; restore it from a backup with `jobyard-master restore`", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The disk or SQLite refused. Repeat it when the cause is gone.
    #[error("{} could not be opened: {problem}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What was said.
        problem: String,
    },
}

/// Opens the write connection, with the newest schema in place.
pub(crate) fn open_writer(
    path: &Path,
    lock_path: &Path,
    options: &SqliteOptions,
) -> Result<Connection, OpenStoreError> {
    let storage = |problem: String| OpenStoreError::Storage {
        path: path.to_owned(),
        problem,
    };
    create(path).map_err(|error| storage(error.to_string()))?;
    if is_unfinished(path).map_err(|error| storage(error.to_string()))? {
        return Err(OpenStoreError::Unfinished {
            path: path.to_owned(),
        });
    }
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| storage(error.to_string()))?;
    let known = known_schema();
    let found = found_schema(&connection, path)?;
    refuse_others(&connection, path)?;
    configure_writer(&connection, options).map_err(|error| storage(error.to_string()))?;
    if found < known {
        migrate(&mut connection, path, lock_path)?;
    }
    Ok(connection)
}

/// Refuses a file that is not a store, or one of a newer program.
pub(crate) fn refuse_others(connection: &Connection, path: &Path) -> Result<(), OpenStoreError> {
    let (found, known) = (found_schema(connection, path)?, known_schema());
    if found > known && !is_written_for(connection, path, known)? {
        return Err(OpenStoreError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

/// Opens a connection that can only read. It sees every commit that has returned.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    guard(&connection)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

/// Has SQLite look at each page before it believes it, and run nothing that a changed schema may name.
fn guard(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// What stands in the place of the file while a restore is under way: no database, so that no program starts on it.
pub(crate) const UNFINISHED: &str =
    "a restore of a Jobyard store was begun here and not finished\n";

/// Whether a restore was interrupted.
fn is_unfinished(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?
        .take(UNFINISHED.len() as u64)
        .read_to_end(&mut begin)?;
    Ok(begin == UNFINISHED.as_bytes())
}

/// Whether the newer program that wrote the file says that a program which knows only schema `known` may go on with it.
/// A change of the schema that only adds leaves the oldest such schema in `user_version`; 0 says nothing.
fn is_written_for(
    connection: &Connection,
    path: &Path,
    known: i64,
) -> Result<bool, OpenStoreError> {
    let oldest: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| refusal(path, &error))?;
    Ok((1..=known).contains(&oldest))
}

/// The newest schema that this program knows.
pub(crate) fn known_schema() -> i64 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or(0)
}

/// Creates the file readable for its owner alone (its companions inherit that), and makes its name durable.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            file.sync_all()?;
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The schema that the file has; 0 for a new file.
pub(crate) fn found_schema(connection: &Connection, path: &Path) -> Result<i64, OpenStoreError> {
    let refused = |error: rusqlite::Error| refusal(path, &error);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(refused)?;
    let id: i32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(refused)?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(refused)?;
    if id != APPLICATION_ID && (id != 0 || tables != 0) {
        return Err(OpenStoreError::NotAStore {
            path: path.to_owned(),
            problem: "it is the database of another program".to_owned(),
        });
    }
    if tables == 0 {
        return Ok(0);
    }
    connection
        .query_row(
            "SELECT coalesce(max(version), 0) FROM refinery_schema_history",
            [],
            |row| row.get(0),
        )
        .map_err(refused)
}

/// Tells a file that is no database from a disk that refuses.
fn refusal(path: &Path, error: &rusqlite::Error) -> OpenStoreError {
    let path = path.to_owned();
    let problem = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenStoreError::NotAStore { path, problem },
        Some(ErrorCode::DatabaseCorrupt) => OpenStoreError::Corrupt { path, problem },
        _ => OpenStoreError::Storage { path, problem },
    }
}

/// Every commit reaches the disk before it returns (`synchronous=FULL`); readers are never in the way (WAL).
fn configure_writer(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    guard(connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEEP_BYTES)?;
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    // Writing it takes room, and a full disk is no reason not to start.
    if id != APPLICATION_ID {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    if let Some(limit) = options.max_bytes {
        let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(limit).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update(None, "max_page_count", pages.max(1))?;
    }
    Ok(())
}

/// Brings the schema up to date, while nobody leads.
fn migrate(
    connection: &mut Connection,
    path: &Path,
    lock_path: &Path,
) -> Result<(), OpenStoreError> {
    let storage = |problem: String| OpenStoreError::Storage {
        path: path.to_owned(),
        problem,
    };
    let _lock = match LeaderLock::take(lock_path, "a change of the schema") {
        Ok(lock) => lock,
        Err(LockError::Held(holder)) => {
            return Err(OpenStoreError::Held {
                path: path.to_owned(),
                holder,
            });
        }
        Err(LockError::Io(error)) => return Err(storage(error.to_string())),
    };
    embedded::migrations::runner()
        .run(connection)
        .map_err(|error| storage(error.to_string()))?;
    Ok(())
}
