//! How much memory the control groups leave to this process.

use std::path::{Component, Path, PathBuf};

/// The least limit of the groups around this process, in bytes; `None` where none can be read.
pub(super) fn memory_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    least_limit(&groups, Path::new("/sys/fs/cgroup"))
}

/// The same for a process with these `groups` (as `/proc/self/cgroup` has them), where control groups are mounted at
/// `mount`.
fn least_limit(groups: &str, mount: &Path) -> Option<u64> {
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, group) = (fields.next()?, fields.next()?);
            match controllers {
                "" => limit_around(mount, group, "memory.max"),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    let mount = mount.join(controllers);
                    limit_around(&mount, group, "memory.limit_in_bytes")
                }
                _ => None,
            }
        })
        .min()
}

/// The least number in a group's file of this name and those of the groups around it. In a container the outer ones are
/// not to be seen, and the group's name may be one from outside: what is not there limits nothing.
fn limit_around(mount: &Path, group: &str, file: &str) -> Option<u64> {
    let parts = Path::new(group)
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    let inner = mount.join(parts.collect::<PathBuf>());
    inner
        .ancestors()
        .take_while(|dir| dir.starts_with(mount))
        // Without a limit it says `max`, or a number larger than any machine.
        .filter_map(|dir| std::fs::read_to_string(dir.join(file)).ok())
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn the_least_limit_around_the_process_counts() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "system.slice/memory.max", "4294967296\n");
        write(root.path(), "system.slice/a.service/memory.max", "max\n");
        let limit = least_limit("0::/system.slice/a.service\n", root.path());
        assert_eq!(limit, Some(4 << 30));
        write(root.path(), "system.slice/a.service/memory.max", "1024\n");
        let limit = least_limit("0::/system.slice/a.service\n", root.path());
        assert_eq!(limit, Some(1024));
        assert_eq!(least_limit("0::/user.slice\n", root.path()), None);
    }

    #[test]
    fn a_container_sees_its_own_limit_whatever_its_group_is_called() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "memory.max", "2048");
        for group in ["/", "/docker/0123", "/../outside"] {
            let limit = least_limit(&format!("0::{group}"), root.path());
            assert_eq!(limit, Some(2048), "{group}");
        }
    }

    #[test]
    fn the_first_version_of_control_groups_is_read_too() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "memory/memory.limit_in_bytes",
            "9223372036854771712",
        );
        write(root.path(), "memory/a/memory.limit_in_bytes", "512");
        let groups = "5:cpuset:/a\n4:memory:/a/b\n0::/\nnonsense\n";
        assert_eq!(least_limit(groups, root.path()), Some(512));
        assert_eq!(least_limit("5:cpuset:/a\n", root.path()), None);
    }
}
