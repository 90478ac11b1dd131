//! Short digests, to notice that something differs. They withstand accidents, not forgers.

use crate::Decision;

/// FNV-1a in 32 bits (Fowler, Noll, Vo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u32);

impl Digest {
    /// Of nothing.
    pub(super) const fn new() -> Self {
        Self(0x811c_9dc5)
    }

    /// The digest of these bytes.
    pub(super) fn of(bytes: &[u8]) -> [u8; 4] {
        let mut digest = Self::new();
        digest.add(bytes);
        digest.finish()
    }

    /// The digest of what was decided, in order.
    pub(super) fn of_decisions(decisions: &[Decision]) -> [u8; 4] {
        let mut digest = Self::new();
        for decision in decisions {
            match decision {
                Decision::Assigned { job, worker } => {
                    digest.add(&[1]);
                    digest.add(job.as_uuid().as_bytes());
                    digest.add(worker.as_uuid().as_bytes());
                }
                Decision::GaveUp { job } => {
                    digest.add(&[2]);
                    digest.add(job.as_uuid().as_bytes());
                }
            }
        }
        digest.finish()
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }

    const fn finish(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_published_function() {
        assert_eq!(Digest::of(b""), 0x811c_9dc5_u32.to_le_bytes());
        assert_eq!(Digest::of(b"foobar"), 0xbf9c_f968_u32.to_le_bytes());
    }
}
