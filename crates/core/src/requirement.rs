//! What a job asks of the worker that runs it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::tag::{self, InvalidTag, MAX_TAG_BYTES, Tag, TagSet};
use crate::{InvalidQuantity, Quantity};

/// How many requirements one job may have.
pub const MAX_REQUIREMENTS: usize = 64;

/// One term; the terms of a job are joined by AND.
///
/// | text | holds when the worker |
/// |---|---|
/// | `linux` | offers the key, with any value or none |
/// | `os=linux` | offers the key with this value, maybe among others |
/// | <code>os=linux&#124;darwin</code> | offers the key with at least one of these values |
/// | `!gpu` | does not offer the key |
/// | `os!=windows` | does not offer the key with this value; also when the key is absent |
/// | <code>os!=windows&#124;darwin</code> | offers the key with none of these values |
/// | `cores>=8`, `mem<64GiB` | offers the key with a number that compares so; see [`Quantity`] |
///
/// Keys and values are compared without regard to case. A comparison is false when the key is absent or none of its
/// values is a number.
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
    /// The key is not offered.
    Absent,
    /// None of these values is offered. Sorted, without repeats, never empty.
    NoneOf(Vec<String>),
    /// A number is offered that compares so with this one.
    Compare(Comparison, Quantity),
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// Whether it holds between what is offered and what is asked.
    pub fn holds(self, offered: &Quantity, asked: &Quantity) -> bool {
        match self {
            Self::Less => offered < asked,
            Self::LessOrEqual => offered <= asked,
            Self::Greater => offered > asked,
            Self::GreaterOrEqual => offered >= asked,
        }
    }

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
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
            Test::Absent => !tags.has_key(&self.key),
            Test::AnyOf(wanted) => offers_one_of(tags, &self.key, wanted),
            Test::NoneOf(unwanted) => !offers_one_of(tags, &self.key, unwanted),
            Test::Compare(comparison, asked) => tags
                .values(&self.key)
                .filter_map(|value| value.parse::<Quantity>().ok())
                .any(|offered| comparison.holds(&offered, asked)),
        }
    }

    /// Whether it names this tag: `k` names `k` and `k=v`, `k=v` names `k=v`. Negations and comparisons name nothing.
    /// A worker with an exclusive tag takes only jobs that name it.
    pub fn names(&self, tag: &Tag) -> bool {
        self.key == tag.key()
            && match &self.test {
                Test::Present => true,
                Test::AnyOf(wanted) => tag
                    .value()
                    .is_some_and(|value| wanted.iter().any(|wanted| wanted == value)),
                Test::Absent | Test::NoneOf(_) | Test::Compare(..) => false,
            }
    }

    /// The requirement that holds exactly when this one does not, where there is a way to write it.
    pub fn negated(&self) -> Option<Self> {
        let test = match &self.test {
            Test::Present => Test::Absent,
            Test::Absent => Test::Present,
            Test::AnyOf(values) => Test::NoneOf(values.clone()),
            Test::NoneOf(values) => Test::AnyOf(values.clone()),
            // A key that is absent or no number fails a comparison and its opposite alike.
            Test::Compare(..) => return None,
        };
        Some(Self {
            key: self.key.clone(),
            test,
        })
    }
}

fn offers_one_of(tags: &TagSet, key: &str, wanted: &[String]) -> bool {
    let mut offered = tags.values(key);
    offered.any(|offered| wanted.iter().any(|value| value == offered))
}

impl FromStr for Requirement {
    type Err = InvalidRequirement;

