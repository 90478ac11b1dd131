//! What stands at the top of a job file.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::entry::Entry;

/// One job, a list, or `{jobs: [...]}`. Looked at first, so that the real reading knows what it expects and its
/// refusals keep their place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A map without `jobs`.
    One,
    /// A list.
    List,
    /// A map with `jobs`.
    Jobs,
}

/// Several jobs under one key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Many {
    pub(super) jobs: Vec<Entry>,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a job, a list of jobs, or a map with `jobs`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::One;
        while let Some((key, _)) = map.next_entry::<String, IgnoredAny>()? {
            if key == "jobs" {
                shape = Shape::Jobs;
            }
        }
        Ok(shape)
    }
}
