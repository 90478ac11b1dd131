//! Licence expressions, as far as the manifests of crates use them.
//!
//! The grammar is that of annex D of the SPDX specification 2.3: `OR` binds weaker than `AND`,
//! which binds weaker than `WITH`. As in version 3 of the specification, operators may also be written in lower case.
//! Old manifests write `MIT/Apache-2.0`; the slash means `OR`.

use std::fmt;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Parentheses may be nested this deep. Real expressions nest once; the limit keeps a malicious
/// manifest from exhausting the stack.
pub const MAX_DEPTH: usize = 16;

/// Why an expression cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpdxError {
    /// The expression ends where a licence must follow.
    Incomplete,
    /// A word stands where it must not.
    Unexpected(String),
    /// Parentheses are nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl fmt::Display for SpdxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incomplete => write!(f, "the licence expression ends too early"),
            Self::Unexpected(word) => write!(f, "`{word}` is unexpected in a licence expression"),
            Self::TooDeep => write!(f, "the licence expression is nested too deep"),
        }
    }
}

impl std::error::Error for SpdxError {}

/// Whether an expression can be satisfied with licences of `allowed` alone.
///
/// A licence with an exception is allowed when it is listed as a whole
/// (`Apache-2.0 WITH LLVM-exception`), or when the licence is allowed without the exception:
/// exceptions only permit more.
///
/// # Errors
///
/// The expression is malformed.
pub fn permits(expression: &str, allowed: &[&str]) -> Result<bool, SpdxError> {
    let mut parser = Parser {
        words: words(expression).into_iter().peekable(),
        allowed,
    };
    let permitted = parser.alternatives(0)?;
    match parser.words.next() {
        None => Ok(permitted),
        Some(word) => Err(SpdxError::Unexpected(word)),
    }
}

/// Evaluates while it reads: the answer to one question needs no tree.
struct Parser<'a> {
    words: Peekable<IntoIter<String>>,
    allowed: &'a [&'a str],
}

impl Parser<'_> {
    fn alternatives(&mut self, depth: usize) -> Result<bool, SpdxError> {
        let mut permitted = self.conjunction(depth)?;
        while self.accept("OR") || self.accept("/") {
            // Both sides are read in any case: a malformed right side must not go unseen.
            permitted |= self.conjunction(depth)?;
        }
        Ok(permitted)
    }

    fn conjunction(&mut self, depth: usize) -> Result<bool, SpdxError> {
        let mut permitted = self.term(depth)?;
        while self.accept("AND") {
            permitted &= self.term(depth)?;
        }
        Ok(permitted)
    }

    fn term(&mut self, depth: usize) -> Result<bool, SpdxError> {
        if depth > MAX_DEPTH {
            return Err(SpdxError::TooDeep);
        }
        if self.accept("(") {
            let permitted = self.alternatives(depth + 1)?;
            return match self.words.next() {
                Some(word) if word == ")" => Ok(permitted),
                Some(word) => Err(SpdxError::Unexpected(word)),
                None => Err(SpdxError::Incomplete),
            };
        }
        let licence = self.name()?;
        if self.accept("WITH") {
            let whole = format!("{licence} WITH {}", self.name()?);
            return Ok(self.is_allowed(&whole) || self.is_allowed(&licence));
        }
        Ok(self.is_allowed(&licence))
    }

    fn name(&mut self) -> Result<String, SpdxError> {
        let word = self.words.next().ok_or(SpdxError::Incomplete)?;
        if matches!(word.as_str(), "(" | ")" | "/" | "OR" | "AND" | "WITH") {
            return Err(SpdxError::Unexpected(word));
        }
        Ok(word)
    }

    fn accept(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next == word).is_some()
    }

    fn is_allowed(&self, licence: &str) -> bool {
        // `X+` is "X or a later version": allowed when X is.
        let plain = licence.strip_suffix('+').unwrap_or(licence);
        self.allowed.contains(&licence) || self.allowed.contains(&plain)
    }
}

fn words(expression: &str) -> Vec<String> {
    let spaced = ["(", ")", "/"]
        .iter()
        .fold(expression.to_owned(), |text, mark| {
            text.replace(mark, &format!(" {mark} "))
        });
    spaced.split_whitespace().map(operator_or_name).collect()
}

/// A word as it stands; an operator in capitals.
fn operator_or_name(word: &str) -> String {
    match word {
        "or" | "and" | "with" => word.to_ascii_uppercase(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["MIT", "Apache-2.0", "ISC", "Unicode-3.0"];

    fn permitted(expression: &str) -> bool {
        permits(expression, ALLOWED).unwrap()
    }

    #[test]
    fn permit_one_allowed_alternative() {
        assert!(permitted("MIT"));
        assert!(permitted("LGPL-2.1-or-later OR MIT"));
        assert!(permitted("MIT OR Apache-2.0 OR LGPL-2.1-or-later"));
        assert!(!permitted("LGPL-2.1-or-later OR MPL-2.0"));
    }

    #[test]
    fn demand_every_part_of_a_conjunction() {
        assert!(permitted("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!permitted("MIT AND GPL-3.0-only"));
    }

    #[test]
    fn bind_and_tighter_than_or() {
        assert!(permitted("MIT OR GPL-3.0-only AND BSL-1.1"));
        assert!(!permitted("(MIT OR GPL-3.0-only) AND BSL-1.1"));
    }

    #[test]
    fn read_the_slash_of_old_manifests_as_or() {
        assert!(permitted("GPL-3.0/MIT"));
        assert!(permitted("Apache-2.0 / MIT"));
    }

    #[test]
    fn read_operators_in_lower_case() {
        assert!(permitted("MIT or Apache-2.0"));
        assert!(permitted("Apache-2.0 with LLVM-exception and ISC"));
        assert!(!permitted("MIT and GPL-3.0-only"));
        assert_eq!(
            permits("MIT Or ISC", ALLOWED),
            Err(SpdxError::Unexpected("Or".into()))
        );
    }

    #[test]
    fn permit_an_exception_of_an_allowed_licence() {
        assert!(permitted("Apache-2.0 WITH LLVM-exception"));
        assert!(!permitted("GPL-2.0 WITH Classpath-exception-2.0"));
        let with = ["GPL-2.0 WITH Classpath-exception-2.0"];
        assert!(permits("GPL-2.0 WITH Classpath-exception-2.0", &with).unwrap());
        assert!(!permits("GPL-2.0", &with).unwrap());
    }

    #[test]
    fn refuse_malformed_expressions() {
        assert_eq!(permits("", ALLOWED), Err(SpdxError::Incomplete));
        assert_eq!(permits("MIT OR", ALLOWED), Err(SpdxError::Incomplete));
        assert_eq!(permits("(MIT", ALLOWED), Err(SpdxError::Incomplete));
        assert_eq!(
            permits("MIT ISC", ALLOWED),
            Err(SpdxError::Unexpected("ISC".into()))
        );
        assert_eq!(
            permits("MIT)", ALLOWED),
            Err(SpdxError::Unexpected(")".into()))
        );
        assert_eq!(
            permits("OR MIT", ALLOWED),
            Err(SpdxError::Unexpected("OR".into()))
        );
    }

    #[test]
    fn refuse_deep_nesting() {
        let deep = format!("{}MIT{}", "(".repeat(1000), ")".repeat(1000));
        assert_eq!(permits(&deep, ALLOWED), Err(SpdxError::TooDeep));
    }
}
