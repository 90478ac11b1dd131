//! Where control groups are mounted, and where in them this process is.
//!
//! Pure: it reads the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`, as proc(5) and cgroups(7) describe them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// A controller of version 1 that is of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Controller {
    Memory,
    Cpu,
    CpuAcct,
    Pids,
    Blkio,
    Freezer,
}

impl Controller {
    pub(super) const ALL: [Self; 6] = [
        Self::Memory,
        Self::Cpu,
        Self::CpuAcct,
        Self::Pids,
        Self::Blkio,
        Self::Freezer,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::CpuAcct => "cpuacct",
            Self::Pids => "pids",
            Self::Blkio => "blkio",
            Self::Freezer => "freezer",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

/// One mounted hierarchy, and the group of it that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Where its uppermost visible group is.
    pub(super) top: PathBuf,
    /// The group of this process.
    pub(super) own: PathBuf,
}

/// The hierarchies of a machine. Several controllers of version 1 may share one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    pub(super) v2: Option<Hierarchy>,
    pub(super) v1: BTreeMap<Controller, Hierarchy>,
}

impl Hierarchies {
    /// From the two texts of the kernel. Lines that make no sense are left out.
    pub(super) fn parse(mountinfo: &str, own: &str) -> Self {
        let own: Vec<OwnGroup> = own.lines().filter_map(OwnGroup::parse).collect();
        let mut found = Self::default();
        let mounts = mountinfo.lines().filter_map(Mount::parse);
        // Names of cages are written down as text.
        for mount in mounts.filter(|mount| mount.point.to_str().is_some()) {
            if mount.controllers.is_none() {
                let path = own.iter().find(|group| group.controllers.is_empty());
                if let (Some(group), None) = (path, &found.v2) {
                    found.v2 = Some(mount.hierarchy(&group.path));
                }
                continue;
            }
            for name in mount.controllers.iter().flatten() {
                let path = own
                    .iter()
                    .find(|group| group.controllers.iter().any(|it| it == name));
                if let (Some(controller), Some(group)) = (Controller::parse(name), path) {
                    let hierarchy = mount.hierarchy(&group.path);
                    found.v1.entry(controller).or_insert(hierarchy);
                }
            }
        }
        found
    }

    /// From how a directory looks: hierarchies of version 1 in directories of the names of their controllers, that of
    /// version 2 in `unified` or in the directory itself. All with this process in their uppermost group.
    pub(super) fn beneath(root: &Path) -> Self {
        let at = |path: PathBuf| Hierarchy {
            top: path.clone(),
            own: path,
        };
        let v2 = [root.to_path_buf(), root.join("unified")]
            .into_iter()
            .find(|path| path.join("cgroup.controllers").exists())
            .map(at);
        let v1 = Controller::ALL
            .into_iter()
            .map(|controller| (controller, root.join(controller.as_str())))
            .filter(|(_, path)| path.join("cgroup.procs").exists())
            .map(|(controller, path)| (controller, at(path)))
            .collect();
        Self { v2, v1 }
    }
}

/// A line of `/proc/self/cgroup`.
struct OwnGroup {
    /// Empty: version 2.
    controllers: Vec<String>,
    path: PathBuf,
}

impl OwnGroup {
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let id = parts.next()?;
        let controllers = parts.next()?;
        let path = PathBuf::from(parts.next()?);
        if controllers.is_empty() != (id == "0") {
            return None;
        }
        Some(Self {
            controllers: controllers
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            path,
        })
    }
}

/// A line of `/proc/self/mountinfo` that mounts control groups.
struct Mount {
    /// Which group of the hierarchy is at the mount point.
    root: PathBuf,
    point: PathBuf,
    /// `None`: version 2.
    controllers: Option<Vec<String>>,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let root = unescape(mount.next()?);
        let point = unescape(mount.next()?);
        let mut kind = kind.split(' ');
        let controllers = match kind.next()? {
            "cgroup2" => None,
            "cgroup" => Some(kind.nth(1)?.split(',').map(str::to_owned).collect()),
            _ => return None,
        };
        Some(Self {
            root,
            point,
            controllers,
        })
    }

    /// A process whose group is not beneath what is mounted sees the mount point as its own: so it is in containers
    /// that show their own groups without a namespace for them.
    fn hierarchy(&self, group: &Path) -> Hierarchy {
        let beneath = group.strip_prefix(&self.root).unwrap_or(Path::new(""));
        let plain = beneath
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let own = if plain && beneath != Path::new("") {
            self.point.join(beneath)
        } else {
            self.point.clone()
        };
        Hierarchy {
            top: self.point.clone(),
            own,
        }
    }
}

