//! Loading what is live, portion by portion.

use std::path::Path;

use async_trait::async_trait;
use jobyard_core::{Epoch, LoadError, Record, RecordKind, Snapshot};
use rusqlite::{Connection, params};
use tokio::task::{JoinHandle, spawn_blocking};

use super::failure::Failure;
use super::open::open_reader;
use super::readers::unavailable;
use super::row;
use super::term;

/// How many records one portion holds at most: enough to make a thread hop cheap.
const PORTION_RECORDS: i64 = 2_000;

/// How many bytes of bodies one portion holds at most, but for its last record.
const PORTION_BYTES: usize = 4 * 1_024 * 1_024;

/// Live records as they were when the load was asked for. It has a connection of its own, with a read transaction
/// that lasts as long as the snapshot: meanwhile the write-ahead log cannot be emptied, so it should not be kept.
///
/// While a portion is used, the next one is read.
#[derive(Debug)]
pub(crate) struct SqliteSnapshot {
    /// `None` at the end, or after a failure.
    reading: Option<JoinHandle<Portion>>,
}

/// A scan, and what it has just read.
type Portion = (Scan, Result<Vec<Record>, LoadError>);

/// Where the scan stands.
#[derive(Debug)]
struct Scan {
    connection: Connection,
    /// The kinds that are left, the present one last.
    kinds: Vec<RecordKind>,
    /// The last record that was read of the present kind: its order and row.
    after: Option<(i64, i64)>,
}

impl SqliteSnapshot {
    /// Fixes the moment, if `epoch` leads. Blocks.
    pub(crate) fn begin(
        path: &Path,
        epoch: Epoch,
        kinds: &[RecordKind],
    ) -> Result<Self, LoadError> {
        let connection = open_reader(path).map_err(Failure::from)?;
        connection
            .execute_batch("BEGIN DEFERRED")
            .map_err(Failure::from)?;
        // The first read of a deferred transaction fixes what all later ones see.
        term::check(&connection, epoch)?;
        let mut snapshot = Self { reading: None };
        snapshot.read_on(Scan {
            connection,
            kinds: kinds.iter().rev().copied().collect(),
            after: None,
        });
        Ok(snapshot)
    }

    /// Begins to read the next portion.
    fn read_on(&mut self, mut scan: Scan) {
        self.reading = Some(spawn_blocking(move || {
            let portion = scan.portion();
            (scan, portion)
        }));
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn next(&mut self) -> Result<Vec<Record>, LoadError> {
        let Some(reading) = &mut self.reading else {
            return Ok(Vec::new());
        };
        // Dropped here, nothing is lost: the next call waits for the same portion.
        let read = reading.await;
        self.reading = None;
        let (scan, portion) = read.map_err(|_| unavailable("the runtime is shutting down"))?;
        let goes_on = match &portion {
            Ok(records) => !records.is_empty(),
            // Behind a damaged record it goes on.
            Err(error) => matches!(error, LoadError::Damaged { .. }),
        };
        if goes_on {
            self.read_on(scan);
        }
        portion
    }
}

impl Scan {
    /// The next records; empty at the end. A portion holds one kind only.
    fn portion(&mut self) -> Result<Vec<Record>, LoadError> {
        while let Some(kind) = self.kinds.last().copied() {
            let records = self.portion_of(kind)?;
            if !records.is_empty() {
                return Ok(records);
            }
            self.kinds.pop();
            self.after = None;
        }
        Ok(Vec::new())
    }

    /// The next records of one kind.
    fn portion_of(&mut self, kind: RecordKind) -> Result<Vec<Record>, LoadError> {
        let (order, id) = self.after.unwrap_or((-1, -1));
        let mut statement = self
            .connection
            .prepare_cached(&format!(
                "SELECT {columns}, r.ord, r.id FROM records r INDEXED BY records_by_order \
                 WHERE r.kind = ?1 AND r.live = 1 AND (r.ord, r.id) > (?2, ?3) \
                 ORDER BY r.ord, r.id LIMIT ?4",
                columns = row::COLUMNS
            ))
            .map_err(Failure::from)?;
        let mut rows = statement
            .query(params![kind.0, order, id, PORTION_RECORDS])
            .map_err(Failure::from)?;
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(found) = rows.next().map_err(Failure::from)? {
            let record = row::read(kind, found);
            if record.is_err() && !records.is_empty() {
                // What came before it first. The next call begins with it.
                break;
            }
            let (order, id) = (
                found.get(row::COLUMN_COUNT),
                found.get(row::COLUMN_COUNT + 1),
            );
            self.after = Some((order.map_err(Failure::from)?, id.map_err(Failure::from)?));
            let record = record?;
            bytes += record.body.len();
            records.push(record);
            if bytes >= PORTION_BYTES {
                break;
            }
        }
        Ok(records)
    }
}
