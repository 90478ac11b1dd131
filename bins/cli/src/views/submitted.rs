//! What became of a wish.

use jobyard_core::{JobId, JobState, Submitted};
use serde::Serialize;

/// A job that was submitted.
#[derive(Debug, Serialize)]
pub(crate) struct SubmittedView {
    job_id: JobId,
    /// False if the master had it already.
    created: bool,
}

impl From<Submitted> for SubmittedView {
    fn from(submitted: Submitted) -> Self {
        Self {
            job_id: submitted.id,
            created: submitted.created,
        }
    }
}

/// A job that was asked to stop.
#[derive(Debug, Serialize)]
pub(crate) struct StoppedView {
    job_id: JobId,
    state: &'static str,
}

impl StoppedView {
    /// Where a job stands after it was asked to stop.
    pub(crate) const fn new(job_id: JobId, state: JobState) -> Self {
        Self {
            job_id,
            state: state.as_str(),
        }
    }
}
