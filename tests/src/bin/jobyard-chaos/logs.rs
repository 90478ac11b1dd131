//! What is stored of each attempt, beside what it wrote down itself.

use std::fmt;
use std::fs;

use serde_json::Value;

use crate::stream;
use crate::world::World;

/// What came of comparing them.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    complete: usize,
    /// Of attempts whose worker was not there for the rest, or lost it.
    cut: usize,
    bytes: usize,
}

impl Logs {
    /// A log is always a prefix of what the attempt printed. Nothing here harms a disk, so it is all of it where the log
    /// is called complete, however the attempt ended, unless a launcher of its worker was killed: that takes along what
    /// its pipes held, of an attempt that did not come to its own end. The rest of a worker that is away for long is
    /// given up.
    pub(crate) fn compare<'a>(
        world: &World,
        jobs: impl Iterator<Item = &'a Value>,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut logs = Self::default();
        for job in jobs {
            let id = job["job_id"].as_str().unwrap_or_default();
            for attempt in job["attempts"].as_array().into_iter().flatten() {
                if let Err(problem) = logs.compare_one(world, id, attempt) {
                    problems.push(format!("{problem}: {attempt}"));
                }
            }
        }
        logs
    }

    fn compare_one(&mut self, world: &World, job: &str, attempt: &Value) -> Result<(), String> {
        let number = attempt["number"].to_string();
        let path = stream::copy_of(&world.cluster, job, &number);
        let printed = fs::read(path).unwrap_or_default();
        let arguments = ["logs", "--attempt", &number, job];
        let stored = world.cluster.cli(&arguments).ok().stdout;
        let (have, had) = (stored.len(), printed.len());
        self.bytes += have;
        // A process that is killed between a line and its copy has printed one line more than it wrote down.
        let extra = stored.strip_prefix(printed.as_slice()).unwrap_or_default();
        let is_one_line = extra.split(|byte| *byte == b'\n').count() <= 2;
        if !printed.starts_with(&stored) && (extra.is_empty() || !is_one_line) {
            return Err(format!(
                "the log of {job} has other bytes ({have}) than it printed ({had})"
            ));
        }
        let is_complete = attempt["log"] == "complete";
        let counter = if is_complete {
            &mut self.complete
        } else {
            &mut self.cut
        };
        *counter += 1;
        let kind = &attempt["outcome"]["kind"];
        let ended_by_itself = kind == "succeeded" || kind == "failed";
        let worker = attempt["worker_name"].as_str().unwrap_or_default();
        let was_read_to_the_end = ended_by_itself || !world.has_lost_a_launcher(worker);
        if have < had && is_complete && was_read_to_the_end {
            return Err(format!("the log of {job} has {have} of {had} bytes"));
        }
        Ok(())
    }
}

impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            complete,
            cut,
            bytes,
        } = self;
        write!(f, "{complete} complete, {cut} cut, {bytes} bytes compared")
    }
}
