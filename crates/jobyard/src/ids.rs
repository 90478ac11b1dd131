//! Ids are minted by whoever submits, so that a repeated submit is recognised.

use jobyard_core::JobId;
use uuid::Uuid;

/// A new job id: a UUID of version 7, which sorts by time.
pub fn new_job_id() -> JobId {
    JobId::from_uuid(Uuid::now_v7())
}
