//! Requirements as people write them, with the place of a mistake.

use std::error::Error;
use std::fmt;

use jobyard_core::{InvalidRequirement, InvalidTag, MAX_PREFERENCE_WEIGHT, Requirement};

/// Reads a requirement such as `os=linux|darwin`.
pub(crate) fn read_requirement(text: &str) -> Result<Requirement, Misread> {
    text.parse().map_err(|problem| Misread::of(text, &problem))
}

/// Reads `REQ=WEIGHT`. The requirement may hold `=` itself: the weight follows the last one.
pub(crate) fn read_preference(text: &str) -> Result<(Requirement, u32), Misread> {
    let Some((requirement, weight)) = text.rsplit_once('=') else {
        return Err(Misread::at_end(
            text,
            "`=` and a weight are missing: write REQ=WEIGHT, as in ssd=10",
        ));
    };
    let weight = weight.parse().map_err(|_| {
        Misread::at(
            text,
            requirement.chars().count() + 2,
            &format!(
                "a weight is a whole number from 1 to {MAX_PREFERENCE_WEIGHT} behind the last `=`, as in os=linux=10"
            ),
        )
    })?;
    match requirement.parse() {
        Ok(requirement) => Ok((requirement, weight)),
        // `cores>=8` has an `=`, but not the one before a weight.
        Err(_) if text.parse::<Requirement>().is_ok() => Err(Misread::at_end(
            text,
            &format!("the weight is missing: write {text}=WEIGHT"),
        )),
        Err(problem) => Err(Misread::of(text, &problem)),
    }
}

/// A text that is no requirement. Shown by `Display` as one sentence, which names the place of the mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misread {
    text: String,
    /// In characters, from 1; at most one behind the end.
    position: Option<usize>,
    problem: String,
}

impl Misread {
    /// `text` begins with what was refused.
    fn of(text: &str, problem: &InvalidRequirement) -> Self {
        match (problem, position(text, problem)) {
            // These know what is missing, and not where.
            (
                InvalidRequirement::Tag(InvalidTag::EmptyKey | InvalidTag::EmptyValue),
                Some(position),
            ) => Self::at(text, position, &problem.to_string()),
            (_, position) => Self {
                text: text.to_owned(),
                position,
                problem: problem.to_string(),
            },
        }
    }

    fn at_end(text: &str, problem: &str) -> Self {
        Self::at(text, text.chars().count() + 1, problem)
    }

    fn at(text: &str, position: usize, problem: &str) -> Self {
        Self {
            text: text.to_owned(),
            position: Some(position),
            problem: format!("at position {position}: {problem}"),
        }
    }

    /// Two lines for a terminal: the text, and a mark under the mistake. `None` if the mark would miss it.
    pub(crate) fn pointer(&self) -> Option<String> {
        let position = self.position?;
        // Only of these it is known that each takes one column.
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        let shown = self.text.chars().all(plain);
        shown.then(|| format!("    {}\n{:>width$}", self.text, '^', width = position + 4))
    }
}

impl fmt::Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl Error for Misread {}

/// Where the mistake stands, where there is such a place.
fn position(text: &str, problem: &InvalidRequirement) -> Option<usize> {
    match problem {
        InvalidRequirement::LoneNegation { position }
        | InvalidRequirement::NegatedTerm { position }
        | InvalidRequirement::UnknownOperator { position }
        | InvalidRequirement::NotANumber { position, .. }
        | InvalidRequirement::Tag(InvalidTag::BadCharacter { position, .. }) => Some(*position),
        InvalidRequirement::Tag(InvalidTag::EmptyKey) => {
            Some(1 + usize::from(text.starts_with('!')))
        }
        InvalidRequirement::Tag(InvalidTag::EmptyValue) => empty_value(text),
        _ => None,
    }
}

/// Where a value should begin behind the first `=`, and does not.
fn empty_value(text: &str) -> Option<usize> {
    let (key, values) = text.split_once('=')?;
    let mut position = key.chars().count() + 2;
    for value in values.split('|') {
        if value.is_empty() {
            return Some(position);
        }
        position += value.chars().count() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preference(text: &str) -> (String, u32) {
        let (requirement, weight) = read_preference(text).expect(text);
        (requirement.to_string(), weight)
    }

    #[test]
    fn the_weight_follows_the_last_equals_sign() {
        assert_eq!(preference("ssd=3"), ("ssd".to_owned(), 3));
        assert_eq!(preference("os=linux=10"), ("os=linux".to_owned(), 10));
        assert_eq!(preference("cores>=8=2"), ("cores>=8".to_owned(), 2));
        assert_eq!(preference("!gpu=1"), ("!gpu".to_owned(), 1));
        assert_eq!(preference("os!=a|b=7"), ("os!=a|b".to_owned(), 7));
    }

    #[test]
    fn mistakes_are_pointed_at() {
        let requirements = [
            "os=li nux",
            "!g pu",
            "!os=linux",
            "gpu!",
            "cores>=many",
            "cores>8x",
            "=linux",
            "!",
            "os=linux|",
            "os!=|linux",
            "os=a||b",
        ];
        let preferences = ["ssd", "os=linux", "cores>=8", "o s=1", "ssd=-1", "ssd="];
        let read = |text: &str| read_requirement(text).expect_err(text);
        let refused = requirements
            .into_iter()
            .map(read)
            .chain(preferences.map(|text| read_preference(text).expect_err(text)));
        let shown: Vec<_> = refused
            .map(|misread| format!("{misread}\n{}", misread.pointer().unwrap_or_default()))
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn no_mark_under_what_takes_an_unknown_number_of_columns() {
        let misread = read_requirement("os=lin\u{1b}ux").expect_err("a control character");
        assert_eq!(misread.pointer(), None);
        let long = "x".repeat(1_000);
        assert_eq!(
            read_requirement(&long).expect_err("too long").pointer(),
            None
        );
    }
}
