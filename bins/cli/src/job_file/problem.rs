//! What is wrong with the text of a job file.

use std::fmt::Write;

use serde_path_to_error::{Path, Segment};

use super::wording::in_plain_words;

/// A mistake and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Line and column, from 1.
    pub(super) place: Option<(usize, usize)>,
    pub(super) text: String,
}

impl Problem {
    /// A mistake in the words of whoever found it.
    pub(super) fn new(place: Option<(usize, usize)>, message: &str) -> Self {
        Self {
            place,
            text: in_plain_words(message.trim()),
        }
    }

    /// The same, with the job in whose line it was found: by its name, or else by its number, from 1. One that has a
    /// name and was read is named already.
    pub(super) fn in_job(mut self, name: Option<&str>, number: usize) -> Self {
        if !self.text.starts_with("job ") {
            let job = name.map_or_else(|| number.to_string(), |name| format!("{name:?}"));
            self.text = format!("job {job}: {}", self.text);
        }
        self
    }

    /// The same, with the job and the key in which it was found.
    pub(super) fn found_in(mut self, path: &Path) -> Self {
        let mut segments = path.iter().peekable();
        if matches!(segments.peek(), Some(Segment::Map { key }) if key == "jobs") {
            segments.next();
        }
        let job = match segments.peek() {
            Some(Segment::Seq { index }) => Some(index + 1),
            _ => None,
        };
        if job.is_some() {
            segments.next();
        }
        let key = key_of(segments);
        match unknown_key(&self.text) {
            Some(unknown) => {
                self.text =
                    format!("the key `{unknown}` is not known: remove it or mend its spelling");
            }
            None if !key.is_empty() => self.text = format!("{key}: {}", self.text),
            None => {}
        }
        match job {
            Some(job) => self.in_job(None, job),
            None => self,
        }
    }
}

/// The key as people would write it: `prefer[0].weight`.
fn key_of<'a>(segments: impl Iterator<Item = &'a Segment>) -> String {
    let mut shown = String::new();
    for segment in segments {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(shown, "[{index}]");
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                if !shown.is_empty() {
                    shown.push('.');
                }
                shown.push_str(key);
            }
            Segment::Unknown => {}
        }
    }
    shown
}

/// An unknown key is the most frequent mistake: named shortly, without the list of all others.
fn unknown_key(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

/// Line and column of a place in bytes.
pub(super) fn place_of(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.split('\n').count();
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// Libraries put the place into the text as well; it is shown in one way for all formats.
pub(super) fn without_place(message: &str) -> String {
    let end = message.find(" at line ").unwrap_or(message.len());
    let message = &message[..end];
    match message
        .strip_prefix("error: line ")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((_, text)) => text.to_owned(),
        None => message.to_owned(),
    }
}
