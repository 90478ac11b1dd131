//! From text to jobs, with the place of whatever is wrong.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use jobyard_core::{JobId, NewJob};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::entry::{Draft, Entry};
use super::format::Format;
use super::problem::Problem;
use super::{json, toml, yaml};

/// The largest job file: a hundred thousand jobs of a few kilobytes each.
pub(crate) const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;

/// A job of a file, with its id.
#[derive(Clone, Debug)]
pub(crate) struct FileJob {
    /// What is sent.
    pub(crate) job: NewJob,
    /// What was written, with the id that it has now.
    pub(crate) draft: Draft,
}

impl FileJob {
    /// Fixes the id.
    pub(crate) fn new(entry: Entry) -> Self {
        let Entry { mut draft, spec } = entry;
        let id = *draft
            .id
            .get_or_insert_with(|| JobId::from_uuid(Uuid::now_v7()));
        Self {
            job: NewJob::new(id, spec),
            draft,
        }
    }
}

/// Reads a whole file. `path` is `None` for standard input; `format` is what the caller forces.
pub(crate) fn parse(
    path: Option<&Path>,
    format: Option<Format>,
    text: &str,
) -> Result<Vec<FileJob>, JobFileError> {
    let entries = match format.unwrap_or_else(|| Format::of(path, text)) {
        Format::Toml => toml::entries(text),
        Format::Yaml => yaml::entries(text),
        Format::Json => json::entries(text),
    };
    let named = |problem: Problem| JobFileError {
        file: path.map_or_else(
            || "standard input".to_owned(),
            |path| path.display().to_string(),
        ),
        problem,
    };
    let jobs: Vec<_> = entries
        .map_err(named)?
        .into_iter()
        .map(FileJob::new)
        .collect();
    check_jobs(&jobs).map_err(named)?;
    Ok(jobs)
}

/// Reads a file that is one document, and no job file, in the same forms.
pub(crate) fn parse_document<T: DeserializeOwned>(
    path: &Path,
    text: &str,
) -> Result<T, JobFileError> {
    let document = match Format::of(Some(path), text) {
        Format::Toml => toml::read(text),
        Format::Yaml => yaml::read(text),
        Format::Json => json::read(text),
    };
    document.map_err(|problem| JobFileError {
        file: path.display().to_string(),
        problem,
    })
}

/// Why a job file is refused: which file, where, and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobFileError {
    file: String,
    problem: Problem,
}

impl fmt::Display for JobFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.problem.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.problem.text)
    }
}

fn check_jobs(jobs: &[FileJob]) -> Result<(), Problem> {
    if jobs.is_empty() {
        return Err(Problem::new(None, "there is no job in it"));
    }
    let mut seen = HashSet::with_capacity(jobs.len());
    match jobs.iter().find(|job| !seen.insert(job.job.id)) {
        Some(twice) => Err(Problem::new(
            None,
            &format!("id: two jobs have the id {}", twice.job.id),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod refusals;
#[cfg(test)]
mod tests;
