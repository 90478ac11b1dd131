//! Why jobs wait.

use std::fmt::Display;

use jobyard_core::{Explanation, Help, JobId, WaitReason, WaitVerdict};
use serde::Serialize;

/// Why a job waits.
#[derive(Debug, Serialize)]
pub(crate) struct ExplanationView<'a> {
    job_id: JobId,
    state: &'static str,
    verdict: &'static str,
    reasons: Vec<Said<'a, WaitReason>>,
    /// What would let it start, simplest first.
    help: Vec<Said<'a, Help>>,
}

/// The sentence, and the data that it was made of.
#[derive(Debug, Serialize)]
struct Said<'a, T> {
    text: String,
    #[serde(flatten)]
    data: &'a T,
}

impl<'a, T: Display> From<&'a T> for Said<'a, T> {
    fn from(data: &'a T) -> Self {
        Self {
            text: data.to_string(),
            data,
        }
    }
}

impl<'a> ExplanationView<'a> {
    /// What the master says of a job.
    pub(crate) fn new(job_id: JobId, explanation: &'a Explanation) -> Self {
        Self {
            job_id,
            state: explanation.state.as_str(),
            verdict: verdict(explanation),
            reasons: explanation.reasons.iter().map(Said::from).collect(),
            help: explanation.help.iter().map(Said::from).collect(),
        }
    }
}

/// The verdict, or the job's state when it does not wait.
pub(crate) fn verdict(explanation: &Explanation) -> &'static str {
    explanation
        .verdict
        .map_or(explanation.state.as_str(), WaitVerdict::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hopeless, job_id};
    use jobyard_core::JobState;

    #[test]
    fn explanation_has_verdict_reasons_and_help_with_text() {
        insta::assert_json_snapshot!(ExplanationView::new(job_id(), &hopeless()));
        let running = Explanation::not_waiting(JobState::Running);
        assert_eq!(verdict(&running), "running");
    }
}
