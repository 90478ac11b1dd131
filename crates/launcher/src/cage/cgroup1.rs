//! Control groups of version 1: limits, each by its own controller, and the freezer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobyard_core::LimitKind;
use rustix::event::{EventfdFlags, PollFlags, eventfd};

use super::group;
use super::mounts::{Controller, Hierarchies};
use super::plan::{Device, Group, Plan, Support, Version};
use super::processes::Deadline;
use super::trial::try_limits;
use super::usage::{CpuTime, DiskBytes, value_of};

/// The launcher's groups of version 1: `jobyard-NAME` in the group of this process, in each hierarchy.
#[derive(Debug, Default)]
pub(super) struct Cgroup1 {
    ours: BTreeMap<Controller, PathBuf>,
    /// What they take of limits.
    pub(super) support: Support,
    /// Whether a group can be stopped as a whole.
    pub(super) freezer: bool,
    made: u64,
}

impl Cgroup1 {
    /// Tries everything, with real groups.
    pub(super) fn probe(
        hierarchies: &Hierarchies,
        name: &str,
        device: Option<Device>,
        notes: &mut Vec<String>,
    ) -> Self {
        let mut found = Self::default();
        for (controller, hierarchy) in &hierarchies.v1 {
            let path = hierarchy.own.join(format!("jobyard-{name}"));
            // What an earlier launcher of this name left and is empty.
            let _ = group::remove(&path);
            match group::make(&path) {
                Ok(()) => {
                    found.ours.insert(*controller, path);
                }
                Err(problem) => notes.push(format!(
                    "cgroup1: {} not usable in {}: {problem}",
                    controller.as_str(),
                    hierarchy.own.display()
                )),
            }
        }
        if found.ours.is_empty() {
            notes.push("cgroup1: no controllers of version 1".to_owned());
            return found;
        }
        found.support = try_limits(Version::One, device, notes, |plan| {
            let groups = found.make(plan, &BTreeSet::new())?;
            groups.apply(plan).and(groups.remove())
        });
        if found.support.write_rate.is_some() {
            notes.push(
                "cgroup1: write_rate holds back direct and synchronous writes; what the kernel writes later is not \
                 counted by version 1"
                    .to_owned(),
            );
        }
        found.freezer = found.try_freezer(notes);
        found
    }

    /// New groups for one attempt: those that its plan needs, and others that it should have where they are there.
    pub(super) fn make(
        &mut self,
        plan: &Plan,
        others: &BTreeSet<Controller>,
    ) -> io::Result<Groups> {
        let mut wanted = others.clone();
        wanted.extend(plan.groups().into_iter().filter_map(|group| match group {
            Group::Of(controller) => Some(controller),
            Group::Leaf => None,
        }));
        self.made += 1;
        let mut groups = Groups::default();
        for controller in wanted {
            let Some(parent) = self.ours.get(&controller) else {
                continue;
            };
            if let Err(problem) = groups.add(controller, parent.join(self.made.to_string())) {
                // They are empty.
                let _ = groups.remove();
                return Err(problem);
            }
        }
        Ok(groups)
    }

    /// Removes all that is empty.
    pub(super) fn close(&self) {
        for path in self.ours.values() {
            // What is in use stays; another controller of the same hierarchy may have been first.
            let _ = group::remove(path);
        }
    }

    fn try_freezer(&mut self, notes: &mut Vec<String>) -> bool {
        if !self.ours.contains_key(&Controller::Freezer) {
            return false;
        }
        let wanted = BTreeSet::from([Controller::Freezer]);
        let tried = self.make(&Plan::default(), &wanted).and_then(|groups| {
            let path = groups.path(Controller::Freezer).unwrap_or(Path::new("/"));
            let tried = super::freezer::try_on(path);
            tried.and(groups.remove())
        });
        match &tried {
            Ok(()) => notes.push("cgroup1: the freezer works".to_owned()),
            Err(problem) => notes.push(format!("cgroup1: the freezer does not work: {problem}")),
        }
        tried.is_ok()
    }
}

/// How much memory the kernel counts at once: 64 pages, of 4 KiB in most kernels.
const CHARGED_AT_ONCE: u64 = 64 * 4096;

/// The groups of version 1 of one attempt. Several controllers may be in one.
#[derive(Debug, Default)]
pub(super) struct Groups {
    paths: BTreeMap<Controller, PathBuf>,
    /// `cgroup.procs` of each, open for writing.
    doors: Vec<Arc<OwnedFd>>,
    oom: Option<OomWatch>,
}

/// What the kernel says when memory is used up. It says so before it kills, and then leaves those alone that somebody
/// else has killed: so its count of kills may stay at zero.
#[derive(Debug)]
struct OomWatch {
    /// For whoever waits for it, and may read it.
    told: OwnedFd,
    /// Never read: readable for ever after.
    kept: OwnedFd,
}

