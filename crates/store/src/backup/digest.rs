//! SHA-256 while bytes pass.

use std::fmt::Write as _;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Counts and digests what is read through it.
#[derive(Debug)]
pub(crate) struct DigestReader<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> DigestReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// How many bytes passed, and their digest in hexadecimal.
    pub(crate) fn finish(self) -> (u64, String) {
        let mut text = String::with_capacity(64);
        for byte in self.hash.finalize() {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        (self.bytes, text)
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_the_usual_one() {
        let mut reader = DigestReader::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(reader.finish(), (3, expected.to_owned()));
    }
}
