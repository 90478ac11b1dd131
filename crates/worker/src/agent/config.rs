//! What an agent is told of itself.

use jobyard_core::{BootId, Protocol, Resources, TagSet, WorkerFacts, WorkerId};
use jobyard_transport::Backoff;

/// Who the worker is and what it offers. Constant for the life of an [`Agent`](super::Agent).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentConfig {
    /// Who it is.
    pub worker: WorkerId,
    /// The machine's boot.
    pub boot: BootId,
    /// This life of the program; minted at its start.
    pub agent: BootId,
    /// The machine and the program.
    pub facts: WorkerFacts,
    /// What it offers by itself.
    pub tags: TagSet,
    /// Tags of those that refuse every job which does not name them.
    pub exclusive: TagSet,
    /// What it has for jobs.
    pub capacity: Resources,
    /// How long it waits between tries to connect.
    pub backoff: Backoff,
    /// What it speaks, and what it can do.
    pub protocol: Protocol,
}

impl AgentConfig {
    /// A worker with one slot, no tags and the usual backoff.
    pub fn new(worker: WorkerId, boot: BootId, agent: BootId) -> Self {
        Self {
            worker,
            boot,
            agent,
            facts: WorkerFacts::default(),
            tags: TagSet::new(),
            exclusive: TagSet::new(),
            capacity: Resources::of_slots(1),
            backoff: Backoff::default(),
            protocol: Protocol::current(),
        }
    }
}