/// Undoes the kernel's escapes: a blank is `\040`.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    const HYBRID_OWN: &str =
        "9:name=systemd:/\n6:freezer:/\n4:memory:/outer/inner\n1:cpu:/\n0::/\n";

    fn at(top: &str, own: &str) -> Hierarchy {
        Hierarchy {
            top: top.into(),
            own: own.into(),
        }
    }

    #[test]
    fn both_versions_of_a_hybrid_machine_are_found() {
        let found = Hierarchies::parse(HYBRID, HYBRID_OWN);
        let unified = "/sys/fs/cgroup/unified";
        assert_eq!(found.v2, Some(at(unified, unified)));
        let memory = at("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/outer/inner");
        assert_eq!(found.v1[&Controller::Memory], memory);
        let kinds: Vec<_> = found.v1.keys().copied().collect();
        assert_eq!(
            kinds,
            [Controller::Memory, Controller::Cpu, Controller::Freezer]
        );
    }

    #[test]
    fn a_delegated_group_of_systemd_is_the_own_group() {
        let found = Hierarchies::parse(
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
            "0::/system.slice/jobyard-worker.service\n",
        );
        let own = "/sys/fs/cgroup/system.slice/jobyard-worker.service";
        assert_eq!(found.v2, Some(at("/sys/fs/cgroup", own)));
        assert!(found.v1.is_empty());
    }

    #[test]
    fn controllers_that_are_mounted_together_share_a_hierarchy() {
        let found = Hierarchies::parse(
            "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n",
            "2:cpu,cpuacct:/user.slice\n",
        );
        let both = at(
            "/sys/fs/cgroup/cpu,cpuacct",
            "/sys/fs/cgroup/cpu,cpuacct/user.slice",
        );
        assert_eq!(found.v1[&Controller::Cpu], both);
        assert_eq!(found.v1[&Controller::CpuAcct], both);
    }

    #[test]
    fn a_container_sees_its_own_part_at_the_mount_point() {
        let line = "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let found = Hierarchies::parse(line, "0::/docker/abc\n");
        assert_eq!(found.v2, Some(at("/sys/fs/cgroup", "/sys/fs/cgroup")));
        let found = Hierarchies::parse(line, "0::/docker/abc/job\n");
        assert_eq!(found.v2, Some(at("/sys/fs/cgroup", "/sys/fs/cgroup/job")));
        let found = Hierarchies::parse(line, "0::/../elsewhere\n");
        assert_eq!(found.v2, Some(at("/sys/fs/cgroup", "/sys/fs/cgroup")));
    }

    #[test]
    fn a_group_above_the_own_namespace_is_not_climbed_to() {
        let found = Hierarchies::parse(
            "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
            "0::/../../elsewhere\n",
        );
        assert_eq!(found.v2, Some(at("/sys/fs/cgroup", "/sys/fs/cgroup")));
    }

    #[test]
    fn a_machine_without_control_groups_has_none() {
        let found = Hierarchies::parse("23 1 254:0 / / rw - ext4 /dev/root rw\n", "");
        assert_eq!(found, Hierarchies::default());
    }

    #[test]
    fn blanks_in_mount_points_are_understood() {
        assert_eq!(unescape(r"/a\040b\134c"), Path::new(r"/a b\c"));
        assert_eq!(unescape(r"/a\"), Path::new(r"/a\"));
    }

    #[test]
    fn a_directory_tells_its_layout() {
        let root = tempfile::tempdir().expect("a directory");
        for directory in ["unified", "memory", "cpuset"] {
            std::fs::create_dir(root.path().join(directory)).expect("made");
        }
        std::fs::write(root.path().join("unified/cgroup.controllers"), "").expect("written");
        std::fs::write(root.path().join("memory/cgroup.procs"), "").expect("written");
        let found = Hierarchies::beneath(root.path());
        assert_eq!(found.v2.map(|it| it.own), Some(root.path().join("unified")));
        assert_eq!(
            found.v1.keys().copied().collect::<Vec<_>>(),
            [Controller::Memory]
        );
    }
}
