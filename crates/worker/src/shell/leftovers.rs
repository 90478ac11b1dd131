//! Whether processes that could not be killed are gone by now.

use jobyard_core::KilledProcess;
use jobyard_launcher::ProcessStat;

/// Whether something of this still runs, as far as it is known: a process with this number and this name. Where the
/// system does not tell, nothing does.
pub(super) fn any_runs(processes: &[KilledProcess]) -> bool {
    processes.iter().any(runs)
}

fn runs(process: &KilledProcess) -> bool {
    let now = ProcessStat::of(process.pid).ok().flatten();
    now.is_some_and(|now| is_alive(&now, &process.name))
}

/// How many bytes of a name the kernel keeps.
const NAME_BYTES: usize = 15;

/// Whether this is a living process of this name.
fn is_alive(now: &ProcessStat, name: &str) -> bool {
    let begin = |name: &str| name.bytes().take(NAME_BYTES).collect::<Vec<u8>>();
    !now.is_dead && begin(&now.name) == begin(name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_its_number_its_name_and_its_life() {
        let lives = |begin: &str, name: &str| {
            let line = format!("{begin} 1 42 42 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 99 9 9");
            let stat = ProcessStat::parse(line.as_bytes());
            stat.is_some_and(|stat| is_alive(&stat, name))
        };
        assert!(lives("42 (stuck) D", "stuck"));
        assert!(lives("42 (a name (odd)) S", "a name (odd)"));
        assert!(lives("42 (a-name-that-is-) S", "a-name-that-is-long"));
        assert!(!lives("42 (stuck) Z", "stuck"), "dead, if not buried");
        assert!(!lives("42 (other) R", "stuck"), "another one");
        assert!(!lives("nonsense", "stuck"));
    }

    #[test]
    fn this_process_runs() {
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        let own = KilledProcess::new(std::process::id(), name.trim_end().to_owned());
        assert!(any_runs(std::slice::from_ref(&own)));
        assert!(!any_runs(&[KilledProcess::new(
            own.pid,
            "another".to_owned()
        )]));
        assert!(!any_runs(&[]));
    }
}
