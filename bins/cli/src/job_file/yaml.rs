//! Jobs from YAML.

use serde::de::DeserializeOwned;

use super::entry::Entry;
use super::parse::MAX_FILE_BYTES;
use super::problem::{Problem, without_place};
use super::shape::{Many, Shape};

/// How many nodes (keys and values) a file may have: what fits in the largest file, at some ten bytes each.
const MAX_NODES: usize = MAX_FILE_BYTES / 10;

/// How much aliases may repeat, in nodes: shared defaults in each of ten thousand jobs.
const MAX_REPLAYED: usize = 250_000;

/// One job, a list, or a map with `jobs`.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, Problem> {
    match read(text)? {
        Shape::One => Ok(vec![read(text)?]),
        Shape::List => read(text),
        Shape::Jobs => Ok(read::<Many>(text)?.jobs),
    }
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 2,
            max_total_scalar_bytes: MAX_FILE_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
        },
    };
    let mut track = serde_path_to_error::Track::new();
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |from| {
        T::deserialize(serde_path_to_error::Deserializer::new(from, &mut track))
    });
    read.map_err(|error| {
        let place = error.location().and_then(|location| {
            let line = usize::try_from(location.line()).ok()?;
            let column = usize::try_from(location.column()).ok()?;
            (line > 0).then_some((line, column))
        });
        let message = without_place(&error.without_snippet().to_string());
        Problem::new(place, &message).found_in(&track.path())
    })
}
