//! Facts of the machine.

use jobyard_core::{BootId, WorkerFacts};
use uuid::Uuid;

#[cfg(target_os = "linux")]
use super::cgroup;

/// What this machine says of itself. Reads a few files of the system.
pub fn of_this_machine() -> WorkerFacts {
    let mut facts = WorkerFacts::default();
    facts.host = hostname::get()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    os.clone_into(&mut facts.os);
    std::env::consts::ARCH.clone_into(&mut facts.arch);
    env!("CARGO_PKG_VERSION").clone_into(&mut facts.version);
    facts.cores = std::thread::available_parallelism()
        .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    facts.memory_bytes = memory_bytes();
    facts
}

/// The machine's boot, as its kernel names it. Where it does not, each call names a new one: what ran before then
/// counts as gone after a restart of the worker, which is what this worker can promise there.
pub fn boot_id() -> BootId {
    let named = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let named = named.and_then(|text| text.trim().parse().ok());
    named.unwrap_or_else(|| BootId::from_uuid(Uuid::now_v7()))
}

#[cfg(target_os = "linux")]
#[expect(
    clippy::useless_conversion,
    reason = "the width differs between architectures"
)]
fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit));
    cgroup::memory_limit().map_or(machine, |limit| machine.min(limit))
}

#[cfg(not(target_os = "linux"))]
const fn memory_bytes() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_processors_and_memory() {
        let facts = of_this_machine();
        assert!(!facts.host.is_empty() && facts.cores > 0, "{facts:?}");
        #[cfg(target_os = "linux")]
        assert!(facts.memory_bytes > 64 * 1024 * 1024, "{facts:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_boot_stays_the_same() {
        assert_eq!(boot_id(), boot_id());
    }
}
