//! Tags that workers offer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest tag in bytes, key, `=` and value together.
pub const MAX_TAG_BYTES: usize = 256;

/// How many tags one worker may offer: enough for every tool on a machine, small enough to send with each hello.
pub const MAX_TAGS: usize = 1024;

/// `key` or `key=value`. Lower-cased ASCII: keys are letters, digits and `. _ - /`; values may be any printable
/// ASCII but `|`, `,` and white space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag {
    key: String,
    value: Option<String>,
}

impl Tag {
    /// A tag with a value, lower-cased.
    pub fn with_value(key: &str, value: &str) -> Result<Self, InvalidTag> {
        format!("{key}={value}").parse()
    }

    /// The part before `=`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The part after the first `=`, if there is one.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl FromStr for Tag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        if text.len() > MAX_TAG_BYTES {
            return Err(InvalidTag::TooLong { bytes: text.len() });
        }
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        check_key(key)?;
        if let Some(value) = value {
            check_value(value, key.len() + 1)?;
        }
        Ok(Self {
            key: key.to_ascii_lowercase(),
            value: value.map(str::to_ascii_lowercase),
        })
    }
}

impl TryFrom<String> for Tag {
    type Error = InvalidTag;

    fn try_from(text: String) -> Result<Self, InvalidTag> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.to_string()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

/// What one worker offers. A key may come with several values, and also without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Tag>", into = "Vec<Tag>")]
pub struct TagSet {
    values: BTreeMap<String, BTreeSet<Option<String>>>,
}

impl TagSet {
    /// No tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one tag; a tag that is there already stays once.
    pub fn insert(&mut self, tag: Tag) -> Result<(), InvalidTag> {
        if self.len() >= MAX_TAGS && !self.contains(&tag) {
            return Err(InvalidTag::TooMany);
        }
        self.values.entry(tag.key).or_default().insert(tag.value);
        Ok(())
    }

    /// Whether exactly this tag is offered.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.values
            .get(&tag.key)
            .is_some_and(|values| values.contains(&tag.value))
    }

    /// Whether the key is offered, with any value or none.
    pub fn has_key(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// The values that come with a key.
    pub fn values<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.values
            .get(key)
            .into_iter()
            .flatten()
            .filter_map(Option::as_deref)
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.values.values().map(BTreeSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Every tag, ordered by key, then value.
    pub fn iter(&self) -> impl Iterator<Item = Tag> + '_ {
        self.values.iter().flat_map(|(key, values)| {
            values.iter().map(|value| Tag {
                key: key.clone(),
                value: value.clone(),
            })
        })
    }
}

impl TryFrom<Vec<Tag>> for TagSet {
    type Error = InvalidTag;

    fn try_from(tags: Vec<Tag>) -> Result<Self, InvalidTag> {
        let mut set = Self::new();
        for tag in tags {
            set.insert(tag)?;
        }
        Ok(set)
    }
}

impl From<TagSet> for Vec<Tag> {
    fn from(set: TagSet) -> Self {
        set.iter().collect()
    }
}

/// Why a text is no tag. The author of the text has to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTag {
    /// Nothing stands before `=`, or the text is empty.
    #[error("a tag needs a key, as in `linux` or `os=linux`")]
    EmptyKey,
    /// Nothing stands after `=`.
    #[error("a tag's value is empty: leave out the `=` or write a value")]
    EmptyValue,
    /// A character that has no place there.
    #[error("the character {character:?} at position {position} cannot stand in a tag")]
    BadCharacter {
        /// The character.
        character: char,
        /// Its place in characters, from 1.
        position: usize,
    },
    /// Longer than [`MAX_TAG_BYTES`].
    #[error("a tag of {bytes} bytes is too long: at most {MAX_TAG_BYTES}")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// More than [`MAX_TAGS`] on one worker.
    #[error("a worker offers at most {MAX_TAGS} tags")]
    TooMany,
}

impl InvalidTag {
    /// The same problem of a text that begins so many characters later.
    pub(crate) fn shifted(self, by: usize) -> Self {
        match self {
            Self::BadCharacter {
                character,
                position,
            } => Self::BadCharacter {
                character,
                position: position + by,
            },
            other => other,
        }
    }
}

/// Checks the key of a tag or of a requirement.
pub(crate) fn check_key(key: &str) -> Result<(), InvalidTag> {
    if key.is_empty() {
        return Err(InvalidTag::EmptyKey);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    match key.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        Some((at, character)) => Err(InvalidTag::BadCharacter {
            character,
            position: at + 1,
        }),
        None => Ok(()),
    }
}

/// Checks a value that begins `before` characters into the text.
pub(crate) fn check_value(value: &str, before: usize) -> Result<(), InvalidTag> {
    if value.is_empty() {
        return Err(InvalidTag::EmptyValue);
    }
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '|' | ',');
    match value.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        Some((at, character)) => Err(InvalidTag::BadCharacter {
            character,
            position: before + at + 1,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_lower_cased() {
        let tag: Tag = "OS=Linux".parse().expect("a tag");
        assert_eq!(tag.to_string(), "os=linux");
    }

    #[test]
    fn a_key_may_have_several_values() {
        let mut set = TagSet::new();
        for text in ["has=git", "has=cargo", "has"] {
            set.insert(text.parse().expect("a tag")).expect("room");
        }
        assert_eq!(set.len(), 3);
        assert_eq!(set.values("has").collect::<Vec<_>>(), ["cargo", "git"]);
    }

    #[test]
    fn refusals_point_at_the_character() {
        let error = "os=li nux".parse::<Tag>().expect_err("a space");
        assert_eq!(
            error,
            InvalidTag::BadCharacter {
                character: ' ',
                position: 6
            }
        );
        assert_eq!("=x".parse::<Tag>(), Err(InvalidTag::EmptyKey));
        assert_eq!("x=".parse::<Tag>(), Err(InvalidTag::EmptyValue));
        assert!("ä".parse::<Tag>().is_err());
    }

    #[test]
    fn refuse_more_tags_than_the_limit() {
        let tags = (0..=MAX_TAGS)
            .map(|n| format!("t{n}").parse().expect("a tag"))
            .collect();
        assert_eq!(
            TagSet::try_from(Vec::<Tag>::clone(&tags)),
            Err(InvalidTag::TooMany)
        );
    }
}
