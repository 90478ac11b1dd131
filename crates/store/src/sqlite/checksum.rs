//! What tells a record that was written from one that was flipped or torn.

use crc32fast::Hasher;
use jobyard_core::Record;

/// The sum that stands in a record's row: CRC-32 (IEEE) of its kind, key and body and of all its fields, each text with
/// its length before it, so that no byte can move from one to the next. `labels` as they stand in the row.
///
/// SQLite itself keeps no sums in its main file. This one finds each flipped bit, and all damage within 32 bits in a
/// row; of any other damage one in four thousand million passes.
pub(crate) fn checksum(kind: &str, record: &Record, labels: Option<&str>) -> i64 {
    let fields = &record.fields;
    let mut sum = Hasher::new();
    text(&mut sum, kind.as_bytes());
    text(&mut sum, record.key.as_bytes());
    sum.update(&record.version.to_le_bytes());
    sum.update(&fields.order.to_le_bytes());
    sum.update(&[u8::from(fields.live)]);
    number(&mut sum, fields.ended);
    maybe(&mut sum, fields.state.as_deref());
    maybe(&mut sum, fields.name.as_deref());
    maybe(&mut sum, fields.group.as_deref());
    maybe(&mut sum, labels);
    text(&mut sum, &record.body);
    i64::from(sum.finalize())
}

fn text(sum: &mut Hasher, bytes: &[u8]) {
    sum.update(&(bytes.len() as u64).to_le_bytes());
    sum.update(bytes);
}

fn maybe(sum: &mut Hasher, value: Option<&str>) {
    sum.update(&[u8::from(value.is_some())]);
    text(sum, value.unwrap_or_default().as_bytes());
}

fn number(sum: &mut Hasher, value: Option<u64>) {
    sum.update(&[u8::from(value.is_some())]);
    sum.update(&value.unwrap_or_default().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use jobyard_core::RecordKind;

    use super::*;

    fn checksum(record: &Record, labels: Option<&str>) -> i64 {
        super::checksum(record.kind.0, record, labels)
    }

    fn record() -> Record {
        let mut record = Record::new(RecordKind("job"), "a", "{}");
        record.fields.state = Some("queued".into());
        record
    }

    #[test]
    fn each_part_of_a_record_counts() {
        let sum = checksum(&record(), None);
        let changes: [fn(&mut Record); 10] = [
            |record| record.kind = RecordKind("jod"),
            |record| record.key = "b".to_owned(),
            |record| record.version = 3,
            |record| record.body = "[]".into(),
            |record| record.fields.live = false,
            |record| record.fields.order = 1,
            |record| record.fields.ended = Some(0),
            |record| record.fields.state = None,
            |record| record.fields.name = Some(String::new()),
            |record| record.fields.group = Some("g".to_owned()),
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut other = record();
            change(&mut other);
            assert_ne!(checksum(&other, None), sum, "change {index}");
        }
        assert_ne!(checksum(&record(), Some("{}")), sum);
    }

    #[test]
    fn bytes_do_not_move_between_neighbours() {
        let mut left = record();
        (left.fields.name, left.fields.group) = (Some("ab".to_owned()), Some("c".to_owned()));
        let mut right = record();
        (right.fields.name, right.fields.group) = (Some("a".to_owned()), Some("bc".to_owned()));
        assert_ne!(checksum(&left, None), checksum(&right, None));
    }

    #[test]
    fn sums_are_as_they_were() {
        // Sums stand in files: if this fails, every store that exists would seem damaged.
        assert_eq!(checksum(&record(), Some(r#"{"team":"red"}"#)), 208_368_916);
    }
}
