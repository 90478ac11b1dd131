//! What stands in a load file.

use std::path::PathBuf;
use std::time::Duration;

use jobyard_core::{QueueSettings, check_name};
use jobyard_scheduler::simulate::LoadQueue;
use jobyard_scheduler::{Placement, Policy};
use serde::Deserialize;

use super::fleet::WorkerEntry;
use super::job_entry::JobEntry;
use crate::job_file::DurationText;

/// A whole file. Unknown keys are refused, so that a misspelt one is not ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LoadFile {
    pub(super) policy: PolicyEntry,
    pub(super) workers: Vec<WorkerEntry>,
    pub(super) queues: Vec<QueueEntry>,
    pub(super) jobs: Vec<JobEntry>,
    /// A recorded load, as `jobyard jobs --json` prints it.
    pub(super) jobs_from: Option<PathBuf>,
}

/// What an operator chooses. What is not given is as in a master.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PolicyEntry {
    placement: PlacementName,
    patience: Option<DurationText>,
    reserve_after: Option<After>,
    ageing: Option<After>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlacementName {
    #[default]
    Spread,
    Pack,
    Warm,
}

impl PolicyEntry {
    /// By which the simulated scheduler decides.
    pub(super) fn policy(&self) -> Result<Policy, String> {
        let mut policy = Policy::default();
        policy.placement = match (self.placement, &self.patience) {
            (PlacementName::Warm, patience) => Placement::Warm {
                patience: patience
                    .as_ref()
                    .map_or(DEFAULT_PATIENCE, |text| text.value),
            },
            (_, Some(_)) => {
                return Err(
                    "policy.patience: only the placement \"warm\" waits for a worker".to_owned(),
                );
            }
            (PlacementName::Spread, None) => Placement::Spread,
            (PlacementName::Pack, None) => Placement::Pack,
        };
        if let Some(reserve_after) = &self.reserve_after {
            policy.reserve_after = reserve_after.0;
        }
        if let Some(ageing) = &self.ageing {
            if ageing.0 == Some(Duration::ZERO) {
                return Err("policy.ageing: it has to last at least 1ms".to_owned());
            }
            policy.ageing = ageing.0;
        }
        Ok(policy)
    }
}

/// For how long a job waits for a worker that holds what it uses, if nothing is said.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// A duration, or `never`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct After(Option<Duration>);

impl TryFrom<String> for After {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self(None));
        }
        let after = text.parse::<DurationText>();
        let after = after.map_err(|problem| format!("{problem}, or \"never\""))?;
        Ok(Self(Some(after.value)))
    }
}

/// A queue with settings of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "QueueDraft")]
pub(super) struct QueueEntry(pub(super) LoadQueue);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueDraft {
    name: String,
    weight: Option<u32>,
    class: Option<i32>,
    max_running: Option<u64>,
}

impl TryFrom<QueueDraft> for QueueEntry {
    type Error = String;

    fn try_from(draft: QueueDraft) -> Result<Self, String> {
        let wrong = |problem| format!("queue {:?}: {problem}", draft.name);
        check_name(&draft.name).map_err(|problem| wrong(problem.to_string()))?;
        let mut settings = QueueSettings::default();
        settings.weight = draft.weight.unwrap_or(settings.weight);
        settings.class = draft.class.unwrap_or(settings.class);
        settings.max_running = draft.max_running;
        settings.check().map_err(wrong)?;
        Ok(Self(LoadQueue::new(draft.name, settings)))
    }
}
