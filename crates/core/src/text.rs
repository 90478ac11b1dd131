//! Checks of texts that people choose. None of them is ever used as a path.

/// The longest name of a worker, queue, executor, token or person, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// The longest name of a job, in bytes.
pub const MAX_JOB_NAME_BYTES: usize = 128;

/// Checks a name: letters, digits and `. _ -`, 1 to [`MAX_NAME_BYTES`] of them, not only dots.
pub fn check_name(text: &str) -> Result<(), TextProblem> {
    check(text, MAX_NAME_BYTES, |c| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
    })
}

/// Checks the name of a job: as a name, and also `/ : @ + =` and spaces.
pub fn check_label(text: &str) -> Result<(), TextProblem> {
    check(text, MAX_JOB_NAME_BYTES, |c| {
        c.is_ascii_alphanumeric()
            || matches!(c, '.' | '_' | '-' | '/' | ':' | '@' | '+' | '=' | ' ')
    })
}

fn check(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Result<(), TextProblem> {
    if text.is_empty() {
        return Err(TextProblem::Empty);
    }
    if text.len() > max {
        return Err(TextProblem::TooLong {
            bytes: text.len(),
            max,
        });
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(character) => Err(TextProblem::Character { character }),
        None if text.chars().all(|c| c == '.') => Err(TextProblem::OnlyDots),
        None => Ok(()),
    }
}

/// What is wrong with a text that somebody chose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextProblem {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Longer than allowed.
    #[error("it has {bytes} bytes, at most {max} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A character that has no place there.
    #[error("the character {character:?} is not allowed: use letters, digits and `.`, `_`, `-`")]
    Character {
        /// The character.
        character: char,
    },
    /// `.` or `..`, which mean something else in a path.
    #[error("it consists of dots only")]
    OnlyDots,
    /// A control character.
    #[error("control characters are not allowed")]
    Control,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuse_names_that_could_mislead() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for name in [
            "",
            "../../x",
            "a\0",
            "..",
            "\u{202e}x",
            "a b",
            "\u{1b}[0m",
            long.as_str(),
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert_eq!(check_name("builder-1.example_org"), Ok(()));
    }
}