impl Groups {
    fn add(&mut self, controller: Controller, path: PathBuf) -> io::Result<()> {
        if !self.paths.values().any(|known| *known == path) {
            // One of this name that was left here is not ours to use: it may hold limits and processes.
            make_beneath(&path)?;
            self.paths.insert(controller, path.clone());
            let door = group::open_for_writing(&path, "cgroup.procs")?;
            self.doors.push(Arc::new(door.into()));
        }
        self.paths.insert(controller, path);
        Ok(())
    }

    pub(super) fn path(&self, controller: Controller) -> Option<&Path> {
        self.paths.get(&controller).map(PathBuf::as_path)
    }

    /// All of them, each once.
    pub(super) fn paths(&self) -> BTreeSet<PathBuf> {
        self.paths.values().cloned().collect()
    }

    pub(super) fn doors(&self) -> &[Arc<OwnedFd>] {
        &self.doors
    }

    /// Sets what the plan has for them.
    pub(super) fn apply(&self, plan: &Plan) -> io::Result<()> {
        for write in &plan.writes {
            if let Group::Of(controller) = write.group {
                let path = self.path(controller).ok_or(io::ErrorKind::NotFound)?;
                group::write(path, write.file, &write.value)?;
            }
        }
        Ok(())
    }

    /// Has the kernel tell when the memory is used up, see [`Groups::oom`].
    pub(super) fn watch_memory(&mut self) -> io::Result<()> {
        let Some(path) = self.path(Controller::Memory) else {
            return Ok(());
        };
        let control = File::open(path.join("memory.oom_control"))?;
        let watch = || -> io::Result<OwnedFd> {
            let told = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let order = format!("{} {}", told.as_raw_fd(), control.as_raw_fd());
            group::write(path, "cgroup.event_control", &order)?;
            Ok(told)
        };
        self.oom = Some(OomWatch {
            told: watch()?,
            kept: watch()?,
        });
        Ok(())
    }

    /// Readable when the memory was used up. The kernel then kills one process, not all.
    pub(super) fn oom(&self) -> Option<BorrowedFd<'_>> {
        self.oom.as_ref().map(|watch| watch.told.as_fd())
    }

    /// The limit that the kernel enforced in them.
    pub(super) fn limit_hit(&self) -> Option<LimitKind> {
        let killed = self
            .read(Controller::Memory, "memory.oom_control")
            .and_then(|text| value_of(&text, "oom_kill"));
        let told = self
            .oom
            .as_ref()
            .is_some_and(|watch| Deadline::after(Duration::ZERO).wait(&watch.kept, PollFlags::IN));
        // Both may be for the lack of memory of a group above, or of the machine.
        if (killed > Some(0) || told) && self.was_full() {
            return Some(LimitKind::Memory);
        }
        let refused = self
            .read(Controller::Pids, "pids.events")
            .and_then(|text| value_of(&text, "max"));
        (refused > Some(0)).then_some(LimitKind::Processes)
    }

    /// Whether memory was at its limit. Not by the count of failures: newer kernels leave that at zero.
    fn was_full(&self) -> bool {
        let limit = self.number(Controller::Memory, "memory.limit_in_bytes");
        let most = [
            "memory.max_usage_in_bytes",
            "memory.memsw.max_usage_in_bytes",
        ];
        let most = most.map(|file| self.number(Controller::Memory, file));
        let almost = limit.map(|limit| limit.saturating_sub(CHARGED_AT_ONCE));
        almost.is_some() && most.into_iter().max().flatten() >= almost
    }

    pub(super) fn cpu_time(&self) -> Option<CpuTime> {
        CpuTime::parse_v1(
            &self.read(Controller::CpuAcct, "cpuacct.usage_user")?,
            &self.read(Controller::CpuAcct, "cpuacct.usage_sys")?,
        )
    }

    pub(super) fn peak_memory(&self) -> Option<u64> {
        self.number(Controller::Memory, "memory.max_usage_in_bytes")
    }

    pub(super) fn disk_bytes(&self) -> Option<DiskBytes> {
        let file = "blkio.throttle.io_service_bytes_recursive";
        Some(DiskBytes::parse_v1(&self.read(Controller::Blkio, file)?))
    }

    /// Removes them, or as many as can be.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.paths()
            .iter()
            .map(|path| group::remove(path))
            .fold(Ok(()), io::Result::and)
    }

    fn read(&self, controller: Controller, file: &str) -> Option<String> {
        group::read(self.path(controller)?, file).ok()
    }

    fn number(&self, controller: Controller, file: &str) -> Option<u64> {
        self.read(controller, file)?.trim().parse().ok()
    }
}

/// Makes a group that is not there, and the launcher's own above it, if somebody has removed that.
fn make_beneath(path: &Path) -> io::Result<()> {
    let made = fs::create_dir(path).or_else(|problem| match path.parent() {
        Some(parent) if group::is_gone(&problem) => {
            group::make(parent)?;
            fs::create_dir(path)
        }
        _ => Err(problem),
    });
    made.map_err(|problem| group::named(path, problem))
}
