//! Bodies of records: JSON that stores do not look into.

use bytes::Bytes;
use jobyard_core::{Record, RecordKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the body of a record.
pub fn read<T: DeserializeOwned>(record: &Record) -> Result<T, DamagedRecord> {
    serde_json::from_slice(&record.body).map_err(|error| DamagedRecord {
        kind: record.kind,
        key: record.key.clone(),
        problem: error.to_string(),
    })
}

/// A record whose body is not of its kind's form. An operator has to look at it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record {kind} {key} is damaged: {problem}")]
pub struct DamagedRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Which one.
    pub key: String,
    /// What was found.
    pub problem: String,
}

pub(super) fn body<T: Serialize>(value: &T) -> Bytes {
    let json = serde_json::to_vec(value);
    Bytes::from(json.expect("records hold only texts, numbers, lists and maps with text keys"))
}

#[cfg(test)]
mod tests {
    use super::super::{JOB, JobRecord};
    use super::*;

    #[test]
    fn a_damaged_body_is_named() {
        let record = Record::new(JOB, "x", "{");
        let error = read::<JobRecord>(&record).expect_err("no JSON");
        assert!(error.to_string().contains("job x"), "{error}");
    }
}
