//! The smallest program: what starting a process costs without a loader and libraries.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes a static program that succeeds at once into this directory. `None` on architectures whose instructions are
/// not known here.
pub fn write_tiny(dir: &Path) -> io::Result<Option<PathBuf>> {
    let Some(machine) = Machine::THIS else {
        return Ok(None);
    };
    let path = dir.join("tiny");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&path)?
        .write_all(&machine.program())?;
    Ok(Some(path))
}

/// An architecture: its number in ELF files, and its instructions for `exit(0)`.
#[derive(Clone, Copy)]
struct Machine {
    number: u16,
    exit: &'static [u8],
}

impl Machine {
    const THIS: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self {
            number: 62,
            // mov eax, 60; xor edi, edi; syscall
            exit: &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05],
        })
    } else if cfg!(target_arch = "aarch64") {
        Some(Self {
            number: 183,
            // mov x8, #93; mov x0, #0; svc #0
            exit: &[0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 1, 0, 0, 0xd4],
        })
    } else {
        None
    };

    /// An ELF file of one segment: the whole file, readable and executable. See elf(5).
    fn program(self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        let size = FILE_HEADER + SEGMENT_HEADER + self.exit.len() as u64;
        let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
        let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
        let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
        half(&mut file, 2); // an executable
        half(&mut file, self.number);
        word(&mut file, 1);
        long(&mut file, ADDRESS + FILE_HEADER + SEGMENT_HEADER); // where it begins
        long(&mut file, FILE_HEADER); // where the segment's header is
        long(&mut file, 0);
        word(&mut file, 0);
        for value in [FILE_HEADER, SEGMENT_HEADER, 1, 0, 0, 0] {
            half(&mut file, u16::try_from(value).unwrap_or(0));
        }
        word(&mut file, 1); // to be loaded
        word(&mut file, 5); // readable and executable
        for value in [0, ADDRESS, ADDRESS, size, size, PAGE] {
            long(&mut file, value);
        }
        file.extend(self.exit);
        file
    }
}

const FILE_HEADER: u64 = 64;
const SEGMENT_HEADER: u64 = 56;
/// Where the segment is loaded: the usual place.
const ADDRESS: u64 = 0x40_0000;
/// The largest page of the architectures above.
const PAGE: u64 = 0x1_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_succeeds() {
        let dir = tempfile::tempdir().expect("a directory");
        if let Some(program) = write_tiny(dir.path()).expect("written") {
            let status = std::process::Command::new(program).status();
            assert!(status.expect("it starts").success());
        }
    }
}
