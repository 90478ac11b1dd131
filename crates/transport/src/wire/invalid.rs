//! A message that does not fit.

use std::fmt;

/// What is wrong with a message: its sender's fault, the same message will be refused again. Public because it is the
/// error of impls for public types; nobody outside can name it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidMessage {
    /// The path to the field, as in `hello.facts.host`.
    pub(crate) field: String,
    /// What is wrong there.
    pub(crate) problem: String,
}

impl InvalidMessage {
    pub(crate) fn new(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self {
            field: field.into(),
            problem: problem.to_string(),
        }
    }

    /// The same fault as seen from the message around this one.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        if !self.field.is_empty() {
            self.field.insert(0, '.');
        }
        self.field.insert_str(0, outer);
        self
    }
}
