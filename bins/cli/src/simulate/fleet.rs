//! The workers of a load file.

use std::collections::{BTreeMap, BTreeSet};

use jobyard_core::{Resources, Tag, TagSet, WorkerId, check_name};
use jobyard_scheduler::WorkerOffer;
use jobyard_scheduler::simulate::{LoadWorker, MAX_LOAD_WORKERS};
use serde::Deserialize;
use uuid::Uuid;

use crate::job_file::{CoresText, DurationText, SizeText};

/// One worker, or several that are alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WorkerDraft")]
pub(super) struct WorkerEntry {
    /// Of the only one; others get a number behind it.
    name: String,
    pub(super) count: usize,
    /// What each of them is; its offer has no id yet.
    like: LoadWorker,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkerDraft {
    name: String,
    #[serde(default = "one")]
    count: usize,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    exclusive_tags: Vec<Tag>,
    slots: Option<u32>,
    cpu: Option<CoresText>,
    memory: Option<SizeText>,
    #[serde(default)]
    resources: BTreeMap<String, u64>,
    #[serde(default)]
    holds: BTreeMap<String, SizeText>,
    joins_at: Option<DurationText>,
    leaves_at: Option<DurationText>,
}

const fn one() -> usize {
    1
}

impl TryFrom<WorkerDraft> for WorkerEntry {
    type Error = String;

    fn try_from(draft: WorkerDraft) -> Result<Self, String> {
        let name = draft.name.clone();
        draft
            .entry()
            .map_err(|problem| format!("worker {name:?}: {problem}"))
    }
}

impl WorkerDraft {
    fn entry(self) -> Result<WorkerEntry, String> {
        check_name(&self.name).map_err(|problem| format!("name: {problem}"))?;
        if self.count == 0 || self.count > MAX_LOAD_WORKERS {
            return Err(format!(
                "count: {} is not between 1 and {MAX_LOAD_WORKERS}",
                self.count
            ));
        }
        let mut capacity = Resources::of_slots(self.slots.unwrap_or(1));
        capacity.cpu_millis = self.cpu.map_or(0, |cores| cores.millis);
        capacity.memory_bytes = self.memory.map_or(0, |size| size.value);
        capacity.counts = self.resources;
        capacity
            .check()
            .map_err(|problem| format!("resources: {problem}"))?;
        let exclusive = self.exclusive_tags;
        let tags = self.tags.into_iter().chain(exclusive.iter().cloned());
        let mut offer = WorkerOffer::new(WorkerId::from_uuid(Uuid::nil()), self.name.as_str());
        offer.tags = tag_set("tags", tags)?;
        offer.exclusive = tag_set("exclusive_tags", exclusive.into_iter())?;
        offer.capacity = capacity;
        let holds = self.holds.into_iter();
        offer.holds = holds.map(|(key, size)| (key, size.value)).collect();
        let mut like = LoadWorker::new(offer);
        like.joins_at = self.joins_at.map_or(like.joins_at, |text| text.value);
        like.leaves_at = self.leaves_at.map(|text| text.value);
        if like
            .leaves_at
            .is_some_and(|leaves_at| leaves_at < like.joins_at)
        {
            return Err("leaves_at: it leaves before it joins".to_owned());
        }
        Ok(WorkerEntry {
            name: self.name,
            count: self.count,
            like,
        })
    }
}

fn tag_set(key: &str, tags: impl Iterator<Item = Tag>) -> Result<TagSet, String> {
    TagSet::try_from(tags.collect::<Vec<_>>()).map_err(|problem| format!("{key}: {problem}"))
}

/// Every worker of every entry, one after the other.
pub(super) fn fleet(entries: &[WorkerEntry]) -> Result<Vec<LoadWorker>, String> {
    let all = entries
        .iter()
        .fold(0_usize, |all, entry| all.saturating_add(entry.count));
    if all > MAX_LOAD_WORKERS {
        return Err(format!(
            "there are {all} workers, and at most {MAX_LOAD_WORKERS} can be simulated"
        ));
    }
    let mut fleet = Vec::with_capacity(all);
    let mut names = BTreeSet::new();
    for entry in entries {
        for number in 1..=entry.count {
            let mut worker = entry.like.clone();
            let id = fleet.len() as u128 + 1;
            worker.offer.worker = WorkerId::from_uuid(Uuid::from_u128(id));
            worker.offer.name = entry.name_of(number);
            if !names.insert(worker.offer.name.clone()) {
                return Err(format!("two workers have the name {:?}", worker.offer.name));
            }
            fleet.push(worker);
        }
    }
    Ok(fleet)
}

impl WorkerEntry {
    fn name_of(&self, number: usize) -> String {
        if self.count == 1 {
            self.name.clone()
        } else {
            format!("{}-{number}", self.name)
        }
    }

    /// All of them, for people.
    pub(super) fn title(&self) -> String {
        if self.count == 1 {
            self.name.clone()
        } else {
            format!("{}..{}", self.name_of(1), self.count)
        }
    }
}
