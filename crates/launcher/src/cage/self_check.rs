//! What a person asks of a machine.

use std::path::PathBuf;

use jobyard_core::{AttemptId, AttemptNumber, Exit, JobId, LimitKind, Limits};

use super::Cages;
use super::trial_run::{SHELL, TrialEnd, TrialRun, has_shell};
use crate::protocol::{Launch, WorkDir};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it works.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

impl Check {
    fn new(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok,
            detail: detail.into(),
        }
    }
}

/// Tries cages with small processes: that a tree is killed and its end is proven, and that each limit that holds all
/// processes together does what it says. Takes less than a second on an idle machine, and at most 20 seconds for each
/// check.
pub fn self_check(cages: &mut Cages) -> Vec<Check> {
    if !has_shell() {
        let detail = format!("{SHELL} is not there to try it with");
        return vec![Check::new("cages", false, detail)];
    }
    let mut checks = vec![check_tree(cages)];
    for kind in cages.facts().tree_limits.clone() {
        checks.push(check_limit(cages, kind));
    }
    checks
}

/// A shell with a child and an orphan.
fn check_tree(cages: &mut Cages) -> Check {
    let name = format!("tree killed by {}", cages.facts().mechanism.as_str());
    let script = "(sleep 600 &); sleep 600 & echo ready; wait";
    let run = match TrialRun::start(cages, &launch(script, Limits::NONE)) {
        Ok(run) => run,
        Err(problem) => return Check::new(name, false, problem.to_string()),
    };
    let ready = run.wait_output();
    let members = run.cage.members().len();
    let end = run.end(cages);
    let ok = ready && end.empty && end.exit == Some(Exit::Signaled(SIGKILL));
    let detail = if ok {
        format!(
            "{members} processes killed, and nothing is left; processor time is {}measured",
            if end.usage.is_some() { "" } else { "not " }
        )
    } else if end.empty {
        format!("the tree did not come to life: {}", shown(&end))
    } else {
        "something is left of the tree".to_owned()
    };
    Check::new(name, ok, detail)
}

/// A shell that wants more than it gets. What only slows it down is only set.
fn check_limit(cages: &mut Cages, kind: LimitKind) -> Check {
    let name = format!("limit on {kind}");
    let mut limits = Limits::NONE;
    let (script, hit) = match kind {
        LimitKind::Memory => {
            limits.memory = Some(16 << 20);
            ("x=aaaaaaaa; while :; do x=$x$x; done", true)
        }
        LimitKind::Processes => {
            limits.processes = Some(3);
            ("for i in 1 2 3 4 5 6; do sleep 600 & done; wait", true)
        }
        LimitKind::Cpu => {
            limits.cpu = Some(1000);
            ("exit 0", false)
        }
        LimitKind::ReadRate => {
            limits.read_rate = Some(1 << 20);
            ("exit 0", false)
        }
        LimitKind::WriteRate => {
            limits.write_rate = Some(1 << 20);
            ("exit 0", false)
        }
        _ => return Check::new(name, false, "no check is known for this limit"),
    };
    let mut run = match TrialRun::start(cages, &launch(script, limits)) {
        Ok(run) => run,
        Err(problem) => return Check::new(name, false, problem.to_string()),
    };
    let unenforced = run.cage.unenforced().contains(&kind);
    run.wait_exit();
    let end = run.end(cages);
    let ok = end.empty && !unenforced && end.limit_hit == hit.then_some(kind);
    let detail = match (unenforced, ok, hit) {
        (true, ..) => "no disk is known to set it on".to_owned(),
        (_, true, true) => "was hit, and told of".to_owned(),
        (_, true, false) => "was set".to_owned(),
        (_, false, _) => shown(&end),
    };
    Check::new(name, ok, detail)
}

fn shown(end: &TrialEnd) -> String {
    let exit = end
        .exit
        .map_or("it never began".to_owned(), |exit| exit.to_string());
    let hit = end
        .limit_hit
        .map_or("no limit".to_owned(), |kind| kind.to_string());
    format!("{exit}, {hit} was hit")
}

/// A script that belongs to no job.
fn launch(script: &str, limits: Limits) -> Launch {
    let job: JobId = NO_JOB.parse().expect("the nil UUID is a job id");
    let mut launch = Launch::new(
        AttemptId::new(job, AttemptNumber::FIRST),
        SHELL.into(),
        ["sh", "-c", script].map(str::to_owned).to_vec(),
        WorkDir::at(PathBuf::from("/")),
        PathBuf::from("/"),
    );
    launch.limits = limits;
    launch
}

const NO_JOB: &str = "00000000-0000-0000-0000-000000000000";

const SIGKILL: i32 = 9;
