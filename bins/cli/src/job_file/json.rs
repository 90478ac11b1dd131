//! Jobs from JSON.

use serde::de::DeserializeOwned;

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
                return Err(line_problem(&error, job, place_of(text, start)));
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

fn problem(error: &serde_json::Error) -> Problem {
    let place = (error.line() > 0).then(|| (error.line(), error.column().max(1)));
    Problem::new(place, &without_place(&error.to_string()))
}
