//! Jobs from TOML.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use toml::de::{DeTable, DeValue};

use super::entry::Entry;
use super::problem::{Problem, place_of};
use super::shape::{Many, Shape};

/// One job, or an array of tables `jobs`.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Problem> {
    match read(text)? {
        Shape::Jobs => Ok(read::<Many>(text)?.jobs),
        _ => Ok(vec![read(text)?]),
    }
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let problem = |error: &toml::de::Error| {
        let place = error.span().map(|span| place_of(text, span.start));
        Problem::new(place, error.message())
    };
    let from = toml::Deserializer::parse(text).map_err(|error| problem(&error))?;
    serde_path_to_error::deserialize(from).map_err(|error| {
        let mut problem = problem(error.inner());
        if let Some(offset) = offset_of(text, error.path(), error.inner().message()) {
            problem.place = Some(place_of(text, offset));
        }
        problem.found_in(error.path())
    })
}

/// Where the key stands with which the refusal of a whole table begins, or else the table: the library knows neither.
/// `None` if something else was refused.
fn offset_of(text: &str, path: &Path, refusal: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut segments = path.iter();
    let (mut span, mut table) = (document.span(), document.get_ref());
    while let Some(segment) = segments.next() {
        let Segment::Map { key } = segment else {
            return None;
        };
        let mut value = table.get(key.as_str())?;
        if let DeValue::Array(list) = value.get_ref() {
            let Some(Segment::Seq { index }) = segments.next() else {
                return None;
            };
            value = list.get(*index)?;
        }
        (span, table) = (value.span(), value.get_ref().as_table()?);
    }
    if refusal.starts_with("unknown field ") {
        return None;
    }
    let key = table.get_key_value(key_of(refusal));
    Some(key.map_or(span, |(key, _)| key.span()).start)
}

/// `limit` of `limit: ...`, `limit (s): ...` and `job "a": limit: ...`.
fn key_of(refusal: &str) -> &str {
    let named = refusal.split_once(' ').map_or("", |(_, rest)| rest);
    let refusal = match named
        .strip_prefix('"')
        .and_then(|rest| rest.split_once("\": "))
    {
        Some((_, refusal)) => refusal,
        None => refusal,
    };
    let end = refusal.find([':', ' ', '.']).unwrap_or(refusal.len());
    &refusal[..end]
}
