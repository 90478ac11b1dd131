//! Workers.

use jobyard_core::{AttemptId, Complaint, JobId, Worker};
use serde::Serialize;

use super::resources::ResourcesView;
use super::time::time;

/// One worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerView<'a> {
    worker_id: String,
    name: String,
    state: &'static str,
    tags: Vec<String>,
    /// Those of `tags` that refuse every job which does not name them.
    exclusive_tags: Vec<String>,
    slots: SlotsView,
    resources: ResourcesView<'a>,
    /// Why it takes no jobs at the moment, by its own judgement.
    complaints: Vec<ComplaintView<'a>>,
    last_contact: Option<String>,
    version: String,
    /// Which attempts it holds.
    jobs: Vec<WorkerJobView>,
    host: String,
    os: String,
    arch: String,
    cores: u32,
    memory_bytes: u64,
    address: String,
    enrolled_at: String,
}

#[derive(Debug, Serialize)]
struct SlotsView {
    total: u32,
    used: u32,
}

#[derive(Debug, Serialize)]
struct WorkerJobView {
    job_id: JobId,
    attempt: u32,
}

#[derive(Debug, Serialize)]
struct ComplaintView<'a> {
    kind: &'static str,
    text: &'a str,
}

impl<'a> From<&'a Complaint> for ComplaintView<'a> {
    fn from(complaint: &'a Complaint) -> Self {
        Self {
            kind: complaint.kind.as_str(),
            text: &complaint.text,
        }
    }
}

impl<'a> From<&'a Worker> for WorkerView<'a> {
    fn from(worker: &'a Worker) -> Self {
        let job = |attempt: &AttemptId| WorkerJobView {
            job_id: attempt.job,
            attempt: attempt.number.get(),
        };
        Self {
            worker_id: worker.id.to_string(),
            name: worker.name.clone(),
            state: worker.state().as_str(),
            tags: worker.tags.iter().map(|tag| tag.to_string()).collect(),
            exclusive_tags: worker.exclusive.iter().map(|tag| tag.to_string()).collect(),
            slots: SlotsView {
                total: worker.capacity.slots,
                used: worker.used.slots,
            },
            resources: ResourcesView::from(worker),
            complaints: worker.complaints.iter().map(Into::into).collect(),
            last_contact: worker.last_contact.map(time),
            version: worker.facts.version.clone(),
            jobs: worker.attempts.iter().map(job).collect(),
            host: worker.facts.host.clone(),
            os: worker.facts.os.clone(),
            arch: worker.facts.arch.clone(),
            cores: worker.facts.cores,
            memory_bytes: worker.facts.memory_bytes,
            address: worker.address.clone(),
            enrolled_at: time(worker.enrolled_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{complaining_worker, worker};

    #[test]
    fn worker_has_the_keys_that_programs_rely_on() {
        insta::assert_json_snapshot!(WorkerView::from(&worker()));
    }

    #[test]
    fn a_worker_is_shown_with_what_it_complains_about() {
        let worker = complaining_worker("forge");
        let view = serde_json::to_value(WorkerView::from(&worker)).expect("JSON");
        insta::assert_json_snapshot!(view["complaints"]);
    }
}
