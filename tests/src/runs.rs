//! What jobs have done, as they say themselves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A file into which each attempt writes a line when it begins.
#[derive(Clone, Debug)]
pub struct Runs {
    path: PathBuf,
}

impl Runs {
    /// At this path. The file appears with the first line.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The part of a script that writes the line. It is written whole or not at all.
    pub fn note(&self) -> String {
        format!(
            "echo $JOBYARD_JOB_ID $JOBYARD_ATTEMPT >> {}",
            self.path.display()
        )
    }

    /// Which attempts have begun, by job, in the order in which they did.
    ///
    /// # Panics
    ///
    /// When a line is none of ours.
    pub fn all(&self) -> BTreeMap<String, Vec<u32>> {
        let mut runs: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for line in fs::read_to_string(&self.path).unwrap_or_default().lines() {
            let (job, attempt) = line.split_once(' ').expect("a job and an attempt");
            let attempt = attempt.parse().expect("attempts have numbers");
            runs.entry(job.to_owned()).or_default().push(attempt);
        }
        runs
    }

    /// Which attempts of this job have begun.
    pub fn of(&self, job: &str) -> Vec<u32> {
        self.all().remove(job).unwrap_or_default()
    }

    /// That each of these jobs ran, and that none ran twice.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn assert_each_once(&self, jobs: &[String]) {
        let runs = self.all();
        for job in jobs {
            let attempts = runs.get(job).map_or(&[][..], Vec::as_slice);
            assert_eq!(attempts.len(), 1, "{job} ran as attempts {attempts:?}");
        }
    }

    /// That no attempt of any job began twice, and that later ones have higher numbers.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn assert_no_attempt_twice(&self) {
        for (job, attempts) in self.all() {
            let ordered = attempts.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(ordered, "{job} began as attempts {attempts:?}");
        }
    }
}
