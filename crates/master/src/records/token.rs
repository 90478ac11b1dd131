//! Records of join tokens.

use jobyard_core::Record;
use jobyard_pki::TokenRecord;

use super::body::body;
use super::kind::TOKEN;

/// The record of a join token.
pub fn token_record(token: &TokenRecord) -> Record {
    let mut record = Record::new(TOKEN, token.id.as_str(), body(token));
    record.fields.order = u64::try_from(token.created_at.as_micros()).unwrap_or(0);
    record
}
