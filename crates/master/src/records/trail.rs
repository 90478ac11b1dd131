//! Records of the audit trail.

use jobyard_core::{AuditEntry, Record};

use super::body::body;
use super::kind::AUDIT;

/// The record of an audit entry that has its place.
pub fn audit_record(entry: &AuditEntry) -> Record {
    let mut record = Record::new(AUDIT, entry.seq.to_string(), body(entry));
    record.fields.live = false;
    record.fields.order = entry.seq;
    record.fields.name = Some(entry.action.clone());
    record
}
