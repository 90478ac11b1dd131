use jobyard_core::LimitKind;

use super::*;

/// A directory that looks like a group.
fn recorded(parent: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let group = parent.join(name);
    fs::create_dir_all(&group).expect("made");
    for (file, text) in files {
        fs::write(group.join(file), text).expect("written");
    }
    group
}

#[test]
fn controllers_are_handed_down_where_they_are_missing() {
    let root = tempfile::tempdir().expect("a directory");
    let group = recorded(
        root.path(),
        "group",
        &[
            (
                "cgroup.controllers",
                "cpuset cpu io memory hugetlb pids rdma\n",
            ),
            ("cgroup.subtree_control", "memory pids\n"),
        ],
    );
    assert_eq!(missing(&group), ["cpu", "io"]);
}

#[test]
fn a_machine_with_other_controllers_alone_is_left_as_it_is() {
    let root = tempfile::tempdir().expect("a directory");
    let files = [
        ("cgroup.controllers", "hugetlb\n"),
        ("cgroup.subtree_control", ""),
    ];
    let base = recorded(root.path(), "base", &files);
    let ours = recorded(&base, "jobyard-test", &files);
    let mut notes = Vec::new();
    let enabled = enable_controllers(&base, &ours, &mut notes);
    assert!(enabled.is_empty());
    assert_eq!(
        notes,
        ["cgroup2: no controllers, so no limits by version 2"]
    );
    let written = fs::read_to_string(base.join("cgroup.subtree_control")).expect("read");
    assert_eq!(written, "");
}

#[test]
fn only_this_process_is_ever_moved() {
    assert_eq!(Room::of("", 7), Room::Free);
    assert_eq!(Room::of("7\n", 7), Room::MoveSelf);
    assert_eq!(Room::of("7\n8\n9\n", 7), Room::Taken(2));
    assert_eq!(Room::of("77\n", 7), Room::Taken(1));
}

#[test]
fn a_group_with_others_in_it_is_left_as_it_is() {
    let root = tempfile::tempdir().expect("a directory");
    let base = recorded(
        root.path(),
        "jobyard.service",
        &[
            ("cgroup.controllers", "memory pids\n"),
            ("cgroup.subtree_control", ""),
            ("cgroup.events", "populated 1\nfrozen 0\n"),
            ("cgroup.procs", &format!("1\n{}\n", std::process::id())),
        ],
    );
    let mut notes = Vec::new();
    make_room_and_enable(&base, &mut notes);
    assert!(!base.join("launcher").exists());
    assert!(notes[0].contains("1 other processes"), "{notes:?}");
    assert!(notes[0].contains("DelegateSubgroup"), "{notes:?}");
}

#[test]
fn a_move_that_does_not_help_is_undone() {
    let root = tempfile::tempdir().expect("a directory");
    let own = std::process::id().to_string();
    let base = recorded(
        root.path(),
        "scope",
        &[
            ("cgroup.controllers", "memory\n"),
            ("cgroup.events", "populated 1\nfrozen 0\n"),
            ("cgroup.procs", &own),
        ],
    );
    // There is no cgroup.procs in the new group, since no kernel makes one: the move fails.
    let mut notes = Vec::new();
    make_room_and_enable(&base, &mut notes);
    assert!(notes[0].contains("no move"), "{notes:?}");
    assert_eq!(
        fs::read_to_string(base.join("cgroup.procs")).expect("read"),
        own
    );
}

#[test]
fn each_limit_is_written_to_its_file() {
    let root = tempfile::tempdir().expect("a directory");
    let names = [
        "memory.max",
        "memory.swap.max",
        "memory.oom.group",
        "cpu.max",
        "pids.max",
        "io.max",
    ];
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (*name, "")).collect();
    files.push(("cgroup.events", "populated 0\nfrozen 0\n"));
    let path = recorded(root.path(), "1", &files);
    let leaf = Leaf::open(path.clone(), Way::Birth).expect("a leaf");
    let disk = Device {
        major: 8,
        minor: 16,
    };
    let mut notes = Vec::new();
    try_limits(Version::Two, Some(disk), &mut notes, |plan| {
        leaf.apply(plan)
    });
    assert!(notes.is_empty(), "{notes:?}");
    let read = |file: &str| group::read(&path, file).expect("read");
    assert_eq!(read("memory.max"), "67108864");
    assert_eq!(read("memory.swap.max"), "0");
    assert_eq!(read("memory.oom.group"), "1");
    assert_eq!(read("cpu.max"), "100000 100000");
    assert_eq!(read("pids.max"), "64");
    // Both rates go to the same file, one after the other, and the kernel keeps both.
    assert!(read("io.max").starts_with("8:16 "));
}

#[test]
fn a_leaf_tells_which_limit_was_hit() {
    let root = tempfile::tempdir().expect("a directory");
    let events = ("cgroup.events", "populated 0\nfrozen 0\n");
    let hit = |name: &str, memory: &str, pids: &str| {
        let files = [events, ("memory.events", memory), ("pids.events", pids)];
        let path = recorded(root.path(), name, &files);
        Leaf::open(path, Way::Birth).expect("a leaf").limit_hit()
    };
    assert_eq!(
        hit("a", "low 0\nmax 3\noom 0\noom_kill 0\n", "max 0\n"),
        None
    );
    assert_eq!(
        hit(
            "b",
            "max 9\noom 1\noom_kill 2\noom_group_kill 1\n",
            "max 4\n"
        ),
        Some(LimitKind::Memory)
    );
    // The machine had no memory left; this group was within its limit.
    assert_eq!(hit("c", "oom 0\noom_kill 1\n", "max 0\n"), None);
    assert_eq!(
        hit("d", "oom 0\noom_kill 0\n", "max 1\n"),
        Some(LimitKind::Processes)
    );
}
