//! What is tried.

use std::time::Duration;

use anyhow::{Context, ensure};
use jobyard_core::{Exit, LimitKind, Limits, Outcome};
use jobyard_executor::launcher::ProcessStat;
use serde::Serialize;

use super::lab::{Lab, Ran};

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) result: CheckResult,
    /// In words, where there is something to say.
    pub(super) detail: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckResult {
    Ok,
    /// This machine has nothing that could be tried.
    Skipped,
    Failed,
}

/// Tries everything, one after the other.
pub(super) async fn all(lab: &mut Lab) -> Vec<Check> {
    let limits = lab.facts().map(|facts| facts.tree_limits.clone());
    let launched = limits.is_some();
    let holds = |kind| limits.as_ref().is_some_and(|limits| limits.contains(&kind));
    let unlaunched = "without a launcher there is nothing to try";
    let unlimited = "nothing here enforces it for all processes together";
    vec![
        checked("run a program", Ok(start(lab).await)),
        checked(
            "end a tree that has run away",
            only_if(launched, unlaunched, tree(lab)).await,
        ),
        checked("stop what does not listen", Ok(stop(lab).await)),
        checked(
            "limit memory",
            only_if(holds(LimitKind::Memory), unlimited, memory(lab)).await,
        ),
        checked(
            "limit processes",
            only_if(holds(LimitKind::Processes), unlimited, processes(lab)).await,
        ),
        checked(
            "find a job again",
            only_if(launched, unlaunched, survival(lab)).await,
        ),
    ]
}

/// Why something was not tried.
struct Skipped(&'static str);

async fn only_if(
    possible: bool,
    otherwise: &'static str,
    check: impl Future<Output = anyhow::Result<String>>,
) -> Result<anyhow::Result<String>, Skipped> {
    if possible {
        Ok(check.await)
    } else {
        Err(Skipped(otherwise))
    }
}

fn checked(name: &'static str, tried: Result<anyhow::Result<String>, Skipped>) -> Check {
    let (result, detail) = match tried {
        Ok(Ok(detail)) => (CheckResult::Ok, detail),
        Ok(Err(error)) => (CheckResult::Failed, format!("{error:#}")),
        Err(Skipped(reason)) => (CheckResult::Skipped, reason.to_owned()),
    };
    Check {
        name,
        result,
        detail,
    }
}

async fn start(lab: &Lab) -> anyhow::Result<String> {
    let ran = lab.run("echo ready", Limits::NONE).await?;
    expect(&ran, |outcome| *outcome == Outcome::Succeeded)?;
    let printed = String::from_utf8_lossy(&ran.output);
    ensure!(printed == "ready\n", "it printed {printed:?}");
    Ok(String::new())
}

/// Children in sessions of their own, whose parents have gone, and that listen to no signal but one.
const TREE: &str = "trap '' HUP INT TERM
    (sleep 60 & sleep 60 &)
    if command -v setsid >/dev/null; then (setsid sleep 60 &); fi
    exit 0";

async fn tree(lab: &Lab) -> anyhow::Result<String> {
    let ran = lab.run(TREE, Limits::NONE).await?;
    expect(&ran, |outcome| *outcome == Outcome::Succeeded)?;
    let residue = &ran.ending.residue;
    ensure!(
        !residue.unconfirmed,
        "it is not known whether all of its processes ended"
    );
    ensure!(
        residue.killed >= 2,
        "only {} of its processes were found",
        residue.killed
    );
    for process in &residue.processes {
        ensure!(!runs(process.pid), "process {} is still there", process.pid);
    }
    Ok(format!("{} processes were killed", residue.killed))
}

/// Whether a process runs. One that is dead and that nobody has waited for yet does not.
fn runs(pid: u32) -> bool {
    // What cannot be looked at may run.
    ProcessStat::of(pid).map_or(true, |now| now.is_some_and(|now| !now.is_dead))
}

async fn stop(lab: &Lab) -> anyhow::Result<String> {
    let script = "trap '' TERM; echo ready; sleep 60; sleep 60";
    let ran = lab.stop(script, Duration::from_millis(100)).await?;
    let exit = Some(Exit::Signaled(9));
    expect(&ran, |outcome| *outcome == Outcome::Cancelled { exit })?;
    Ok(String::new())
}

/// Leaves a job, as a worker does that ends, and finds it again, as its next life does.
async fn survival(lab: &mut Lab) -> anyhow::Result<String> {
    let running = lab.start("echo one; sleep 1; echo two; exit 7", Limits::NONE)?;
    running.printed().await?;
    let attempt = running.attempt;
    running.handle.detach().await;
    lab.reopen().await?;
    let ran = lab.adopt(attempt)?.end().await?;
    let exit = Exit::Exited(7);
    expect(&ran, |outcome| *outcome == Outcome::Failed { exit })?;
    let printed = String::from_utf8_lossy(&ran.output);
    ensure!(printed == "one\ntwo\n", "it printed {printed:?}");
    Ok(String::new())
}

async fn memory(lab: &Lab) -> anyhow::Result<String> {
    let mut limits = Limits::NONE;
    limits.memory = Some(64 << 20);
    // It keeps what it reads until there is a line, and there is none.
    let ran = lab
        .run("head -c 400000000 /dev/zero | tail -n 1", limits)
        .await?;
    expect(&ran, |outcome| {
        matches!(outcome, Outcome::OutOfMemory { .. })
    })?;
    Ok("64 MiB were exceeded, and the job was killed".to_owned())
}

async fn processes(lab: &Lab) -> anyhow::Result<String> {
    let mut limits = Limits::NONE;
    limits.processes = Some(5);
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; exit 1";
    let ran = lab.run(script, limits).await?;
    expect(&ran, |outcome| {
        matches!(outcome, Outcome::ProcessLimit { .. })
    })?;
    Ok("a sixth process was refused".to_owned())
}

fn expect(ran: &Ran, wanted: impl FnOnce(&Outcome) -> bool) -> anyhow::Result<()> {
    let ending = &ran.ending;
    let problem = || match &ending.problem {
        Some(problem) => format!("it ended as {}: {problem}", ending.outcome),
        None => format!("it ended as {}", ending.outcome),
    };
    wanted(&ending.outcome).then_some(()).with_context(problem)
}
