//! Where a page ends.

use jobyard_core::{LoadError, Record, RecordPage};

/// Makes a page of at most `limit` records out of the first `limit + 1` of an ordered answer.
///
/// A cursor names a place in the order. Records that share a place therefore stand on the same page: if the page
/// would end between two of them, all of that place move to the next one.
pub(crate) fn cut_page(mut records: Vec<Record>, limit: usize) -> Result<RecordPage, LoadError> {
    if records.len() <= limit {
        return Ok(RecordPage::new(records, None));
    }
    let beyond = records[limit].fields.order;
    records.truncate(limit);
    while records
        .last()
        .is_some_and(|record| record.fields.order == beyond)
    {
        records.pop();
    }
    let Some(last) = records.last() else {
        return Err(LoadError::BadQuery {
            problem: "more records share a place in the order than a page of this size holds",
        });
    };
    let next = last.fields.order;
    Ok(RecordPage::new(records, Some(next)))
}
