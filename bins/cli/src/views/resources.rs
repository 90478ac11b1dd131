//! What workers have and jobs take.

use std::collections::BTreeMap;

use jobyard_core::{ResourceKind, Worker};
use serde::{Serialize, Serializer};

/// Cores from thousandths: a whole number where it is one, so that people and programs read `2` and `1.5`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cores(pub(super) u64);

impl Serialize for Cores {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a core count with three decimals stays below the precision of a double"
    )]
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000) {
            to.serialize_u64(self.0 / 1_000)
        } else {
            to.serialize_f64(self.0 as f64 / 1_000.0)
        }
    }
}

/// What a worker has of each resource but slots, and what of it is taken.
#[derive(Debug, Serialize)]
pub(super) struct ResourcesView<'a> {
    cpu: Share<Cores>,
    /// In bytes.
    memory: Share<u64>,
    #[serde(flatten)]
    named: BTreeMap<&'a str, Share<u64>>,
}

#[derive(Debug, Serialize)]
struct Share<T> {
    total: T,
    used: T,
}

impl<'a> From<&'a Worker> for ResourcesView<'a> {
    fn from(worker: &'a Worker) -> Self {
        let share = |kind| Share {
            total: worker.capacity.amount(kind),
            used: worker.used.amount(kind),
        };
        let cpu = share(ResourceKind::Cpu);
        // What is taken may be gone from the worker.
        let names = worker
            .capacity
            .counts
            .keys()
            .chain(worker.used.counts.keys());
        Self {
            cpu: Share {
                total: Cores(cpu.total),
                used: Cores(cpu.used),
            },
            memory: share(ResourceKind::Memory),
            named: names
                .map(|name| (name.as_str(), share(ResourceKind::Named(name))))
                .collect(),
        }
    }
}
