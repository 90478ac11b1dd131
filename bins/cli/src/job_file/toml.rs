//! Jobs from TOML.

use serde::de::DeserializeOwned;

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
    serde_path_to_error::deserialize(from)
        .map_err(|error| problem(error.inner()).found_in(error.path()))
}
