//! Masks that are not made yet.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use jobyard_core::{OutputStream, SecretText};

use super::super::Filter;
use super::masks::{MaskFilter, Masks};

/// Masks that somebody makes elsewhere, before anybody can print anything: secrets of many kilobytes take a tenth of a
/// second, for which a loop that serves others has no time. Cheap to clone.
#[derive(Clone, Default)]
pub struct LateMasks(Arc<OnceLock<Masks>>);

impl LateMasks {
    /// Makes them. Takes its time. A repeat changes nothing.
    pub fn make<'a>(&self, secrets: impl IntoIterator<Item = &'a SecretText>) {
        self.0.get_or_init(|| Masks::new(secrets));
    }
}

impl fmt::Debug for LateMasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LateMasks")
    }
}

/// A [`MaskFilter`] with masks that are there when the first byte comes. What came before would be dropped: rather too
/// little is seen than a secret.
#[derive(Debug)]
pub struct LateMaskFilter {
    masks: LateMasks,
    /// Once something came.
    filter: Option<MaskFilter>,
}

impl LateMaskFilter {
    /// A filter at the beginning of the output.
    pub const fn new(masks: LateMasks) -> Self {
        Self {
            masks,
            filter: None,
        }
    }
}

impl Filter for LateMaskFilter {
    fn filter(&mut self, stream: OutputStream, bytes: &[u8], out: &mut BytesMut) {
        if self.filter.is_none() {
            self.filter = self.masks.0.get().map(MaskFilter::new);
        }
        if let Some(filter) = &mut self.filter {
            filter.filter(stream, bytes, out);
        }
    }

    fn finish(&mut self, stream: OutputStream, out: &mut BytesMut) {
        if let Some(filter) = &mut self.filter {
            filter.finish(stream, out);
        }
    }

    fn is_transparent(&self) -> bool {
        self.filter.as_ref().is_some_and(Filter::is_transparent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_seen_before_it_can_be_masked() {
        let masks = LateMasks::default();
        let mut filter = LateMaskFilter::new(masks.clone());
        let mut out = BytesMut::new();
        assert!(!filter.is_transparent());
        filter.filter(OutputStream::Stdout, b"hunter2", &mut out);
        filter.finish(OutputStream::Stdout, &mut out);
        assert!(out.is_empty());
        masks.make([&SecretText::new("hunter2")]);
        filter.filter(OutputStream::Stdout, b"a hunter2, hun", &mut out);
        assert_eq!(out, "a ***, ");
        filter.finish(OutputStream::Stdout, &mut out);
        assert_eq!(out, "a ***, hun");
    }
}