    fn from_str(text: &str) -> Result<Self, InvalidRequirement> {
        if text.len() > MAX_TAG_BYTES {
            return Err(InvalidTag::TooLong { bytes: text.len() }.into());
        }
        if let Some(key) = text.strip_prefix('!') {
            return absent(key);
        }
        let Some(at) = text.find(['=', '!', '<', '>']) else {
            tag::check_key(text)?;
            return Ok(Self::of(text, Test::Present));
        };
        let (key, rest) = text.split_at(at);
        tag::check_key(key)?;
        if let Some(values) = rest.strip_prefix("!=") {
            check_operator(values, at + 2)?;
            return Ok(Self::of(key, Test::NoneOf(alternatives(values, at + 2)?)));
        }
        if let Some(values) = rest.strip_prefix('=') {
            check_operator(values, at + 1)?;
            return Ok(Self::of(key, Test::AnyOf(alternatives(values, at + 1)?)));
        }
        let (comparison, number) = if let Some(number) = rest.strip_prefix("<=") {
            (Comparison::LessOrEqual, number)
        } else if let Some(number) = rest.strip_prefix(">=") {
            (Comparison::GreaterOrEqual, number)
        } else if let Some(number) = rest.strip_prefix('<') {
            (Comparison::Less, number)
        } else if let Some(number) = rest.strip_prefix('>') {
            (Comparison::Greater, number)
        } else {
            return Err(InvalidRequirement::LoneNegation { position: at + 1 });
        };
        let before = text.len() - number.len();
        let asked = number
            .parse()
            .map_err(|problem| InvalidRequirement::NotANumber {
                position: before + 1,
                problem,
            })?;
        Ok(Self::of(key, Test::Compare(comparison, asked)))
    }
}

impl Requirement {
    fn of(key: &str, test: Test) -> Self {
        Self {
            key: key.to_ascii_lowercase(),
            test,
        }
    }
}

/// Refuses what other languages write for an operator, as in `==` and `=>`: nobody means a value that begins like that.
fn check_operator(values: &str, before: usize) -> Result<(), InvalidRequirement> {
    if values.starts_with(['=', '<', '>', '~', '!']) {
        let position = before + 1;
        return Err(InvalidRequirement::UnknownOperator { position });
    }
    Ok(())
}

/// What stands behind a leading `!`.
fn absent(key: &str) -> Result<Requirement, InvalidRequirement> {
    if let Some(at) = key.find(['=', '!', '<', '>']) {
        return Err(InvalidRequirement::NegatedTerm { position: at + 2 });
    }
    tag::check_key(key).map_err(|problem| problem.shifted(1))?;
    Ok(Requirement::of(key, Test::Absent))
}

