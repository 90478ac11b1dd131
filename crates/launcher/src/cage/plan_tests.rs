use super::*;

fn limits() -> Limits {
    let mut limits = Limits::NONE;
    limits.memory = Some(64 << 20);
    limits.cpu = Some(1500);
    limits.processes = Some(20);
    limits.read_rate = Some(1 << 20);
    limits.write_rate = Some(2 << 20);
    limits
}

fn everything(version: Version) -> Support {
    Support {
        memory: Some(MemoryMeans {
            version,
            swap: true,
        }),
        cpu: Some(version),
        processes: Some(version),
        read_rate: Some(version),
        write_rate: Some(version),
    }
}

const DISK: Device = Device {
    major: 254,
    minor: 0,
};

fn lines(plan: &Plan) -> Vec<String> {
    plan.writes
        .iter()
        .map(|write| {
            let group = match write.group {
                Group::Leaf => "leaf",
                Group::Of(controller) => controller.as_str(),
            };
            format!("{group} {} {}", write.file, write.value)
        })
        .collect()
}

#[test]
fn version_2_takes_all_limits_in_one_leaf() {
    let plan = plan(&limits(), everything(Version::Two), &[DISK], 0);
    assert_eq!(
        lines(&plan),
        [
            "leaf memory.max 67108864",
            "leaf memory.swap.max 0",
            "leaf memory.oom.group 1",
            "leaf cpu.max 150000 100000",
            "leaf pids.max 20",
            "leaf io.max 254:0 rbps=1048576",
            "leaf io.max 254:0 wbps=2097152",
        ]
    );
    assert_eq!(plan.together.len(), 5);
}

#[test]
fn version_1_takes_each_limit_in_the_group_of_its_controller() {
    let plan = plan(&limits(), everything(Version::One), &[DISK], 0);
    assert_eq!(
        lines(&plan),
        [
            "memory memory.limit_in_bytes 67108864",
            "memory memory.memsw.limit_in_bytes 67108864",
            "cpu cpu.cfs_period_us 100000",
            "cpu cpu.cfs_quota_us 150000",
            "pids pids.max 20",
            "blkio blkio.throttle.read_bps_device 254:0 1048576",
            "blkio blkio.throttle.write_bps_device 254:0 2097152",
        ]
    );
}

#[test]
fn what_is_missing_is_not_claimed() {
    let support = Support {
        cpu: Some(Version::One),
        ..Support::default()
    };
    let plan = plan(&limits(), support, &[DISK], 0);
    assert_eq!(plan.together, BTreeSet::from([LimitKind::Cpu]));
    assert_eq!(plan.groups(), BTreeSet::from([Group::Of(Controller::Cpu)]));
}

#[test]
fn without_swap_accounting_only_memory_is_limited() {
    let support = Support {
        memory: Some(MemoryMeans {
            version: Version::Two,
            swap: false,
        }),
        ..Support::default()
    };
    let plan = plan(&limits(), support, &[], 0);
    assert_eq!(
        lines(&plan),
        ["leaf memory.max 67108864", "leaf memory.oom.group 1"]
    );
}

#[test]
fn rates_without_a_known_device_are_not_claimed() {
    let plan = plan(&limits(), everything(Version::One), &[], 0);
    assert!(!plan.together.contains(&LimitKind::ReadRate));
    assert!(!plan.together.contains(&LimitKind::WriteRate));
}

#[test]
fn our_own_process_does_not_count() {
    let plan = plan(&limits(), everything(Version::One), &[], 1);
    assert!(lines(&plan).contains(&"pids pids.max 21".to_owned()));
}

#[test]
fn extreme_values_stay_within_what_kernels_take() {
    let mut limits = Limits::NONE;
    limits.cpu = Some(u64::MAX);
    limits.processes = Some(u64::MAX);
    let most = plan(&limits, everything(Version::Two), &[], 1);
    assert_eq!(
        lines(&most),
        ["leaf cpu.max 100000000000 100000", "leaf pids.max max"]
    );
    limits.processes = None;
    limits.cpu = Some(1);
    let least = plan(&limits, everything(Version::Two), &[], 1);
    assert_eq!(lines(&least), ["leaf cpu.max 1000 100000"]);
}

#[test]
fn each_process_is_limited_where_nothing_better_is() {
    let mut limits = limits();
    limits.open_files = Some(64);
    limits.file_size = Some(0);
    let kinds = |each: Vec<(LimitKind, Resource, u64)>| -> Vec<LimitKind> {
        each.into_iter().map(|(kind, _, _)| kind).collect()
    };
    let own = for_each_process(&limits, &BTreeSet::new(), false);
    assert_eq!(
        kinds(own),
        [LimitKind::Memory, LimitKind::OpenFiles, LimitKind::FileSize]
    );
    let other = for_each_process(&limits, &BTreeSet::from([LimitKind::Memory]), true);
    assert_eq!(
        kinds(other),
        [
            LimitKind::Processes,
            LimitKind::OpenFiles,
            LimitKind::FileSize
        ]
    );
}
