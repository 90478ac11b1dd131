//! Looking at the whole file for damage.

use std::path::Path;
use std::time::{Duration, Instant};

use jobyard_core::{LoadError, Record, RecordKind};
use rusqlite::{Connection, ErrorCode};

use super::checksum::checksum;
use super::failure::Failure;
use super::open::open_reader;
use super::row::labels_from_json;

/// How many findings of each sort are listed at most: enough to see what happened.
const MAX_FINDINGS: usize = 100;

/// After how many instructions of SQLite's machine the time is looked at: some tens of microseconds.
const LOOK_EVERY: i32 = 10_000;

/// What a look at the whole file has found: see [`SqliteStore::check`](super::SqliteStore::check).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Whether everything was looked at in the time that was given. What was not says nothing.
    pub is_complete: bool,
    /// What SQLite found wrong with tables and indexes, in its words; at most 100.
    pub problems: Vec<String>,
    /// Records that are not what was written; at most 100.
    pub damaged: Vec<DamagedRow>,
    /// How many records were compared with their checksums.
    pub records: u64,
}

/// A record that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedRow {
    /// Its kind, as far as it can be read.
    pub kind: String,
    /// Its key, as far as it can be read.
    pub key: String,
}

impl CheckReport {
    /// Whether nothing is wrong with what was looked at.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.damaged.is_empty()
    }
}

/// Looks at records first, then at how tables and indexes agree. Blocks, for about as long as `within` at most.
pub(crate) fn check(path: &Path, within: Duration) -> Result<CheckReport, LoadError> {
    let mut report = CheckReport::default();
    let mut connection = open_reader(path).map_err(Failure::from)?;
    let end = Instant::now() + within;
    connection
        .progress_handler(LOOK_EVERY, Some(move || Instant::now() >= end))
        .map_err(Failure::from)?;
    let looked =
        records(&connection, &mut report).and_then(|()| structure(&connection, &mut report));
    match looked {
        Ok(()) => report.is_complete = true,
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => {}
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                report.problems.push(error.to_string());
            }
            _ => return Err(Failure::from(error).into()),
        },
    }
    Ok(report)
}

/// Records that are not what was written, in a file that nobody else changes. Blocks for as long as that takes.
pub(crate) fn damaged_rows(connection: &Connection) -> rusqlite::Result<Vec<DamagedRow>> {
    let mut report = CheckReport::default();
    records(connection, &mut report)?;
    Ok(report.damaged)
}

/// Compares each record with its checksum, in the order of the file.
fn records(connection: &Connection, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT kind, key, version, ord, live, state, name, grp, labels, body, ended, sum \
         FROM records NOT INDEXED ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.records += 1;
        if report.damaged.len() < MAX_FINDINGS && !is_whole(row) {
            let text = |column| {
                let value = row.get_ref(column)?;
                let bytes = value.as_bytes().unwrap_or_default();
                Ok::<_, rusqlite::Error>(String::from_utf8_lossy(bytes).into_owned())
            };
            let (kind, key) = (text(0)?, text(1)?);
            report.damaged.push(DamagedRow { kind, key });
        }
    }
    Ok(())
}

/// Whether a row is what was written, as far as can be told.
fn is_whole(row: &rusqlite::Row<'_>) -> bool {
    compare(row).unwrap_or(false)
}

fn compare(row: &rusqlite::Row<'_>) -> Option<bool> {
    let kind: String = row.get(0).ok()?;
    let body: String = row.get(9).ok()?;
    // The kind of a record in hand has to live as long as the program; only the sum needs this one's.
    let mut record = Record::new(RecordKind(""), row.get::<_, String>(1).ok()?, body);
    record.version = row.get(2).ok()?;
    record.fields.order = u64::try_from(row.get::<_, i64>(3).ok()?).ok()?;
    record.fields.live = row.get(4).ok()?;
    record.fields.state = row.get::<_, Option<String>>(5).ok()?.map(Into::into);
    record.fields.name = row.get(6).ok()?;
    record.fields.group = row.get(7).ok()?;
    let labels: Option<String> = row.get(8).ok()?;
    if let Some(labels) = &labels {
        labels_from_json(labels).ok()?;
    }
    let ended: Option<i64> = row.get(10).ok()?;
    record.fields.ended = match ended {
        Some(ended) => Some(u64::try_from(ended).ok()?),
        None => None,
    };
    let sum: Option<i64> = row.get(11).ok()?;
    Some(sum.is_none_or(|sum| sum == checksum(&kind, &record, labels.as_deref())))
}

/// What SQLite knows of its own structures, and whether each index agrees with its table.
fn structure(connection: &Connection, report: &mut CheckReport) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MAX_FINDINGS})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let finding: String = row.get(0)?;
        if finding != "ok" {
            report.problems.push(finding);
        }
    }
    Ok(())
}
