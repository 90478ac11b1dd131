//! What the jobs run: this program once more.

use std::fs::{self, File};
use std::io::{Read, Write, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use jobyard_core::MAX_CHUNK_BYTES;

/// The first argument of this program as a job.
pub(crate) const PRINT: &str = "print";

/// What a job prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Printer {
    /// So many bytes, as fast as they are taken.
    Bulk { bytes: u64 },
    /// So many bytes in so much time at the least, once the gun is fired; how long it took is written to a file.
    Paced {
        bytes: u64,
        within: Duration,
        gun: PathBuf,
        took: PathBuf,
    },
    /// So many lines in so much time, evenly, each with the time at which it was written.
    Lines { lines: u32, within: Duration },
    /// So many writes of 1 to 10 bytes; how long they took is written to a file.
    Tiny { writes: u64, took: PathBuf },
}

/// How many bytes the writes of 1 to 10 bytes come to.
pub(crate) fn tiny_bytes(writes: u64) -> u64 {
    (0..writes).map(tiny_length).sum()
}

const fn tiny_length(number: u64) -> u64 {
    number % 10 + 1
}

impl Printer {
    /// The command of a job that prints this.
    pub(crate) fn command(&self) -> Result<Vec<String>> {
        let program = std::env::current_exe()?;
        let mut command = vec![text(&program)?, PRINT.to_owned()];
        let millis = |within: &Duration| within.as_millis().to_string();
        command.extend(match self {
            Self::Bulk { bytes } => vec!["bulk".to_owned(), bytes.to_string()],
            Self::Paced {
                bytes,
                within,
                gun,
                took,
            } => vec![
                "paced".to_owned(),
                bytes.to_string(),
                millis(within),
                text(gun)?,
                text(took)?,
            ],
            Self::Lines { lines, within } => {
                vec!["lines".to_owned(), lines.to_string(), millis(within)]
            }
            Self::Tiny { writes, took } => {
                vec!["tiny".to_owned(), writes.to_string(), text(took)?]
            }
        });
        Ok(command)
    }

    /// The other way round, without the first argument.
    pub(crate) fn from_arguments(arguments: &[&str]) -> Result<Self> {
        let millis = |text: &str| text.parse().map(Duration::from_millis);
        Ok(match arguments {
            ["bulk", bytes] => Self::Bulk {
                bytes: bytes.parse()?,
            },
            ["paced", bytes, within, gun, took] => Self::Paced {
                bytes: bytes.parse()?,
                within: millis(within)?,
                gun: PathBuf::from(gun),
                took: PathBuf::from(took),
            },
            ["lines", lines, within] => Self::Lines {
                lines: lines.parse()?,
                within: millis(within)?,
            },
            ["tiny", writes, took] => Self::Tiny {
                writes: writes.parse()?,
                took: PathBuf::from(took),
            },
            other => bail!("it cannot print {other:?}"),
        })
    }

    /// Prints it.
    pub(crate) fn run(self) -> Result<()> {
        // Not through the standard library's buffer.
        let mut out = File::from(stdout().as_fd().try_clone_to_owned()?);
        match self {
            Self::Bulk { bytes } => {
                let block = block();
                lengths(bytes).try_for_each(|length| out.write_all(&block[..length]))?;
            }
            Self::Paced {
                bytes,
                within,
                gun,
                took,
            } => {
                UnixStream::connect(gun)?.read_exact(&mut [0])?;
                let begun = Instant::now();
                let steps = u32::try_from(bytes.div_ceil(MAX_CHUNK_BYTES as u64))?;
                let block = block();
                for (number, length) in (1..).zip(lengths(bytes)) {
                    out.write_all(&block[..length])?;
                    wait_until(begun + within * number / steps);
                }
                write_down(begun, took)?;
            }
            Self::Lines { lines, within } => {
                let begun = Instant::now();
                for number in 0..lines {
                    wait_until(begun + within * number / lines);
                    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
                    let line = format!(
                        "{now:020} line {number:08} of a job that says what it does, step by step, as jobs do\n"
                    );
                    out.write_all(line.as_bytes())?;
                }
            }
            Self::Tiny { writes, took } => {
                let begun = Instant::now();
                for number in 0..writes {
                    let length = usize::try_from(tiny_length(number))?;
                    out.write_all(&b"123456789\n"[10 - length..])?;
                }
                write_down(begun, took)?;
            }
        }
        Ok(())
    }
}

/// The time at the beginning of a line, in microseconds since 1970.
pub(crate) fn time_of_line(line: &[u8]) -> Option<u128> {
    std::str::from_utf8(line.get(..20)?).ok()?.parse().ok()
}

fn wait_until(at: Instant) {
    if let Some(rest) = at.checked_duration_since(Instant::now()) {
        sleep(rest);
    }
}

fn write_down(begun: Instant, file: PathBuf) -> Result<()> {
    // Whoever reads it finds it whole or not at all.
    let whole = file.with_extension("whole");
    fs::write(&whole, begun.elapsed().as_nanos().to_string())?;
    Ok(fs::rename(whole, file)?)
}

/// What a job has written down.
pub(crate) fn read_time(file: &std::path::Path) -> Result<Duration> {
    let text = fs::read_to_string(file).context("a job did not write down its time")?;
    Ok(Duration::from_nanos(text.parse()?))
}

/// So many bytes cut into pieces of a full chunk.
fn lengths(bytes: u64) -> impl Iterator<Item = usize> {
    let size = MAX_CHUNK_BYTES as u64;
    (0..bytes.div_ceil(size)).map(move |number| {
        let rest = usize::try_from(bytes - number * size).unwrap_or(usize::MAX);
        rest.min(MAX_CHUNK_BYTES)
    })
}

/// Lines of hexadecimal numbers, so that they neither compress to nothing nor hold anything that is to be masked.
fn block() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut block = Vec::with_capacity(MAX_CHUNK_BYTES);
    while block.len() < MAX_CHUNK_BYTES {
        for _ in 0..4 {
            block.extend_from_slice(format!("{:016x} ", random.u64(..)).as_bytes());
        }
        block.push(b'\n');
    }
    block.truncate(MAX_CHUNK_BYTES);
    block
}

fn text(path: &std::path::Path) -> Result<String> {
    let path = path.to_str().context("a path that is no text")?;
    Ok(path.to_owned())
}
