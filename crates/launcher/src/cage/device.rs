//! Which disk a path is on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::plan::Device;

/// The disk that a path is on, or would be if it existed; `None` where the file system is on none that the kernel can
/// hold anyone back from: in memory, on the network, on several disks.
pub(super) fn of(path: &Path) -> Option<Device> {
    let metadata = path.ancestors().find_map(|it| fs::metadata(it).ok())?;
    let dev = metadata.dev();
    let known = Path::new("/sys/dev/block").join(format!(
        "{}:{}",
        rustix::fs::major(dev),
        rustix::fs::minor(dev)
    ));
    whole(&fs::canonicalize(known).ok()?)
}

/// The disks of these paths, each once.
pub(super) fn of_all<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Vec<Device> {
    let mut devices = Vec::new();
    for device in paths.into_iter().filter_map(of) {
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    devices
}

/// The disk itself: parts of disks take no limits.
fn whole(device: &Path) -> Option<Device> {
    let whole: PathBuf = if device.join("partition").exists() {
        device.parent()?.into()
    } else {
        device.into()
    };
    parse(&fs::read_to_string(whole.join("dev")).ok()?)
}

fn parse(text: &str) -> Option<Device> {
    let (major, minor) = text.trim().split_once(':')?;
    Some(Device {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_disk_counts_as_the_disk() {
        let root = tempfile::tempdir().expect("a directory");
        let part = root.path().join("vda/vda1");
        fs::create_dir_all(&part).expect("made");
        fs::write(part.join("partition"), "1\n").expect("written");
        fs::write(part.join("dev"), "254:1\n").expect("written");
        fs::write(root.path().join("vda/dev"), "254:0\n").expect("written");
        let disk = Some(Device {
            major: 254,
            minor: 0,
        });
        assert_eq!(whole(&part), disk);
        assert_eq!(whole(&root.path().join("vda")), disk);
    }

    #[test]
    fn file_systems_in_memory_have_no_disk() {
        assert_eq!(of(Path::new("/proc/self")), None);
    }
}
