//! What a dead launcher left.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use jobyard_clock::SystemClock;
use jobyard_core::{
    AttemptId, Clock, Exit, KilledProcess, MAX_LISTED_PROCESSES, OutputProgress, Residue, mutated,
};
use jobyard_launcher::cage::{CageOptions, Cages};
use jobyard_launcher::journal::{self, Remembered, RememberedState};
use jobyard_launcher::protocol::End;

use super::cell::Stage;
use super::output;

/// An attempt of a dead launcher. Nothing of it runs any more.
#[derive(Debug)]
pub(super) struct Buried {
    pub(super) attempt: AttemptId,
    /// `Ended` or `Lost`.
    pub(super) stage: Stage,
    pub(super) output: OutputProgress,
    /// The launcher had not seen the end of the output. What was in the pipes is gone with it.
    pub(super) is_cut_short: bool,
}

/// Reads the journal of a dead launcher and ends what it left running. Blocks: at most for [`PATIENCE`] for each attempt
/// with a process that hangs in the kernel, else hardly at all.
pub(super) fn bury(dir: &Path) -> io::Result<Vec<Buried>> {
    if mutated("a dead launcher is not buried") {
        return Ok(Vec::new());
    }
    let forgotten = read_forgotten(dir);
    let remembered = journal::read(dir)?;
    let buried = remembered
        .into_iter()
        .filter(|remembered| !forgotten.contains(&remembered.attempt.to_string()))
        .map(|remembered| settle(&remembered))
        .collect();
    Cages::clear(&CageOptions::new(name(dir)));
    Ok(buried)
}

/// The name of the launcher of a directory, by which its control groups are named.
pub(super) fn name(dir: &Path) -> String {
    let name = dir.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Writes down that an attempt of a dead launcher need not be remembered. Blocks.
pub(super) fn forget(dir: &Path, attempt: AttemptId) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join(FORGOTTEN))?;
    // At once, since others may write as well; and not behind what a full disk has left of another line.
    file.write_all(format!("\n{attempt}\n").as_bytes())
}

fn read_forgotten(dir: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(dir.join(FORGOTTEN)).unwrap_or_default();
    // Half a line may look like another attempt of the same job.
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'))
        .map(str::to_owned)
        .collect()
}

fn settle(remembered: &Remembered) -> Buried {
    let attempt = remembered.attempt;
    let is_cut_short = !matches!(remembered.state, RememberedState::Ended { .. });
    let progress = || output::progress(&remembered.output);
    let (stage, output) = match remembered.state.clone() {
        RememberedState::Ended { pid, end } => {
            let output = end.output;
            let end = Box::new(end);
            (Stage::Ended { pid, end }, output)
        }
        RememberedState::Exited {
            pid,
            start_time,
            exit,
            at,
        } => {
            let residue = end_left_over(remembered, Some((pid, start_time)));
            let mut end = End::new(exit, at, progress());
            end.residue = residue;
            let output = end.output;
            let end = Box::new(end);
            (Stage::Ended { pid, end }, output)
        }
        RememberedState::Running { pid, start_time } => {
            let residue = end_left_over(remembered, Some((pid, start_time)));
            if remembered.expired {
                // It was being killed, and the launcher with it.
                let at = SystemClock::new().now().wall;
                let mut end = End::new(Exit::Signaled(9), at, progress());
                end.residue = residue;
                end.expired = true;
                let output = end.output;
                let end = Box::new(end);
                (Stage::Ended { pid, end }, output)
            } else {
                (lost(Some(pid), residue), progress())
            }
        }
        // Starting, and what a later version may know.
        _ => {
            let residue = end_left_over(remembered, None);
            (lost(None, residue), progress())
        }
    };
    Buried {
        attempt,
        stage,
        output,
        is_cut_short,
    }
}

fn lost(pid: Option<u32>, residue: Residue) -> Stage {
    Stage::Lost {
        pid,
        problem: "its launcher died".to_owned(),
        residue: Box::new(residue),
    }
}

fn end_left_over(remembered: &Remembered, main: Option<(u32, u64)>) -> Residue {
    let left = remembered
        .cage
        .end_left_over(remembered.attempt, main, PATIENCE);
    let mut residue = Residue::default();
    residue.killed = u32::try_from(left.killed.len()).unwrap_or(u32::MAX);
    let mut processes: Vec<KilledProcess> = left.killed;
    processes.truncate(MAX_LISTED_PROCESSES);
    residue.processes = processes;
    residue.unconfirmed = !left.empty;
    residue
}

/// How long the processes of an attempt may take to die.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of the file in a dead launcher's directory that says what need not be remembered: one attempt a line.
const FORGOTTEN: &str = "forgotten";

#[cfg(test)]
mod tests {
    use jobyard_core::{AttemptNumber, JobId};

    use super::*;

    #[test]
    fn half_a_line_forgets_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let attempt = AttemptId::new(job, AttemptNumber::FIRST);
        fs::write(dir.path().join(FORGOTTEN), attempt.to_string()).expect("written");
        assert!(!read_forgotten(dir.path()).contains(&attempt.to_string()));
        forget(dir.path(), attempt).expect("written");
        assert!(read_forgotten(dir.path()).contains(&attempt.to_string()));
    }
}
