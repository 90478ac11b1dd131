//! What a child says through its report pipe.

use std::os::fd::AsFd;

use rustix::io::{Errno, write};

use super::raw::Waited;
use super::step::Step;

/// How long a record is. Shorter than `PIPE_BUF`, so a record is never torn.
pub(super) const RECORD_BYTES: usize = 8 * WORDS;

/// How many words a record has; words that a kind does not use are 0.
const WORDS: usize = 7;

/// Something that a child says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The main process is this one, by the numbering of the launcher, and it is about to execute its program.
    Main {
        /// Its number.
        pid: u32,
        /// When it started, in the kernel's ticks since boot.
        start_time: u64,
    },
    /// The program was executed. Only a warden says so; else the closing of the pipe does.
    Executed,
    /// A step failed; the program will not be executed.
    Failed {
        /// Which step.
        step: Step,
        /// The error number.
        errno: i32,
    },
    /// The main process has ended. Only a warden says so.
    Exited(Ended),
}

/// How a process ended and what it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// As `wait4` gives it.
    pub(super) status: i32,
    /// Processor time in its own code, in microseconds.
    pub(super) user_micros: u64,
    /// Processor time in the system, in microseconds.
    pub(super) system_micros: u64,
    /// The memory that it had at most, in KiB.
    pub(super) max_rss: u64,
    /// Blocks of 512 bytes that it read.
    pub(super) blocks_in: u64,
    /// Blocks of 512 bytes that it wrote.
    pub(super) blocks_out: u64,
}

impl Ended {
    /// What `wait4` said.
    pub(super) fn new(waited: &Waited) -> Self {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let micros = |time: libc::timeval| {
            number(time.tv_sec)
                .saturating_mul(1_000_000)
                .saturating_add(number(time.tv_usec))
        };
        let used = &waited.rusage;
        Self {
            status: waited.status,
            user_micros: micros(used.ru_utime),
            system_micros: micros(used.ru_stime),
            max_rss: number(used.ru_maxrss),
            blocks_in: number(used.ru_inblock),
            blocks_out: number(used.ru_oublock),
        }
    }
}

impl Record {
    /// Writes it. Fails if nobody is there to read it any more.
    pub(super) fn send(&self, pipe: impl AsFd) -> Result<(), Errno> {
        write(pipe, &self.to_bytes()).map(drop)
    }

    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let words: [u64; WORDS] = match self {
            Self::Main { pid, start_time } => [1, u64::from(pid), start_time, 0, 0, 0, 0],
            Self::Executed => [2, 0, 0, 0, 0, 0, 0],
            Self::Failed { step, errno } => [3, step as u64, from_signed(errno), 0, 0, 0, 0],
            Self::Exited(ended) => [
                4,
                from_signed(ended.status),
                ended.user_micros,
                ended.system_micros,
                ended.max_rss,
                ended.blocks_in,
                ended.blocks_out,
            ],
        };
        let mut bytes = [0; RECORD_BYTES];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// Reads it; `None` if it is none.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut words = [0; WORDS];
        for (word, from) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(from.try_into().ok()?);
        }
        Some(match words[0] {
            1 => Self::Main {
                pid: u32::try_from(words[1]).ok()?,
                start_time: words[2],
            },
            2 => Self::Executed,
            3 => Self::Failed {
                step: Step::from_number(words[1])?,
                errno: to_signed(words[2])?,
            },
            4 => Self::Exited(Ended {
                status: to_signed(words[1])?,
                user_micros: words[2],
                system_micros: words[3],
                max_rss: words[4],
                blocks_in: words[5],
                blocks_out: words[6],
            }),
            _ => return None,
        })
    }
}

fn from_signed(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn to_signed(word: u64) -> Option<i32> {
    u32::try_from(word).ok().map(u32::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let records = [
            Record::Main {
                pid: 7,
                start_time: u64::MAX,
            },
            Record::Executed,
            Record::Failed {
                step: Step::Execute,
                errno: 2,
            },
            Record::Exited(Ended {
                status: -1,
                user_micros: 1,
                system_micros: 2,
                max_rss: 3,
                blocks_in: 4,
                blocks_out: 5,
            }),
        ];
        for record in records {
            assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
        }
        assert_eq!(Record::from_bytes(&[0; RECORD_BYTES]), None);
    }
}
