//! Changes as statements.

use jobyard_core::{Change, Record, RecordKind};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

use super::checksum::checksum;
use super::failure::Failure;
use super::row::labels_to_json;

/// A change whose values fit into columns.
#[derive(Debug)]
pub(crate) enum RowChange<'c> {
    /// Write.
    Put(PutRow<'c>),
    /// Remove.
    Remove { kind: RecordKind, key: &'c str },
}

/// A record as column values.
#[derive(Debug)]
pub(crate) struct PutRow<'c> {
    record: &'c Record,
    order: i64,
    ended: Option<i64>,
    labels: Option<String>,
    body: &'c str,
    sum: i64,
}

impl<'c> RowChange<'c> {
    /// Checks what the columns ask for; the reason if it cannot be stored.
    pub(crate) fn of(change: &'c Change) -> Result<Self, &'static str> {
        match change {
            Change::Put(record) => {
                let labels = labels_to_json(&record.fields.labels);
                let ended = record.fields.ended.map(i64::try_from).transpose();
                Ok(Self::Put(PutRow {
                    record,
                    order: i64::try_from(record.fields.order)
                        .map_err(|_| "an order field is beyond 63 bits")?,
                    ended: ended.map_err(|_| "an end is beyond 63 bits")?,
                    body: str::from_utf8(&record.body).map_err(|_| "a body is not UTF-8 text")?,
                    sum: checksum(record.kind.0, record, labels.as_deref()),
                    labels,
                }))
            }
            Change::Remove { kind, key } => Ok(Self::Remove { kind: *kind, key }),
            _ => Err("it holds a change that this store does not know"),
        }
    }
}

/// The table of records, with the statements that a batch needs.
///
/// SQLite rewrites the entry of every index whose columns an `UPDATE` names, changed or not. Most changes concern a
/// record's body and state, so each put looks first and then names only the columns that differ.
pub(crate) struct Rows<'t> {
    find: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    insert_label: CachedStatement<'t>,
    update_body: CachedStatement<'t>,
    update_state: CachedStatement<'t>,
    update_end: CachedStatement<'t>,
    update_all: CachedStatement<'t>,
    remove: CachedStatement<'t>,
}

impl<'t> Rows<'t> {
    /// Takes the statements out of the connection's cache.
    pub(crate) fn of(transaction: &'t Transaction<'_>) -> Result<Self, Failure> {
        Ok(Self {
            find: transaction.prepare_cached(
                "SELECT id, ord = ?3 AND name IS ?4 AND grp IS ?5 AND labels IS ?6, \
                 live = ?7 AND ended IS ?9, state IS ?8 FROM records WHERE kind = ?1 AND key = ?2",
            )?,
            insert: transaction.prepare_cached(
                "INSERT INTO records (kind, key, version, ord, live, state, name, grp, labels, body, \
                 ended, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?,
            insert_label: transaction.prepare_cached(
                "INSERT OR IGNORE INTO labels (kind, label, value, ord, record) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            update_body: transaction.prepare_cached(
                "UPDATE records SET version = ?2, body = ?3, sum = ?4 WHERE id = ?1",
            )?,
            update_state: transaction.prepare_cached(
                "UPDATE records SET version = ?2, body = ?3, sum = ?4, state = ?5 WHERE id = ?1",
            )?,
            update_end: transaction.prepare_cached(
                "UPDATE records SET version = ?2, body = ?3, sum = ?4, state = ?5, live = ?6, \
                 ended = ?7 WHERE id = ?1",
            )?,
            update_all: transaction.prepare_cached(
                "UPDATE records SET version = ?2, body = ?3, sum = ?4, state = ?5, live = ?6, \
                 ended = ?7, ord = ?8, name = ?9, grp = ?10, labels = ?11 WHERE id = ?1",
            )?,
            remove: transaction
                .prepare_cached("DELETE FROM records WHERE kind = ?1 AND key = ?2")?,
        })
    }

    /// Carries out one change.
    pub(crate) fn apply(&mut self, change: &RowChange<'_>) -> Result<(), Failure> {
        match change {
            RowChange::Put(row) => self.put(row),
            RowChange::Remove { kind, key } => {
                self.remove.execute(params![kind.0, key])?;
                Ok(())
            }
        }
    }

    fn put(&mut self, row: &PutRow<'_>) -> Result<(), Failure> {
        let Record {
            kind,
            key,
            version,
            fields,
            ..
        } = row.record;
        let (order, labels, body) = (row.order, &row.labels, row.body);
        let (ended, sum) = (row.ended, row.sum);
        let state = fields.state.as_deref();
        let (name, group, live) = (&fields.name, &fields.group, fields.live);
        let found: Option<(i64, bool, bool, bool)> = self
            .find
            .query_row(
                params![kind.0, key, order, name, group, labels, live, state, ended],
                |found| Ok((found.get(0)?, found.get(1)?, found.get(2)?, found.get(3)?)),
            )
            .optional()?;
        // What is the same: order, name, group and labels; whether it is live, and its end; its state.
        match found {
            None => {
                let id = self.insert.insert(params![
                    kind.0, key, version, order, live, state, name, group, labels, body, ended, sum
                ])?;
                for (label, value) in &fields.labels {
                    self.insert_label
                        .execute(params![kind.0, label, value, order, id])?;
                }
                return Ok(());
            }
            Some((id, true, true, true)) => {
                self.update_body.execute(params![id, version, body, sum])?
            }
            Some((id, true, true, false)) => self
                .update_state
                .execute(params![id, version, body, sum, state])?,
            Some((id, true, false, _)) => self
                .update_end
                .execute(params![id, version, body, sum, state, live, ended])?,
            Some((id, false, ..)) => self.update_all.execute(params![
                id, version, body, sum, state, live, ended, order, name, group, labels
            ])?,
        };
        Ok(())
    }
}
