//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use jobyard_core::{Complaint, Containment, LimitKind};
use jobyard_executor::launcher::CageFacts;
use jobyard_worker::protection::{Judgement, Readings};
use serde::Serialize;

use super::DoctorSettings;
use super::checks::{Check, CheckResult};

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// By what jobs are held.
    mechanism: &'static str,
    /// How well that holds a job of this program's own user.
    own_user: Containment,
    /// How well it holds one of another user; `null`: there can be none.
    other_user: Option<Containment>,
    /// As whom jobs would run.
    job_user: Option<String>,
    /// Why a worker with these options would not start; `null`: it would.
    refused: Option<String>,
    /// By kind: `tree`, all processes together; `process`, each for itself; `none`.
    limits: BTreeMap<LimitKind, Enforced>,
    namespaces: bool,
    landlock: bool,
    /// What was found on the way.
    notes: Vec<String>,
    machine: Machine,
    /// Why no jobs would be taken at the moment.
    complaints: Vec<Complaint>,
    checks: Vec<Check>,
}

/// How a limit is enforced.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Enforced {
    Tree,
    Process,
    None,
}

/// The machine now.
#[derive(Debug, Serialize)]
struct Machine {
    free_disk_bytes: Option<u64>,
    disk_bytes: Option<u64>,
    available_memory_bytes: Option<u64>,
    /// Of the last ten seconds.
    memory_pressure_percent: Option<f64>,
    load_per_core: Option<f64>,
}

impl Report {
    pub(super) fn new(
        settings: &DoctorSettings,
        facts: Option<&CageFacts>,
        readings: &Readings,
        judgement: &Judgement,
        checks: Vec<Check>,
    ) -> Self {
        let enforced = |kind: &LimitKind| match facts {
            Some(facts) if facts.tree_limits.contains(kind) => Enforced::Tree,
            Some(facts) if facts.process_limits.contains(kind) => Enforced::Process,
            _ => Enforced::None,
        };
        Self {
            mechanism: facts.map_or("process-group", |facts| facts.mechanism.as_str()),
            own_user: facts.map_or(Containment::BestEffort, |facts| facts.own_user),
            other_user: facts.and_then(|facts| facts.other_user),
            job_user: settings.jobs.other_user().map(|user| user.name.clone()),
            refused: settings.refusal(),
            limits: LimitKind::ALL
                .into_iter()
                .map(|kind| (kind, enforced(&kind)))
                .collect(),
            namespaces: facts.is_some_and(|facts| facts.namespaces),
            landlock: facts.is_some_and(|facts| facts.landlock),
            notes: facts.map_or_else(
                || {
                    let ends = "there is no launcher: jobs end with the worker";
                    let alone =
                        "it takes no jobs that must not outlive their lease (--on-disconnect stop)";
                    vec![ends.to_owned(), alone.to_owned()]
                },
                |facts| facts.notes.clone(),
            ),
            machine: Machine::new(readings),
            complaints: judgement.complaints.clone(),
            checks,
        }
    }

    /// Whether everything that was tried did what it says.
    pub(super) fn is_sound(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.result != CheckResult::Failed)
    }
}

impl Machine {
    #[expect(
        clippy::cast_precision_loss,
        reason = "for people: loads and shares are small"
    )]
    fn new(readings: &Readings) -> Self {
        let memory = readings.memory;
        let pressure = memory.and_then(|memory| memory.pressure);
        Self {
            free_disk_bytes: readings.disk.map(|disk| disk.free),
            disk_bytes: readings.disk.map(|disk| disk.total),
            available_memory_bytes: memory.map(|memory| memory.available),
            memory_pressure_percent: pressure.map(|pressure| f64::from(pressure) / 100.0),
            load_per_core: readings.load_millis.map(|load| load as f64 / 1000.0),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Jobs are held by     {}", self.mechanism)?;
        writeln!(f, "  of the own user    {}", self.own_user.as_str())?;
        let other = self.other_user.map_or("not possible", Containment::as_str);
        writeln!(f, "  of another user    {other}")?;
        let user = self.job_user.as_deref().unwrap_or("the own user");
        writeln!(f, "Jobs would run as    {user}")?;
        writeln!(f, "Namespaces           {}", yes_or_no(self.namespaces))?;
        writeln!(f, "Landlock             {}", yes_or_no(self.landlock))?;
        writeln!(f, "Limits")?;
        for (kind, enforced) in &self.limits {
            writeln!(f, "  {:<18} {}", kind.as_str(), in_words(*kind, *enforced))?;
        }
        write!(f, "{}", self.machine)?;
        if let Some(refused) = &self.refused {
            writeln!(
                f,
                "Jobs are taken       no, a worker with these options would refuse to start: {refused}"
            )?;
        } else if self.complaints.is_empty() {
            writeln!(f, "Jobs are taken       yes")?;
        }
        for complaint in &self.complaints {
            writeln!(f, "Jobs are taken       no, {complaint}")?;
        }
        writeln!(f, "Tried")?;
        for check in &self.checks {
            writeln!(f, "  {check}")?;
        }
        if !self.notes.is_empty() {
            writeln!(f, "Notes")?;
        }
        for note in &self.notes {
            writeln!(f, "  {note}")?;
        }
        Ok(())
    }
}

const fn in_words(kind: LimitKind, enforced: Enforced) -> &'static str {
    match (enforced, kind) {
        (Enforced::None, _) => "not enforced",
        // These are meant so.
        (Enforced::Tree, _) | (Enforced::Process, LimitKind::OpenFiles | LimitKind::FileSize) => {
            "enforced"
        }
        (Enforced::Process, _) => "for each process only",
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: Option<u64>| {
            bytes.map_or_else(
                || "unknown".to_owned(),
                |bytes| format!("{} MiB", bytes >> 20),
            )
        };
        let figure = |figure: Option<f64>| {
            figure.map_or_else(|| "unknown".to_owned(), |figure| format!("{figure:.2}"))
        };
        writeln!(
            f,
            "Disk                 {} of {} free",
            mib(self.free_disk_bytes),
            mib(self.disk_bytes)
        )?;
        writeln!(
            f,
            "Memory               {} available, {} % of the time waited for",
            mib(self.available_memory_bytes),
            figure(self.memory_pressure_percent)
        )?;
        writeln!(
            f,
            "Load                 {} for each processor",
            figure(self.load_per_core)
        )
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            CheckResult::Ok => "ok",
            CheckResult::Skipped => "skipped",
            CheckResult::Failed => "FAILED",
        };
        write!(f, "{:<28} {result}", self.name)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

const fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
