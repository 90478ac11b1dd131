//! Jobs from JSON.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::entry::Entry;
use super::problem::{Problem, place_of, without_place};
use super::shape::{Many, Shape};

/// One job, a list, an object with `jobs`, or one job a line.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Problem> {
    let mut first = serde_json::Deserializer::from_str(text).into_iter::<Shape>();
    match first.next() {
        None => Ok(Vec::new()),
        Some(Err(error)) => Err(problem(&error)),
        Some(Ok(Shape::List)) => read(text),
        Some(Ok(Shape::Jobs)) => Ok(read::<Many>(text)?.jobs),
        Some(Ok(Shape::One)) => lines(text),
    }
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut from = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut from)
        .map_err(|error| problem(error.inner()).found_in(error.path()))?;
    from.end().map_err(|error| problem(&error))?;
    Ok(value)
}

/// One job, or one a line.
fn lines(text: &str) -> Result<Vec<Entry>, Problem> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Entry>();
    let mut entries = Vec::new();
    loop {
        let end = stream.byte_offset();
        let rest = text.get(end..).unwrap_or_default();
        let job = rest.trim_start();
        match stream.next() {
            None => return Ok(entries),
            Some(Ok(entry)) => entries.push(entry),
            Some(Err(error)) => {
                let start = end + (rest.len() - job.len());
                let problem = line_problem(&error, job, place_of(text, start));
                // A file of one job need not say which.
                let many = !entries.is_empty() || more_follows(job);
                return Err(if many {
                    problem.in_job(name_of(job).as_deref(), entries.len() + 1)
                } else {
                    problem
                });
            }
        }
    }
}

/// What is wrong with the job at the beginning of `job`, which begins at `start`.
fn line_problem(error: &serde_json::Error, job: &str, start: (usize, usize)) -> Problem {
    let mut problem = problem(error);
    // What is wrong with a job as a whole is at its beginning.
    problem.place = problem.place.or(Some(start));
    // A stream does not tell the key: read once more, it is told.
    let mut from = serde_json::Deserializer::from_str(job);
    match serde_path_to_error::deserialize::<_, Entry>(&mut from) {
        Err(error) => problem.found_in(error.path()),
        Ok(_) => problem,
    }
}

/// Whether another job stands behind the one at the beginning.
fn more_follows(job: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(job).into_iter::<IgnoredAny>();
    values.next().is_some_and(|first| first.is_ok()) && values.next().is_some()
}

/// The name of the job at the beginning, if that much of it can be read.
fn name_of(job: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let mut jobs = serde_json::Deserializer::from_str(job).into_iter::<Named>();
    Some(jobs.next()?.ok()?.name)
}

fn problem(error: &serde_json::Error) -> Problem {
    let place = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
    Problem::new(place, &without_place(&error.to_string()))
}
