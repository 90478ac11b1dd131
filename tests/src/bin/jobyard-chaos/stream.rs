//! Jobs, one after another.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread::JoinHandle;

use jobyard_tests::{Cluster, Ran, Runs};
use serde_json::json;
use uuid::Uuid;

use crate::world::in_background;

/// How many jobs are submitted at once: about what the workers get done meanwhile, so that a long run does not end with
/// minutes of jobs to which nothing happens any more.
const PORTION: usize = 4;

/// What kind of job it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// Never twice.
    NotRepeatable,
    /// Never two at once.
    Stops,
}

pub(crate) struct Stream {
    random: fastrand::Rng,
    submitting: Option<Portion>,
    pub(crate) jobs: BTreeMap<String, Kind>,
    /// Their ids, as they were submitted.
    known: Vec<String>,
    pub(crate) failed: Vec<String>,
    portions: usize,
}

struct Portion {
    jobs: Vec<(String, Kind)>,
    cli: JoinHandle<Ran>,
}

impl Stream {
    pub(crate) fn new(random: fastrand::Rng) -> Self {
        Self {
            random,
            submitting: None,
            jobs: BTreeMap::new(),
            known: Vec::new(),
            failed: Vec::new(),
            portions: 0,
        }
    }

    /// The jobs that a client knows to be accepted.
    pub(crate) fn known(&self) -> &[String] {
        &self.known
    }

    /// Submits the next jobs unless the last ones are still on their way.
    pub(crate) fn flow(&mut self, cluster: &Cluster) {
        match &self.submitting {
            Some(portion) if !portion.cli.is_finished() => {}
            _ => {
                self.collect();
                self.submit(cluster);
            }
        }
    }

    /// Waits until all jobs are over.
    pub(crate) fn end(&mut self, cluster: &Cluster) {
        self.collect();
        for portion in self.known.chunks(50) {
            let mut arguments = vec!["wait"];
            arguments.extend(portion.iter().map(String::as_str));
            // It exits as the first job that failed.
            let _ = cluster.cli(&arguments);
        }
    }

    fn submit(&mut self, cluster: &Cluster) {
        let jobs: Vec<(String, Kind)> = (0..PORTION)
            .map(|_| {
                let kind = match self.random.u32(..4) {
                    0 => Kind::NotRepeatable,
                    1 => Kind::Stops,
                    _ => Kind::Plain,
                };
                (Uuid::now_v7().to_string(), kind)
            })
            .collect();
        let specs: Vec<_> = jobs
            .iter()
            .map(|(id, kind)| {
                let lines = self.random.u32(..30);
                let code = if self.random.u32(..10) == 0 { 3 } else { 0 };
                json!({
                    "id": id,
                    "script": script(cluster, *kind, lines, code),
                    "repeatable": *kind != Kind::NotRepeatable,
                    "on_disconnect": if *kind == Kind::Stops { "stop" } else { "finish" },
                    "infra_retries": 100,
                    "grace": "1s",
                })
            })
            .collect();
        self.portions += 1;
        let file = cluster.path(&format!("portion-{}.json", self.portions));
        let text = serde_json::to_vec(&specs).expect("values can be written");
        fs::write(&file, text).expect("the file is written");
        let file = file.to_str().expect("a UTF-8 path");
        let cli = in_background(cluster.command(&["submit", "-f", file]));
        self.submitting = Some(Portion { jobs, cli });
    }

    /// Looks what became of the last submit.
    fn collect(&mut self) {
        let Some(Portion { jobs, cli }) = self.submitting.take() else {
            return;
        };
        let ran = cli.join().expect("a submit ends");
        if ran.code == Some(0) {
            self.known.extend(jobs.iter().map(|(id, _)| id.clone()));
            self.jobs.extend(jobs);
        } else {
            self.failed.push(ran.stderr);
        }
    }
}

/// Where the jobs write.
pub(crate) fn runs(cluster: &Cluster) -> Runs {
    Runs::new(cluster.path("runs"))
}

/// Where a job writes that finds another attempt of its own.
pub(crate) fn overlaps(cluster: &Cluster) -> PathBuf {
    cluster.path("overlaps")
}

fn script(cluster: &Cluster, kind: Kind, lines: u32, code: u32) -> String {
    // The lock is held by all of its processes, and ends with the last of them.
    let alone = match kind {
        Kind::Stops => format!(
            "exec 9> {lock}-$JOBYARD_JOB_ID; flock -n 9 || echo $JOBYARD_JOB_ID $JOBYARD_ATTEMPT >> {overlaps}; ",
            lock = cluster.path("lock").display(),
            overlaps = overlaps(cluster).display(),
        ),
        _ => String::new(),
    };
    // Each line goes out before its copy is written.
    format!(
        "{alone}{note}; exec 8> {copy}; i=0; while [ $i -lt {lines} ]; do i=$((i+1)); \
         line=\"$JOBYARD_JOB_ID $JOBYARD_ATTEMPT $i\"; echo \"$line\" && echo \"$line\" >&8; sleep 0.1; done; exit {code}",
        note = runs(cluster).note(),
        copy = copy_of(cluster, "$JOBYARD_JOB_ID", "$JOBYARD_ATTEMPT").display(),
    )
}

/// Where an attempt writes what it prints.
pub(crate) fn copy_of(cluster: &Cluster, job: &str, attempt: &str) -> PathBuf {
    cluster.path(&format!("copy-{job}-{attempt}"))
}
