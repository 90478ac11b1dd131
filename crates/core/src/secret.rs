//! Texts that must not be printed, and which of them a job may bring.

use std::collections::BTreeMap;
use std::fmt;

/// How many secrets one job may bring.
pub const MAX_SECRETS: usize = 64;

/// How long the secrets of one job may be together, names included, in bytes: each is looked for in many forms, so that
/// what a worker keeps in memory for them is many times this.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;

/// How many characters a secret needs, white space around it aside: what is shorter is found in every output.
pub const MIN_SECRET_CHARS: usize = 2;

/// What stands in output in the place of a secret.
pub const MASK: &str = "***";

/// A text that neither `Debug` nor any log shows. Compare or hash what [`expose`](SecretText::expose) gives; do not
/// format it. Its own comparison takes longer the more is alike: it is for changes, not for passwords.
///
/// It has no serialized form of its own, so that nobody writes it by accident; see [`exposed`].
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Stands for a secret whose value is kept back: the empty text, which is no secret.
    pub const fn hidden() -> Self {
        Self(String::new())
    }

    /// Whether the value is kept back.
    pub const fn is_hidden(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself. Every call is a place to look at in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Checks it as the value of an environment variable that is masked in output.
    pub fn check(&self) -> Result<(), SecretProblem> {
        let core = self.0.trim();
        if self.0.is_empty() {
            Err(SecretProblem::Empty)
        } else if core.is_empty() {
            Err(SecretProblem::Blank)
        } else if core.chars().take(MIN_SECRET_CHARS).count() < MIN_SECRET_CHARS {
            Err(SecretProblem::TooShort)
        } else if core.bytes().all(|byte| byte == b'*') {
            Err(SecretProblem::Mask)
        } else if self.0.contains('\0') {
            Err(SecretProblem::Nul)
        } else {
            Ok(())
        }
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(***)")
    }
}

/// Why a text cannot be a secret. Its author's fault. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretProblem {
    /// There is none.
    #[error("it is empty, so that there is nothing to mask: leave it out, or set it in `env`")]
    Empty,
    /// There is only white space.
    #[error(
        "it is nothing but white space, which cannot be masked: leave it out, or set it in `env`"
    )]
    Blank,
    /// One character.
    #[error(
        "it has only one character, and masking that would make all output unreadable: a secret needs at least \
         {MIN_SECRET_CHARS} characters beside white space around it"
    )]
    TooShort,
    /// Only asterisks.
    #[error("it is nothing but asterisks, as a masked value is shown: give the value itself")]
    Mask,
    /// A NUL, which no environment takes.
    #[error("a NUL character is not allowed")]
    Nul,
    /// The name is empty.
    #[error("a name is empty")]
    NoName,
    /// The name holds what a name may not.
    #[error("a name with `=` or a control character in it is not allowed")]
    Name,
}

/// Checks one variable. A value that is hidden passes only where that is `allowed`.
pub(crate) fn check_variable(
    name: &str,
    value: &SecretText,
    allowed: bool,
) -> Result<(), SecretProblem> {
    if name.is_empty() {
        return Err(SecretProblem::NoName);
    }
    if name.chars().any(|c| c == '=' || c.is_control()) {
        return Err(SecretProblem::Name);
    }
    if value.is_hidden() && allowed {
        return Ok(());
    }
    value.check()
}

/// How many bytes they have together, names included.
pub(crate) fn total_bytes(secrets: &BTreeMap<String, SecretText>) -> usize {
    let each = secrets
        .iter()
        .map(|(name, value)| name.len() + value.expose().len());
    each.sum()
}

/// Secrets in files that only their owner can read, and in messages between trusted parties: for the `with` attribute of
/// serde. What is hidden is written as null.
pub mod exposed {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::SecretText;

    /// Writes the values.
    pub fn serialize<S: Serializer>(
        secrets: &BTreeMap<String, SecretText>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let shown = |value: &SecretText| (!value.is_hidden()).then(|| value.0.clone());
        to.collect_map(secrets.iter().map(|(name, value)| (name, shown(value))))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, SecretText>, D::Error> {
        let read = BTreeMap::<String, Option<String>>::deserialize(from)?;
        let secret = |text: Option<String>| text.map_or_else(SecretText::hidden, SecretText);
        Ok(read
            .into_iter()
            .map(|(name, text)| (name, secret(text)))
            .collect())
    }

    /// The same for a list of them.
    pub mod list {
        use serde::{Deserialize, Deserializer, Serializer};

        use super::SecretText;

        /// Writes the values.
        pub fn serialize<S: Serializer>(secrets: &[SecretText], to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(secrets.iter().map(|secret| &secret.0))
        }

        /// Reads them.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<SecretText>, D::Error> {
            let read = Vec::<String>::deserialize(from)?;
            Ok(read.into_iter().map(SecretText).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(
            format!("{:?}", SecretText::new("hunter2")),
            "SecretText(***)"
        );
    }

    #[test]
    fn refuse_what_would_mask_everything_or_nothing_xl4() {
        let problem = |text: &str| SecretText::new(text).check().expect_err(text);
        assert_eq!(problem(""), SecretProblem::Empty);
        assert_eq!(problem("x"), SecretProblem::TooShort);
        assert_eq!(problem("\u{1f600}"), SecretProblem::TooShort);
        assert_eq!(problem(" x\n"), SecretProblem::TooShort);
        assert_eq!(problem(" \n"), SecretProblem::Blank);
        assert_eq!(problem("***"), SecretProblem::Mask);
        assert_eq!(problem("a\0b"), SecretProblem::Nul);
        for good in ["ab", " ab ", "*a", "a b", "pass\nword"] {
            assert_eq!(SecretText::new(good).check(), Ok(()), "{good}");
        }
    }

    #[test]
    fn names_are_those_of_variables() {
        let secret = SecretText::new("hunter2");
        let problem = |name: &str| check_variable(name, &secret, false).expect_err(name);
        assert_eq!(problem(""), SecretProblem::NoName);
        assert_eq!(problem("A=B"), SecretProblem::Name);
        assert_eq!(problem("A\n"), SecretProblem::Name);
        assert_eq!(check_variable("A", &secret, false), Ok(()));
        let hidden = SecretText::hidden();
        assert_eq!(check_variable("A", &hidden, true), Ok(()));
        assert!(check_variable("A", &hidden, false).is_err());
    }
}
