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
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| first_number(line.strip_prefix("RssAnon:")?))
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
}
