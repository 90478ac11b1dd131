//! What a job asks for.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{DEFAULT_QUEUE, Group, JobId, Preference, Requirement, Resources};

/// One job, as far as it decides where and when it runs. Fill in what differs from [`JobDemand::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobDemand {
    /// Which job.
    pub job: JobId,
    /// Its place in the order of submission: lower goes first. A job that comes back to the queue keeps its number. Of
    /// equal ones, the one that was queued first goes first.
    pub order: u64,
    /// The lane in which it waits.
    pub queue: Arc<str>,
    /// Its place within its queue: higher goes first.
    pub priority: i32,
    /// The group of which only so many have a worker at once. A limit of 0 counts as 1.
    pub group: Option<Group>,
    /// What it asks of a worker. Share one value among jobs that ask for the same: it costs memory once, and is
    /// recognised faster.
    pub wants: Arc<Wants>,
    /// How long it will run, as far as the host can tell. `None`: as long as the jobs of its queue did so far.
    pub expected: Option<Duration>,
}

impl JobDemand {
    /// One slot of any worker, in the default queue.
    pub fn new(job: JobId, order: u64) -> Self {
        Self::of(job, order, Arc::new(Wants::default()))
    }

    /// A job that asks for this, in the default queue.
    pub fn of(job: JobId, order: u64, wants: Arc<Wants>) -> Self {
        Self {
            job,
            order,
            queue: DEFAULT_QUEUE.into(),
            priority: 0,
            group: None,
            wants,
            expected: None,
        }
    }
}

/// What a job asks of a worker. Made from [`WantsDraft`], and equal if it means the same: order and repeats of
/// requirements do not matter.
#[derive(Clone, Debug, Eq)]
pub struct Wants {
    draft: WantsDraft,
    /// Of the draft; so that a known value is found without reading its texts.
    hash: u64,
}

/// What a job asks of a worker, to be filled in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct WantsDraft {
    /// All of these must hold.
    pub requirements: Vec<Requirement>,
    /// The name or the id of the only worker that will do.
    pub worker: Option<String>,
    /// What it takes while it runs; 0 slots count as 1.
    pub resources: Resources,
    /// Soft requirements: among the workers with room, the largest sum of weights that hold goes first.
    pub prefer: Vec<Preference>,
    /// Names of things that it uses and that some workers [hold](crate::WorkerOffer::holds). Matters if the
    /// [placement](crate::Placement) is warm.
    pub warm: BTreeSet<String>,
}

impl Wants {
    /// These requirements, and one slot.
    pub fn meeting(requirements: Vec<Requirement>) -> Arc<Self> {
        let draft = WantsDraft {
            requirements,
            ..WantsDraft::default()
        };
        Arc::new(draft.into())
    }

    /// What was asked, brought into one form: requirements and preferences sorted and without repeats, at least one
    /// slot, no resource of which nothing is asked.
    pub fn draft(&self) -> &WantsDraft {
        &self.draft
    }
}

impl From<WantsDraft> for Wants {
    fn from(mut draft: WantsDraft) -> Self {
        draft.requirements.sort_unstable();
        draft.requirements.dedup();
        draft.prefer.sort_unstable();
        draft.prefer.dedup();
        draft.resources.slots = draft.resources.slots.max(1);
        draft.resources.counts.retain(|_, count| *count > 0);
        // The keys of this hasher are fixed: the same wants have the same hash in every process.
        #[expect(
            deprecated,
            reason = "the one hasher of the standard library with fixed keys and no dependency"
        )]
        let mut hasher = std::hash::SipHasher::new();
        draft.hash(&mut hasher);
        let hash = hasher.finish();
        Self { draft, hash }
    }
}

impl Default for Wants {
    fn default() -> Self {
        WantsDraft::default().into()
    }
}

impl PartialEq for Wants {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.draft == other.draft
    }
}

impl Hash for Wants {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repeats_do_not_matter() {
        let wants = |texts: &[&str]| {
            let terms = texts
                .iter()
                .map(|text| text.parse().expect("a requirement"));
            Wants::meeting(terms.collect())
        };
        assert_eq!(wants(&["a", "b=1|2"]), wants(&["b=2|1", "a", "a"]));
        assert_ne!(wants(&["a"]), wants(&["!a"]));
    }

    #[test]
    fn nothing_asked_is_one_slot() {
        let draft = WantsDraft {
            resources: Resources::of_slots(0).with("gpu", 0),
            ..WantsDraft::default()
        };
        assert_eq!(Wants::from(draft), Wants::default());
    }
}
