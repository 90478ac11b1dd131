//! What a job asks of the worker that runs it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::tag::{self, InvalidTag, MAX_TAG_BYTES, TagSet};

/// How many requirements one job may have.
pub const MAX_REQUIREMENTS: usize = 64;

/// One term; the terms of a job are joined by AND.
///
/// | text | holds when the worker |
/// |---|---|
/// | `linux` | offers the key, with any value or none |
/// | `os=linux` | offers the key with this value, maybe among others |
/// | <code>os=linux&#124;darwin</code> | offers the key with at least one of these values |
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement {
    key: String,
    test: Test,
}

/// How the worker's values of the key are tested.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Test {
    /// The key is offered.
    Present,
    /// At least one of these values is offered. Sorted, without repeats, never empty.
    AnyOf(Vec<String>),
}

impl Requirement {
    /// The key that is looked up.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is asked of its values.
    pub fn test(&self) -> &Test {
        &self.test
    }

    /// Whether a worker with these tags is good enough.
    pub fn is_met_by(&self, tags: &TagSet) -> bool {
        match &self.test {
            Test::Present => tags.has_key(&self.key),
            Test::AnyOf(wanted) => tags
                .values(&self.key)
                .any(|offered| wanted.iter().any(|value| value == offered)),
        }
    }
}

impl FromStr for Requirement {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, InvalidRequirement> {
        if text.len() > MAX_TAG_BYTES {
            return Err(InvalidTag::TooLong { bytes: text.len() }.into());
        }
        if let Some(at) = text.find(['!', '<', '>']) {
            return Err(InvalidRequirement::UnknownOperator { position: at + 1 });
        }
        let Some((key, values)) = text.split_once('=') else {
            tag::check_key(text)?;
            return Ok(Self {
                key: text.to_ascii_lowercase(),
                test: Test::Present,
            });
        };
        tag::check_key(key)?;
        let mut wanted = Vec::new();
        let mut before = key.len() + 1;
        for value in values.split('|') {
            tag::check_value(value, before)?;
            before += value.len() + 1;
            wanted.push(value.to_ascii_lowercase());
        }
        wanted.sort_unstable();
        wanted.dedup();
        Ok(Self {
            key: key.to_ascii_lowercase(),
            test: Test::AnyOf(wanted),
        })
    }
}

impl TryFrom<String> for Requirement {
    type Error = InvalidRequirement;

    fn try_from(text: String) -> Result<Self, InvalidRequirement> {
        text.parse()
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> Self {
        requirement.to_string()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::Present => f.write_str(&self.key),
            Test::AnyOf(values) => write!(f, "{}={}", self.key, values.join("|")),
        }
    }
}

/// Why a text is no requirement. The author of the text has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRequirement {
    /// Key or value would not do in a tag either.
    #[error(transparent)]
    Tag(#[from] InvalidTag),
    /// Negation and comparison, which this version does not have.
    #[error(
        "the operator at position {position} is not supported: write `key`, `key=value` or `key=a|b`"
    )]
    UnknownOperator {
        /// Its place in bytes, from 1.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> TagSet {
        let tags: Vec<_> = texts
            .iter()
            .map(|text| text.parse().expect("a tag"))
            .collect();
        TagSet::try_from(tags).expect("few tags")
    }

    fn met(requirement: &str, offered: &[&str]) -> bool {
        requirement
            .parse::<Requirement>()
            .expect("a requirement")
            .is_met_by(&tags(offered))
    }

    #[test]
    fn presence_holds_with_and_without_value() {
        assert!(met("linux", &["linux"]));
        assert!(met("gpu", &["gpu=a100"]));
        assert!(!met("gpu", &["linux"]));
    }

    #[test]
    fn value_is_compared_without_case() {
        assert!(met("OS=Linux", &["os=LINUX"]));
        assert!(!met("os=linux", &["os=darwin"]));
        assert!(!met("os=linux", &["os"]));
    }

    #[test]
    fn one_of_several_alternatives_or_of_several_values_is_enough() {
        assert!(met("os=linux|darwin", &["os=darwin"]));
        assert!(met("has=git", &["has=cargo", "has=git"]));
        assert!(!met("os=linux|darwin", &["os=windows"]));
    }

    #[test]
    fn a_later_operator_is_refused_by_name() {
        for text in ["!gpu", "os!=windows", "cores>=8"] {
            assert!(
                matches!(
                    text.parse::<Requirement>(),
                    Err(InvalidRequirement::UnknownOperator { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn refuse_an_empty_alternative() {
        assert_eq!(
            "os=linux|".parse::<Requirement>(),
            Err(InvalidRequirement::Tag(InvalidTag::EmptyValue))
        );
    }

    #[test]
    fn text_reads_back() {
        let requirement: Requirement = "OS=linux|Darwin|linux".parse().expect("a requirement");
        assert_eq!(requirement.to_string(), "os=darwin|linux");
        assert_eq!(requirement.to_string().parse(), Ok(requirement));
    }
}
