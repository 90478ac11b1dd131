//! Readers who ask for lines, or for one stream.

use jobyard_core::{JobId, LogQuery, OutputStream};

use super::golden;
use super::samples::uuid;
use crate::generated::v1;

#[test]
fn the_last_lines_of_a_stream() {
    let mut query = LogQuery::new(JobId::from_uuid(uuid(0x10)));
    query.tail_lines = Some(20);
    query.stream = Some(OutputStream::Stderr);
    golden::<v1::LogsRequest, _>("logs_request_lines", &query);
}
