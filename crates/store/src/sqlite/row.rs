//! Records as rows.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use jobyard_core::{Fields, LoadError, Record, RecordKind};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::de::{MapAccess, Visitor};
use serde::{Deserializer, Serializer};

use super::checksum::checksum;
use super::failure::{Failure, restore_it};

/// The columns of a record, in the order in which [`read`] takes them. `r` is the table.
pub(crate) const COLUMNS: &str =
    "r.key, r.version, r.ord, r.live, r.state, r.name, r.grp, r.labels, r.body, r.ended, r.sum";

/// How many columns those are.
pub(crate) const COLUMN_COUNT: usize = 11;

/// The record of a row that begins with [`COLUMNS`], if it is the one that was written.
pub(crate) fn read(kind: RecordKind, row: &Row<'_>) -> Result<Record, LoadError> {
    let key = key_of(row)?;
    let damaged = |problem: String| LoadError::Damaged {
        kind,
        key: key.clone(),
        problem: restore_it(&problem),
    };
    let column = |error: rusqlite::Error| damaged(error.to_string());

    let order: i64 = row.get(2).map_err(column)?;
    let mut fields = Fields::default();
    fields.order = u64::try_from(order).map_err(|_| damaged("its order is negative".to_owned()))?;
    fields.live = row.get(3).map_err(column)?;
    fields.state = row
        .get::<_, Option<String>>(4)
        .map_err(column)?
        .map(Cow::Owned);
    fields.name = row.get(5).map_err(column)?;
    fields.group = row.get(6).map_err(column)?;
    fields.ended = match row.get::<_, Option<i64>>(9).map_err(column)? {
        Some(ended) => {
            Some(u64::try_from(ended).map_err(|_| damaged("its end is negative".to_owned()))?)
        }
        None => None,
    };
    let labels = row.get_ref(7).map_err(column)?;
    let labels = labels
        .as_str_or_null()
        .map_err(|error| damaged(error.to_string()))?;
    if let Some(labels) = labels {
        fields.labels = labels_from_json(labels).map_err(|error| damaged(error.to_string()))?;
    }
    let body = row.get_ref(8).map_err(column)?;
    let body = body.as_str().map_err(|error| damaged(error.to_string()))?;

    let version = row.get(1).map_err(column)?;
    let mut record = Record::new(kind, key.clone(), Bytes::copy_from_slice(body.as_bytes()));
    record.version = version;
    record.fields = fields;
    // There is none for a record that was written before there were checksums.
    let sum: Option<i64> = row.get(10).map_err(column)?;
    if sum.is_some_and(|sum| sum != checksum(kind.0, &record, labels)) {
        return Err(damaged(
            "its checksum is not the one that was written".to_owned(),
        ));
    }
    Ok(record)
}

/// The key in the first column, as far as it can be read.
fn key_of(row: &Row<'_>) -> Result<String, LoadError> {
    let key = row.get_ref(0).map_err(Failure::from)?;
    match key {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
        ValueRef::Integer(number) => Ok(number.to_string()),
        ValueRef::Real(_) | ValueRef::Null => Ok(String::new()),
    }
}

/// Labels as a JSON object; `None` for none, which is the common case and costs nothing.
pub(crate) fn labels_to_json(labels: &[(String, String)]) -> Option<String> {
    if labels.is_empty() {
        return None;
    }
    let mut json = Vec::new();
    serde_json::Serializer::new(&mut json)
        .collect_map(labels.iter().map(|(key, value)| (key, value)))
        .expect("a map of texts is always JSON");
    Some(String::from_utf8(json).expect("JSON is text"))
}

/// Labels as they were written: their order and even a doubled key are kept.
pub(crate) fn labels_from_json(json: &str) -> Result<Vec<(String, String)>, serde_json::Error> {
    struct Labels;

    impl<'de> Visitor<'de> for Labels {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut labels = Vec::new();
            while let Some(label) = map.next_entry()? {
                labels.push(label);
            }
            Ok(labels)
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_map(Labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_back_as_they_were_written() {
        let labels = vec![
            ("a\"quoted".to_owned(), "ü".to_owned()),
            ("team".to_owned(), String::new()),
        ];
        let json = labels_to_json(&labels).unwrap();
        assert_eq!(labels_from_json(&json).unwrap(), labels);
        assert_eq!(labels_to_json(&[]), None);
    }
}
