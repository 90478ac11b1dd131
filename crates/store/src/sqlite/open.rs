//! Opening the file: connections, settings and the schema.

use std::fs::{File, OpenOptions};
use std::io;
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
    #[error("{} was written by a newer version: its schema is {found}, this program knows {known}", path.display())]
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
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|error| storage(error.to_string()))?;
    let known = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or(0);
    let found = found_schema(&connection, path)?;
    if found > known {
        return Err(OpenStoreError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    configure_writer(&connection, options).map_err(|error| storage(error.to_string()))?;
    if found < known {
        migrate(&mut connection, path, lock_path)?;
    }
    Ok(connection)
}

/// Opens a connection that can only read. It sees every commit that has returned.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
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
fn found_schema(connection: &Connection, path: &Path) -> Result<i64, OpenStoreError> {
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
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenStoreError::NotAStore { path, problem }
        }
        _ => OpenStoreError::Storage { path, problem },
    }
}

/// Every commit reaches the disk before it returns (`synchronous=FULL`); readers are never in the way (WAL).
fn configure_writer(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEEP_BYTES)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
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
