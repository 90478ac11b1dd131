//! What a process consumes, as the kernel counts it.

use std::fs;
use std::io;
use std::time::Duration;

/// Processor time of the threads that a process has now, without those that have ended and without its children.
/// Linux only.
pub fn processor_time(pid: u32) -> io::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        if let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) {
            nanos += first_number(&text).unwrap_or(0);
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory of a process that is not a file's: what it has written to, in KiB. Linux only.
pub fn own_memory_kib(pid: u32) -> io::Result<u64> {
    status(pid, "RssAnon:")
}

/// Processor time of a process in its whole life, to a hundredth of a second, with the threads that have ended and
/// without its children. Linux only.
pub fn whole_processor_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, which may hold anything, ends with the last bracket.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<u64> = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    match ticks[..] {
        // What is told to programs is in hundredths on every machine.
        [user, system] => Ok(Duration::from_millis(10 * (user + system))),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The memory in which a process is at this moment, in KiB. Linux only.
pub fn resident_kib(pid: u32) -> io::Result<u64> {
    status(pid, "VmRSS:")
}

/// The most memory in which a process was since the last [`forget_peak`], in KiB. Linux only.
pub fn peak_kib(pid: u32) -> io::Result<u64> {
    status(pid, "VmHWM:")
}

/// Lets the peak begin anew at what a process has now. Linux only.
pub fn forget_peak(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

fn status(pid: u32, name: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| first_number(line.strip_prefix(name)?))
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_consumes() {
        let pid = std::process::id();
        let before = processor_time(pid).expect("told");
        let mut sum = 0_u64;
        while processor_time(pid).expect("told") == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(own_memory_kib(pid).expect("told") > 0);
    }

    #[test]
    fn memory_that_was_given_back_stays_in_the_peak() {
        let pid = std::process::id();
        forget_peak(pid).expect("one's own");
        let before = resident_kib(pid).expect("told");
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(peak_kib(pid).expect("told") >= before + (32 << 10));
        assert!(whole_processor_time(pid).is_ok());
    }
}
