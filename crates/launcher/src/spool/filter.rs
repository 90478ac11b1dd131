//! What happens to output before it is kept.

use bytes::BytesMut;
use jobyard_core::OutputStream;

/// Changes output on its way into the spool: the place for masking. Offsets count what comes out.
///
/// # Contract
///
/// Each stream is filtered for itself. A filter may hold bytes back, when it cannot know yet what becomes of them, but
/// no more than a bound of its own; [`finish`](Self::finish) gives them out.
pub trait Filter: Send {
    /// Takes bytes as they were read; appends what is to be kept now.
    fn filter(&mut self, stream: OutputStream, bytes: &[u8], out: &mut BytesMut);

    /// Nothing follows on this stream; appends what was held back.
    fn finish(&mut self, stream: OutputStream, out: &mut BytesMut);

    /// Whether it changes nothing and holds nothing back, so that its caller may leave it out.
    fn is_transparent(&self) -> bool {
        false
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassThrough;

impl Filter for PassThrough {
    fn filter(&mut self, _stream: OutputStream, bytes: &[u8], out: &mut BytesMut) {
        out.extend_from_slice(bytes);
    }

    fn finish(&mut self, _stream: OutputStream, _out: &mut BytesMut) {}

    fn is_transparent(&self) -> bool {
        true
    }
}
