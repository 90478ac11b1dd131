//! Whether processes that could not be killed are gone by now.

use jobyard_core::KilledProcess;

/// Whether something of this still runs, as far as it is known: a process with this number and this name. Where the
/// system does not tell, nothing does.
pub(super) fn any_runs(processes: &[KilledProcess]) -> bool {
    processes.iter().any(runs)
}

fn runs(process: &KilledProcess) -> bool {
    let stat = std::fs::read(format!("/proc/{}/stat", process.pid));
    stat.is_ok_and(|stat| is_alive(&String::from_utf8_lossy(&stat), &process.name))
}

/// How many bytes of a name the kernel keeps.
const NAME_BYTES: usize = 15;

/// Whether a line of `/proc/PID/stat` is that of a living process of this name.
fn is_alive(stat: &str, name: &str) -> bool {
    let Some((before, state)) = stat.rsplit_once(") ") else {
        return false;
    };
    let called = before.split_once('(').map_or("", |(_, name)| name);
    let begin = |name: &str| name.bytes().take(NAME_BYTES).collect::<Vec<u8>>();
    !state.starts_with(['Z', 'X']) && begin(called) == begin(name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_by_its_number_its_name_and_its_life() {
        assert!(is_alive("42 (stuck) D 1 42 42 0", "stuck"));
        assert!(is_alive("42 (a name (odd)) S 1 2", "a name (odd)"));
        assert!(is_alive("42 (a-name-that-is-) S 1", "a-name-that-is-long"));
        assert!(
            !is_alive("42 (stuck) Z 1 42", "stuck"),
            "dead, if not buried"
        );
        assert!(!is_alive("42 (other) R 1 42", "stuck"), "another one");
        assert!(!is_alive("nonsense", "stuck"));
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
