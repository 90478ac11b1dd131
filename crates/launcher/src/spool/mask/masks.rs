//! All secrets of one attempt, and the filter of its output.

use std::fmt;
use std::sync::Arc;

use bytes::BytesMut;
use jobyard_core::{OutputStream, SecretText};

use super::super::Filter;
use super::forms::Forms;
use super::patterns::Patterns;
use super::stream::StreamMasker;
use super::wrapped::Wrapped;

/// What must not be seen in the output of an attempt. Cheap to clone.
///
/// ```
/// use bytes::BytesMut;
/// use jobyard_core::SecretText;
/// use jobyard_launcher::spool::{Masks, StreamMasker};
///
/// let masks = Masks::new([&SecretText::new("hunter2")]);
/// let (mut stream, mut out) = (StreamMasker::new(&masks), BytesMut::new());
/// stream.push(b"the password is hunt", &mut out);
/// assert_eq!(out, "the password is ");
/// stream.push(b"er2, or aHVudGVyMgo= for short", &mut out);
/// stream.finish(&mut out);
/// assert_eq!(out, "the password is ***, or *** for short");
/// ```
#[derive(Clone)]
pub struct Masks(Arc<Both>);

struct Both {
    patterns: Patterns,
    wrapped: Wrapped,
}

impl Masks {
    /// Looks for these. What is no secret by [`SecretText::check`] is left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretText>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| secret.check().is_ok());
        let forms = Forms::new(secrets.map(SecretText::expose));
        Self(Arc::new(Both {
            patterns: Patterns::new(forms.patterns),
            wrapped: Wrapped::new(forms.base64),
        }))
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.0.patterns.is_empty()
    }

    pub(super) fn patterns(&self) -> &Patterns {
        &self.0.patterns
    }

    pub(super) fn wrapped(&self) -> &Wrapped {
        &self.0.wrapped
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}

/// Masks both streams of an attempt, each for itself.
#[derive(Debug)]
pub struct MaskFilter {
    is_empty: bool,
    stdout: StreamMasker,
    stderr: StreamMasker,
}

impl MaskFilter {
    /// A filter at the beginning of the output.
    pub fn new(masks: &Masks) -> Self {
        Self {
            is_empty: masks.is_empty(),
            stdout: StreamMasker::new(masks),
            stderr: StreamMasker::new(masks),
        }
    }

    const fn of(&mut self, stream: OutputStream) -> &mut StreamMasker {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }
}

impl Filter for MaskFilter {
    fn filter(&mut self, stream: OutputStream, bytes: &[u8], out: &mut BytesMut) {
        self.of(stream).push(bytes, out);
    }

    fn finish(&mut self, stream: OutputStream, out: &mut BytesMut) {
        self.of(stream).finish(out);
    }

    fn is_transparent(&self) -> bool {
        self.is_empty
    }
}
