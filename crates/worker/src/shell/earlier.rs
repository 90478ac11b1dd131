//! What an earlier life left of its attempts.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jobyard_core::{ExecutionTrace, Steady, Timestamp};
use jobyard_executor::LeftBehind;

/// What is known of an attempt with this timeout.
pub(super) fn left_behind(
    started_at: Option<Timestamp>,
    trace: Option<ExecutionTrace>,
    timeout: Option<Duration>,
    now: Steady,
) -> LeftBehind {
    let ran_for = trace.as_ref().map(|trace| ran_for(trace, now));
    LeftBehind {
        time_left: timeout
            .zip(ran_for)
            .map(|(timeout, ran)| timeout.saturating_sub(ran)),
        trace,
        started_at,
    }
}

/// For how long an attempt has run. On Linux traces and steady clocks both count from the boot; elsewhere neither tells,
/// and a timeout begins anew.
fn ran_for(trace: &ExecutionTrace, now: Steady) -> Duration {
    /// The kernel's ticks towards programs, whatever its own are: hundredths of a second.
    const TICK_MICROS: u64 = 10_000;
    if cfg!(target_os = "linux") {
        let started = Steady::from_micros(trace.start_time.saturating_mul(TICK_MICROS));
        now.since(started)
    } else {
        Duration::ZERO
    }
}

/// What attempts of earlier lives left in their private directories, but for those of these names. What is hidden belongs
/// to executors, who know what of it is in use.
pub(super) fn all_but(scratch: &Path, wanted: &[String]) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(scratch) else {
        return Vec::new();
    };
    let is_left = |entry: &DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        !name.starts_with('.') && !wanted.iter().any(|attempt| belongs_to(&name, attempt))
    };
    let left = entries.flatten().filter(is_left);
    left.map(|entry| entry.path()).collect()
}

/// Deletes directories. Blocks.
pub(super) fn delete(left: &[PathBuf]) {
    for path in left {
        if let Err(error) = std::fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "left-over files stay");
        }
    }
}

/// Whether this is an attempt's directory, or one of those beside it that belong to it.
fn belongs_to(name: &str, attempt: &str) -> bool {
    let rest = name.strip_prefix(attempt);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_timeout_goes_on_where_it_was() {
        let left = |timeout: u64, now: u64| {
            let trace = Some(ExecutionTrace::new(1, 500));
            let timeout = Some(Duration::from_secs(timeout));
            left_behind(None, trace, timeout, Steady::from_micros(now * 1_000_000)).time_left
        };
        assert_eq!(left(60, 15), Some(Duration::from_secs(50)));
        assert_eq!(left(60, 65), Some(Duration::ZERO));
        assert_eq!(left(60, 1_000), Some(Duration::ZERO));
        let nothing = left_behind(None, None, Some(Duration::from_secs(1)), Steady::default());
        assert_eq!(nothing, LeftBehind::default());
    }

    #[test]
    fn only_what_belongs_to_an_attempt_stays() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".slots", "job.1", "job.1.tmp", "job.12", "other.1"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        delete(&all_but(dir.path(), &["job.1".to_owned()]));
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".slots", "job.1", "job.1.tmp"]);
    }
}
