//! The same rows without a master.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jobyard_core::{Batch, Change, Epoch, Record, RecordKind, Store};
use jobyard_store::{SqliteOptions, SqliteStore};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use crate::facts::{Facts, figure};
use crate::serve::DATABASE;

/// How many changes a batch has: as many as the master gathers at most before it commits.
const BATCH: usize = 4_096;

const TTL: Duration = Duration::from_secs(15);

/// How many single commits tell what one takes.
const SINGLES: usize = 2_000;

/// Writes what the master wrote into a fresh store, in the same order; only commits are timed. Then some commits of one
/// change, one after another.
pub(crate) async fn insert(dir: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    let path = dir.join("other.db");
    let store = SqliteStore::open(&path, &SqliteOptions::default())?;
    let epoch = store.lead("bench", TTL, Epoch::ZERO).await?.epoch;
    let source = source(dir)?;
    let mut statement = source.prepare(
        "SELECT kind, key, version, ord, live, state, name, grp, body, ended FROM records ORDER BY id",
    )?;
    let mut kinds = Kinds::default();
    let mut rows = statement.query([])?;
    let (mut number, mut took, mut count) = (0, Duration::ZERO, 0_u64);
    let mut changes = Vec::with_capacity(BATCH);
    loop {
        let row = rows.next()?;
        let is_last = row.is_none();
        if let Some(row) = row {
            changes.push(Change::Put(kinds.record(row)?));
            count += 1;
        }
        if changes.len() == BATCH || is_last {
            number += 1;
            let changes = std::mem::replace(&mut changes, Vec::with_capacity(BATCH));
            let begun = Instant::now();
            store.commit(epoch, Batch { number, changes }).await?;
            took += begun.elapsed();
        }
        if is_last {
            break;
        }
    }
    facts.seconds("insert", took);
    facts.set("rows", figure(count));
    let mut singles = Vec::with_capacity(SINGLES);
    for index in 0..SINGLES {
        number += 1;
        let record = Record::new(RecordKind("single"), index.to_string(), r#"{"a":"b"}"#);
        let changes = vec![Change::Put(record)];
        let begun = Instant::now();
        store.commit(epoch, Batch { number, changes }).await?;
        singles.push(begun.elapsed());
    }
    singles.sort_unstable();
    facts.seconds("single p50", singles[SINGLES / 2]);
    facts.seconds("single p99", singles[SINGLES * 99 / 100]);
    facts.seconds("single most", singles[SINGLES - 1]);
    store.resign(epoch).await?;
    drop(store);
    std::fs::remove_file(path)?;
    Ok(facts)
}

/// Reads every column of every live row.
pub(crate) fn scan(dir: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    let begun = Instant::now();
    let source = source(dir)?;
    let mut statement = source.prepare(
        "SELECT kind, key, version, ord, live, state, name, grp, labels, body, ended, sum \
         FROM records INDEXED BY records_by_order WHERE kind = 'job' AND live = 1 ORDER BY ord",
    )?;
    let mut rows = statement.query([])?;
    let (mut bytes, mut count) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..12 {
            bytes += match row.get_ref(column)? {
                ValueRef::Text(text) | ValueRef::Blob(text) => text.len(),
                ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
            };
        }
    }
    facts.seconds("scan", begun.elapsed());
    facts.set("scan bytes", figure(bytes as u64));
    facts.set("scanned", figure(count));
    Ok(facts)
}

/// Has the store read the same rows, and forgets them.
pub(crate) async fn load(dir: &Path) -> Result<Facts> {
    let mut facts = Facts::default();
    let begun = Instant::now();
    let store = SqliteStore::open(dir.join(DATABASE), &SqliteOptions::default())?;
    let epoch = store.lead("bench", TTL, Epoch::ZERO).await?.epoch;
    let mut snapshot = store.load(epoch, &[RecordKind("job")]).await?;
    let mut count = 0;
    loop {
        let portion = snapshot.next().await?;
        if portion.is_empty() {
            break;
        }
        count += portion.len() as u64;
    }
    facts.seconds("load", begun.elapsed());
    facts.set("loaded", figure(count));
    store.resign(epoch).await?;
    Ok(facts)
}

fn source(dir: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(dir.join(DATABASE), flags).context("what the master wrote")
}

/// Kinds of records live as long as the program; there are few.
#[derive(Default)]
struct Kinds(HashMap<String, RecordKind>);

impl Kinds {
    fn record(&mut self, row: &Row<'_>) -> Result<Record> {
        let kind: String = row.get(0)?;
        let kind = *self
            .0
            .entry(kind)
            .or_insert_with_key(|kind| RecordKind(kind.clone().leak()));
        let body: String = row.get(8)?;
        let mut record = Record::new(kind, row.get::<_, String>(1)?, body);
        record.version = row.get(2)?;
        record.fields.order = u64::try_from(row.get::<_, i64>(3)?)?;
        record.fields.live = row.get(4)?;
        record.fields.state = row.get::<_, Option<String>>(5)?.map(Into::into);
        record.fields.name = row.get(6)?;
        record.fields.group = row.get(7)?;
        let ended: Option<i64> = row.get(9)?;
        record.fields.ended = ended.map(u64::try_from).transpose()?;
        Ok(record)
    }
}
