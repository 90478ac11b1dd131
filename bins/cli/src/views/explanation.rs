//! Why jobs wait.

use std::fmt::Display;

use jobyard_core::{Explanation, Help, JobId, PROCESS_EXECUTOR, WaitReason, WaitVerdict};
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
            help: explanation
                .help
                .iter()
                .map(|data| Said {
                    text: help_text(data),
                    data,
                })
                .collect(),
        }
    }
}

/// What would help, in a sentence. That a worker runs processes goes without saying: every one does, and nobody asked for
/// it.
pub(crate) fn help_text(help: &Help) -> String {
    let mut help = help.clone();
    if let Help::Worker { requirements, .. } = &mut help {
        let usual = format!("executor={PROCESS_EXECUTOR}");
        requirements.retain(|requirement| requirement.to_string() != usual);
    }
    help.to_string()
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
    #[test]
    fn that_a_worker_runs_processes_goes_without_saying() {
        let worker = |requirements: &[&str]| Help::Worker {
            requirements: requirements
                .iter()
                .map(|text| text.parse().expect("a requirement"))
                .collect(),
            resources: Vec::new(),
            name: None,
        };
        let cases: [(&[&str], &str); 3] = [
            (&["executor=process", "gpu"], "one worker with `gpu`"),
            (&["executor=process"], "one worker"),
            (&["executor=wasm"], "one worker with `executor=wasm`"),
        ];
        for (requirements, said) in cases {
            assert_eq!(help_text(&worker(requirements)), said);
        }
    }
}
