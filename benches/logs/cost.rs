//! What the three programs on the way consume.

use std::time::Duration;

use anyhow::Result;
use jobyard_benches::cluster::Cluster;
use jobyard_benches::consumption::{forget_peak, peak_kib, resident_kib, whole_processor_time};
use jobyard_benches::figures::median;

/// The programs of a cluster, and what they had when it began.
pub(crate) struct Meter {
    programs: [Program; 3],
}

struct Program {
    id: u32,
    resident_kib: u64,
    processor: Duration,
}

/// What one program has consumed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// By how much its memory has grown at the most, in MiB.
    pub(crate) memory_mib: f64,
    /// Processor time.
    pub(crate) processor: Duration,
}

/// What each of them has consumed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) master: Cost,
    pub(crate) worker: Cost,
    pub(crate) launcher: Cost,
}

impl Meter {
    /// Begins now.
    pub(crate) fn begin(cluster: &Cluster) -> Result<Self> {
        let begin = |id| -> Result<Program> {
            forget_peak(id)?;
            Ok(Program {
                id,
                resident_kib: resident_kib(id)?,
                processor: whole_processor_time(id)?,
            })
        };
        let programs = [
            begin(cluster.master_id())?,
            begin(cluster.worker_id())?,
            begin(cluster.launcher_id()?)?,
        ];
        Ok(Self { programs })
    }

    /// What was consumed since then.
    pub(crate) fn read(&self) -> Result<Costs> {
        let [master, worker, launcher] = &self.programs;
        Ok(Costs {
            master: master.read()?,
            worker: worker.read()?,
            launcher: launcher.read()?,
        })
    }
}

impl Costs {
    /// The memory of the three, in MiB.
    pub(crate) fn memory(&self) -> String {
        let [master, worker, launcher] =
            [self.master, self.worker, self.launcher].map(|cost| cost.memory_mib);
        format!("{master:.0}, {worker:.0}, {launcher:.0}")
    }

    /// The processor time of the three, in seconds.
    pub(crate) fn processor(&self) -> String {
        let [master, worker, launcher] =
            [self.master, self.worker, self.launcher].map(|cost| cost.processor.as_secs_f64());
        format!("{master:.2}, {worker:.2}, {launcher:.2}")
    }

    /// The median of each.
    pub(crate) fn medians(rounds: &[Self]) -> Self {
        let median_of = |of: fn(&Self) -> Cost| {
            let memory: Vec<f64> = rounds.iter().map(|costs| of(costs).memory_mib).collect();
            let processor: Vec<f64> = rounds
                .iter()
                .map(|costs| of(costs).processor.as_secs_f64())
                .collect();
            Cost {
                memory_mib: median(&memory).unwrap_or_default(),
                processor: Duration::from_secs_f64(median(&processor).unwrap_or_default()),
            }
        };
        Self {
            master: median_of(|costs| costs.master),
            worker: median_of(|costs| costs.worker),
            launcher: median_of(|costs| costs.launcher),
        }
    }
}

impl Program {
    #[expect(clippy::cast_precision_loss, reason = "no memory has 2^52 KiB")]
    fn read(&self) -> Result<Cost> {
        let grown = peak_kib(self.id)?.saturating_sub(self.resident_kib);
        Ok(Cost {
            memory_mib: grown as f64 / 1024.0,
            processor: whole_processor_time(self.id)?.saturating_sub(self.processor),
        })
    }
}
