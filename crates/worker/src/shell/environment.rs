//! What every attempt finds in its environment from its worker.

use std::collections::BTreeMap;

use jobyard_core::{Assignment, WorkerId};

/// What describes the attempt, then what the master keeps for this worker, then the worker's own. Later ones win.
pub(super) fn of_attempt(
    assignment: &Assignment,
    worker: WorkerId,
    worker_name: &str,
    own: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let attempt = assignment.attempt;
    let described = [
        ("CI", "true".to_owned()),
        ("JOBYARD_ATTEMPT", attempt.number.to_string()),
        ("JOBYARD_JOB_ID", attempt.job.to_string()),
        ("JOBYARD_QUEUE", assignment.spec.queue.clone()),
        ("JOBYARD_WORKER_ID", worker.to_string()),
        ("JOBYARD_WORKER_NAME", worker_name.to_owned()),
    ];
    let mut env: BTreeMap<String, String> = described
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for (name, value) in assignment.env.iter().chain(own) {
        env.insert(name.clone(), value.clone());
    }
    env
}