/// Values between `|`, the first of which begins `before` characters into the text.
fn alternatives(values: &str, mut before: usize) -> Result<Vec<String>, InvalidRequirement> {
    let mut wanted = Vec::new();
    for value in values.split('|') {
        tag::check_value(value, before)?;
        before += value.len() + 1;
        wanted.push(value.to_ascii_lowercase());
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
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
        let key = &self.key;
        match &self.test {
            Test::Present => f.write_str(key),
            Test::Absent => write!(f, "!{key}"),
            Test::AnyOf(values) => write!(f, "{key}={}", values.join("|")),
            Test::NoneOf(values) => write!(f, "{key}!={}", values.join("|")),
            Test::Compare(comparison, asked) => write!(f, "{key}{}{asked}", comparison.as_str()),
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
    /// `!` behind the key without `=`.
    #[error("the `!` at position {position} stands alone: write `!key`, or `key!=value`")]
    LoneNegation {
        /// Its place in characters, from 1.
        position: usize,
    },
    /// `!key=value` and the like.
    #[error(
        "`!` takes a key alone, and an operator stands at position {position}: write `key!=value`, or turn the comparison round"
    )]
    NegatedTerm {
        /// The place of the operator in characters, from 1.
        position: usize,
    },
    /// Something like `==` or `=>`.
    #[error(
        "the character at position {position} makes an unknown operator: use `=`, `!=`, `<`, `<=`, `>` or `>=`"
    )]
    UnknownOperator {
        /// Its place in characters, from 1.
        position: usize,
    },
    /// What is compared with is no number.
    #[error("at position {position}: {problem}")]
    NotANumber {
        /// Where the number should begin, in characters, from 1.
        position: usize,
        /// What is wrong with it.
        problem: InvalidQuantity,
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

    fn refusal(text: &str) -> String {
        let error = text.parse::<Requirement>().expect_err(text);
        error.to_string()
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
    fn negations_hold_when_the_key_is_absent() {
        assert!(met("!gpu", &["linux"]));
        assert!(!met("!gpu", &["gpu"]) && !met("!GPU", &["gpu=a100"]));
        assert!(met("os!=windows", &[]) && met("os!=windows", &["os"]));
    }

    #[test]
    fn unequal_must_hold_for_every_value() {
        assert!(met("os!=windows", &["os=linux", "os=wsl"]));
        assert!(!met("os!=Windows", &["os=linux", "os=windows"]));
        assert!(!met("os!=windows|darwin", &["os=darwin"]));
    }

    #[test]
    fn comparisons_hold_for_one_of_several_numbers_and_never_for_what_is_no_number() {
        assert!(met("cores>=8", &["cores=8"]) && !met("cores>8", &["cores=8"]));
        assert!(met("cores<=8", &["cores=8"]) && met("cores<8.5", &["cores=8"]));
        assert!(met("mem<64GiB", &["mem=63.5gib"]) && !met("mem<64GiB", &["mem=64GiB"]));
        assert!(met("mem>=1gib", &["mem=1048576KiB"]));
        assert!(met("lane>=2", &["lane=1", "lane=3"]));
        for offered in [&[][..], &["cores"][..], &["cores=many"][..]] {
            assert!(!met("cores>=0", offered) && !met("cores<9999", offered));
        }
    }

    #[test]
    fn refusals_point_at_the_character() {
        assert!(refusal("os=li nux").contains("position 6"));
        assert!(
            refusal("!g pu").contains("position 3"),
            "{}",
            refusal("!g pu")
        );
        assert!(refusal("!os=linux").contains("position 4"));
        assert!(refusal("gpu!").contains("position 4"));
        assert!(refusal("cores>=many").contains("position 8"));
        assert!(refusal("cores>8x").contains("position 7"));
        assert!(refusal("mem<").contains("position 5"));
        assert!(refusal("os==linux").contains("position 4"));
        assert!(refusal("cores=>8").contains("position 7"));
        assert!(refusal("os!=~x").contains("position 5"));
        assert!(refusal("!").contains("key") && refusal(">=8").contains("key"));
    }

    #[test]
    fn refuse_an_empty_alternative() {
        for text in ["os=linux|", "os!=|linux"] {
            assert_eq!(
                text.parse::<Requirement>(),
                Err(InvalidRequirement::Tag(InvalidTag::EmptyValue))
            );
        }
    }

    #[test]
    fn text_reads_back() {
        for (text, canonical) in [
            ("OS=linux|Darwin|linux", "os=darwin|linux"),
            ("!GPU", "!gpu"),
            ("os!=b|A", "os!=a|b"),
            ("Mem>=1.50GiB", "mem>=1.50gib"),
            ("x=a>b", "x=a>b"),
        ] {
            let requirement: Requirement = text.parse().expect(text);
            assert_eq!(requirement.to_string(), canonical);
            assert_eq!(requirement.to_string().parse(), Ok(requirement));
        }
    }

    #[test]
    fn a_requirement_or_its_negation_holds() {
        let fleets = [tags(&[]), tags(&["os"]), tags(&["os=linux", "os=x"])];
        for text in ["os", "!os", "os=linux|mac", "os!=linux"] {
            let requirement: Requirement = text.parse().expect(text);
            let negated = requirement.negated().expect("a negation");
            for offered in &fleets {
                assert!(requirement.is_met_by(offered) != negated.is_met_by(offered));
            }
        }
        assert_eq!("x>1".parse::<Requirement>().expect("valid").negated(), None);
    }

    #[test]
    fn only_positive_terms_name_a_tag() {
        let names = |requirement: &str, tag: &str| {
            let requirement: Requirement = requirement.parse().expect("a requirement");
            requirement.names(&tag.parse().expect("a tag"))
        };
        assert!(names("gpu-only", "gpu-only") && names("pool", "pool=ml"));
        assert!(names("pool=ml|hpc", "pool=ml") && !names("pool=hpc", "pool=ml"));
        assert!(!names("pool=ml", "pool") && !names("!pool", "pool"));
        assert!(!names("pool!=x", "pool=ml") && !names("pool>1", "pool=2"));
    }
}
