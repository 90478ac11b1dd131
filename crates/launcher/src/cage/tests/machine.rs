//! What the tests need of the machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use jobyard_core::{AttemptId, AttemptNumber, JobId, Limits};

use crate::cage::mounts::Hierarchies;
use crate::cage::trial_run::{SHELL, TrialRun};
use crate::cage::{CageOptions, Cages, probe};
use crate::protocol::{Launch, Mechanism, WorkDir};

/// Cages of a launcher that only lives for a test, and leaves nothing.
pub(super) struct Yard {
    pub(super) cages: Option<Cages>,
    options: CageOptions,
}

impl Yard {
    /// With exactly this mechanism.
    pub(super) fn new(mechanism: Mechanism) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut options = CageOptions::new(format!("test-{}-{number}", std::process::id()));
        options.mechanism = Some(mechanism);
        let cages = Cages::probe(&options);
        let facts = cages.facts();
        assert_eq!(facts.mechanism, mechanism, "{:#?}", facts.notes);
        Self {
            cages: Some(cages),
            options,
        }
    }

    pub(super) fn cages(&mut self) -> &mut Cages {
        self.cages.as_mut().expect("not ended yet")
    }

    pub(super) fn run(&mut self, launch: &Launch) -> TrialRun {
        TrialRun::start(self.cages(), launch).expect("started")
    }

    /// The launcher dies: nothing of it is cleaned up.
    pub(super) fn die(&mut self) {
        self.cages = None;
    }

    /// Where its own groups would be.
    pub(super) fn own_groups(&self) -> Vec<PathBuf> {
        let name = format!("jobyard-{}", self.options.name);
        let Hierarchies { v1, v2 } = probe::hierarchies(&self.options, &mut Vec::new());
        v1.into_values()
            .chain(v2)
            .map(|hierarchy| hierarchy.own.join(&name))
            .collect()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The run of a test that failed may still be there.
            for group in self.own_groups() {
                let _ = std::fs::write(group.join("cgroup.kill"), "1");
            }
        }
        match self.cages.take() {
            Some(cages) => cages.close(),
            None => Cages::clear(&self.options),
        }
        let left: Vec<PathBuf> = self.own_groups();
        let left: Vec<_> = left.iter().filter(|path| path.exists()).collect();
        assert!(
            left.is_empty() || std::thread::panicking(),
            "left: {left:?}"
        );
    }
}

/// A script as an attempt of a job of its own, with its marks.
pub(super) fn launch(script: &str, limits: Limits) -> Launch {
    let job = JobId::from_uuid(uuid::Uuid::now_v7());
    let attempt = AttemptId::new(job, AttemptNumber::FIRST);
    let mut launch = Launch::new(
        attempt,
        SHELL.into(),
        ["sh", "-c", script].map(str::to_owned).to_vec(),
        WorkDir::at(PathBuf::from("/")),
        PathBuf::from("/"),
    );
    launch.limits = limits;
    launch.env.insert("JOBYARD_JOB_ID".into(), job.to_string());
    let number = attempt.number.to_string();
    launch.env.insert("JOBYARD_ATTEMPT".into(), number);
    launch
}

/// A shell, a child, an orphan, and one that has left the session by a double fork.
pub(super) const TREE: &str = "sleep 600 & (sleep 600 &); \
     setsid sh -c 'setsid sh -c \"echo ready; exec sleep 600\" &' & \
     exec sleep 600";

/// The value of a file of a group.
pub(super) fn read(group: &Path, file: &str) -> String {
    let text = std::fs::read_to_string(group.join(file)).expect("a file of the kernel");
    text.trim().to_owned()
}

/// Limits of which `set` sets some.
pub(super) fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::NONE;
    set(&mut limits);
    limits
}
