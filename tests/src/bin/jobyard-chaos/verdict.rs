//! What came out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::logs::Logs;
use crate::stream::{self, Kind, Stream};
use crate::world::World;

pub(crate) struct Verdict {
    pub(crate) summary: String,
    pub(crate) problems: Vec<String>,
}

/// Every job has one outcome, no attempt began twice, nothing that must not be repeated was, and nothing is left.
pub(crate) fn of(world: &World, stream: &Stream) -> Verdict {
    let mut problems: Vec<String> = stream
        .failed
        .iter()
        .map(|why| format!("a submit failed: {why}"))
        .collect();
    let runs = stream::runs(&world.cluster).all();
    for (job, attempts) in &runs {
        let unique: BTreeSet<u32> = attempts.iter().copied().collect();
        if unique.len() != attempts.len() {
            problems.push(format!("{job} began an attempt twice: {attempts:?}"));
        }
        if stream.jobs.get(job) == Some(&Kind::NotRepeatable) && attempts.len() > 1 {
            problems.push(format!(
                "{job} must not be repeated, and began as {attempts:?}"
            ));
        }
        if !stream.jobs.contains_key(job) {
            problems.push(format!("{job} ran, and nobody has submitted it"));
        }
    }
    let overlaps = fs::read_to_string(stream::overlaps(&world.cluster)).unwrap_or_default();
    problems.extend(
        overlaps
            .lines()
            .map(|line| format!("ran beside an earlier attempt of its own: {line}")),
    );

    let shown = listed(world);
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    let mut attempts = 0;
    for job in stream.jobs.keys() {
        let began = runs.get(job).map_or(&[][..], Vec::as_slice);
        match shown.get(job) {
            None => problems.push(format!("{job} was accepted, and is not known")),
            Some(shown) => {
                attempts += shown["attempts"].as_array().map_or(0, Vec::len);
                problems.extend(job_problems(shown, began));
                let kind = shown["outcome"]["kind"].as_str().unwrap_or("none");
                *outcomes.entry(kind.to_owned()).or_default() += 1;
            }
        }
    }
    problems.extend(left_over(stream));
    let logs = Logs::compare(world, shown.values(), &mut problems);
    let outcomes: Vec<String> = outcomes
        .iter()
        .map(|(kind, number)| format!("{number} {kind}"))
        .collect();
    let began: usize = runs.values().map(Vec::len).sum();
    Verdict {
        summary: format!(
            "{} jobs: {}; {attempts} attempts, {began} of them began; logs: {logs}",
            stream.jobs.len(),
            outcomes.join(", ")
        ),
        problems,
    }
}

/// What is wrong with one job, of which these attempts have begun.
fn job_problems(shown: &Value, began: &[u32]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, what: &str| {
        if !holds {
            problems.push(format!("{what}: began {began:?}: {shown}"));
        }
    };
    require(shown["state"] == "finished", "not finished");
    let kind = &shown["outcome"]["kind"];
    require(kind.is_string(), "no outcome");
    let attempts = shown["attempts"].as_array().cloned().unwrap_or_default();
    let numbers: Vec<u64> = attempts
        .iter()
        .filter_map(|attempt| attempt["number"].as_u64())
        .collect();
    require(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "attempts out of order",
    );
    require(
        began
            .iter()
            .all(|number| numbers.contains(&u64::from(*number))),
        "an attempt began that nobody knows",
    );
    let ended_by_itself = attempts
        .iter()
        .filter(|attempt| {
            let kind = &attempt["outcome"]["kind"];
            kind == "succeeded" || kind == "failed"
        })
        .count();
    require(ended_by_itself <= 1, "ended twice");
    if kind == "succeeded" || kind == "failed" {
        require(ended_by_itself == 1, "no attempt has its outcome");
        require(!began.is_empty(), "ended without having begun");
    }
    problems
}

/// All jobs, page by page.
fn listed(world: &World) -> BTreeMap<String, Value> {
    let mut jobs = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let mut arguments = vec!["jobs", "--json", "--limit", "1000"];
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = world.cluster.cli(&arguments).ok().json();
        let page = page.as_array().cloned().unwrap_or_default();
        let Some(last) = page.last() else {
            return jobs;
        };
        after = Some(last["sequence"].to_string());
        for job in page {
            let id = job["job_id"].as_str().unwrap_or_default().to_owned();
            jobs.insert(id, job);
        }
    }
}

/// Processes of jobs that are still there, although all jobs are over: with whatever parent, since launchers were killed.
fn left_over(stream: &Stream) -> Vec<String> {
    let jobs = jobyard_tests::with_environment("JOBYARD_JOB_ID=").into_iter();
    let left = jobs.filter_map(|process| {
        // Others may run jobs of their own on this machine; and it may have ended just now.
        let environment = fs::read(process.file("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment);
        let job = stream.jobs.keys().find(|job| environment.contains(*job))?;
        let line = fs::read(process.file("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        Some(format!("{job} has left process {}: {line}", process.pid()))
    });
    left.collect()
}
