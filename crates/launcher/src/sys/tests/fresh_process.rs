//! What a job finds when it starts.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use jobyard_core::Exit;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Resource;

use super::job::nobody;
use super::{Job, Ran};
use crate::protocol::{Signal, Stage, User};
use crate::sys::{Report, Starter, WardenKind};

const WARDENS: [Option<WardenKind>; 3] = [
    None,
    Some(WardenKind::Subreaper),
    Some(WardenKind::PidNamespace),
];

/// XJ12
#[test]
fn a_job_has_three_descriptors() {
    // One that its opener forgot to close.
    let _leak = open("/etc/passwd", OFlags::RDONLY, Mode::empty()).expect("a file");
    for warden in WARDENS {
        let said = Job::script("cd /proc/self/fd && echo *")
            .warden(warden)
            .run();
        let said = said.said();
        let fds: BTreeSet<&str> = said.split(' ').collect();
        // The shell itself opens the directory for its pattern.
        let known = BTreeSet::from(["0", "1", "2", "3"]);
        assert!(fds.is_subset(&known), "{said}");
        let said = Job::program("/bin/readlink", &["readlink", "/proc/self/fd/3"])
            .warden(warden)
            .run();
        assert_eq!(said.exit, Some(Exit::Exited(1)), "{said:?}");
    }
}

#[test]
fn descriptors_are_copied_where_the_table_cannot_be_shared() {
    let mut starter = Starter::new().another();
    let job = Job::program("/bin/readlink", &["readlink", "/proc/self/fd/3"]);
    for shares in [true, true, false] {
        starter.shares_table = shares;
        let mut started = job.start_by(&mut starter).expect("forked");
        started.end();
        let ran = started.ran();
        assert_eq!(ran.exit, Some(Exit::Exited(1)), "{ran:?}");
    }
}

#[test]
fn signals_are_as_the_system_has_them() {
    for warden in WARDENS {
        let said = Job::script("grep -E '^Sig(Blk|Ign)|^ShdPnd' /proc/self/status")
            .warden(warden)
            .run()
            .said();
        for line in said.lines() {
            let (_, set) = line.split_once('\t').expect("a name and a set");
            assert_eq!(set.trim_matches('0'), "", "{line}");
        }
        assert_eq!(said.lines().count(), 3);
    }
}

#[test]
fn a_job_has_a_session_a_mask_and_a_directory() {
    let script = "umask; pwd; cut -d' ' -f1,5,6 /proc/$$/stat";
    let said = Job {
        dir: "/usr".into(),
        ..Job::script(script)
    };
    let said = said.run().said();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["0022", "/usr"]);
    let numbers: BTreeSet<&str> = lines[2].split(' ').collect();
    assert_eq!(numbers.len(), 1, "it leads its group and session: {said}");
}

#[test]
fn a_job_has_only_its_own_environment() {
    let said = Job::program("/usr/bin/env", &["env"]).env("A", "b c").run();
    assert_eq!(said.said(), "A=b c\nPATH=/usr/bin:/bin:/usr/sbin");
}

/// XJ24
#[test]
fn limits_are_those_of_a_fresh_login() {
    let said = Job::script("ulimit -S -n; ulimit -S -s; ulimit -H -c; ulimit -S -t; ulimit -S -f");
    let said = said.run().said();
    assert_eq!(said, "1024\n8192\n0\nunlimited\nunlimited");
}

#[test]
fn limits_that_were_asked_for_come_first() {
    let job = Job {
        rlimits: vec![(Resource::Nofile, 64, 64), (Resource::Fsize, 0, 0)],
        ..Job::script("ulimit -H -n; ulimit -H -f")
    };
    assert_eq!(job.run().said(), "64\n0");
}

#[test]
fn a_job_is_another_user_with_its_groups() {
    let user = User::new(65_534, 65_533, vec![65_533, 1234]);
    for warden in WARDENS {
        let job = Job::script("id -u; id -g; id -G; cat /proc/self/oom_score_adj");
        let said = job.user(user.clone()).warden(warden).run().said();
        assert_eq!(said, "65534\n65533\n65533 1234\n0");
    }
}

#[test]
fn the_directory_is_entered_as_the_user() {
    let dir = tempfile::tempdir().expect("a directory");
    let closed = Permissions::from_mode(0o700);
    fs::set_permissions(dir.path(), closed).expect("the owner");
    for warden in WARDENS {
        let job = Job {
            dir: dir.path().to_path_buf(),
            ..Job::script("pwd")
        };
        let job = job.warden(warden);
        assert_eq!(job.run().said(), dir.path().to_str().expect("UTF-8"));
        let failure = job.user(nobody()).run().failure();
        assert_eq!(failure.stage, Stage::Directory, "{failure}");
    }
}

/// XJ14
#[test]
fn a_setuid_program_gives_no_rights() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = Permissions::from_mode(0o755);
    fs::set_permissions(dir.path(), open).expect("the owner");
    let program = dir.path().join("id");
    fs::copy("/usr/bin/id", &program).expect("copied");
    let setuid = Permissions::from_mode(0o4755);
    fs::set_permissions(&program, setuid).expect("the owner");
    let job = Job::program(&program, &["id", "-u"]).user(nobody());
    assert_eq!(job.run().said(), "65534");
    let said = Job::script("grep NoNewPrivs /proc/self/status")
        .run()
        .said();
    assert_eq!(said, "NoNewPrivs:\t1");
}

#[test]
fn the_main_process_is_named_as_the_system_numbers_it() {
    for warden in WARDENS {
        let mut started = Job::program("/bin/cat", &["cat", "/proc/self/stat", "/proc/self/stat"])
            .warden(warden)
            .start()
            .expect("forked");
        let main = started.main();
        started.end();
        let start = started.text.split(' ').nth(21).expect("a field").to_owned();
        let Report::Running { start_time, .. } = started.reports[0] else {
            panic!("{:?}", started.reports);
        };
        assert_eq!(start, start_time.to_string());
        if warden != Some(WardenKind::PidNamespace) {
            let pid = format!("{} ", main.as_raw_nonzero());
            assert!(started.text.starts_with(&pid), "{}", started.text);
        }
        assert_eq!(warden.is_none(), main == started.child.pid());
    }
}

#[test]
fn exits_and_usage_are_told() {
    for warden in WARDENS {
        let ran = Job::script("exit 7").warden(warden).run();
        assert_eq!(ran.exit, Some(Exit::Exited(7)));
        let ran = Job::script("kill -9 $$").warden(warden).run();
        // In its own PID namespace it is not the first process, so it can be killed.
        assert_eq!(ran.exit, Some(Exit::Signaled(9)));
        let ran = Job::script("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
        let Ran { exit, usage, .. } = ran.warden(warden).run();
        assert_eq!(exit, Some(Exit::Exited(0)));
        assert!(usage.cpu_micros() > 10_000, "{usage:?}");
        assert!(usage.peak_memory_bytes > Some(100_000), "{usage:?}");
    }
}

#[test]
fn a_signal_reaches_the_group_even_when_it_is_stopped() {
    for warden in WARDENS {
        let script = "trap 'echo got it; exit 3' TERM; echo ready; kill -STOP $$; echo on; wait";
        let mut started = Job::script(script).warden(warden).start().expect("forked");
        if warden.is_some() {
            // Of one without, it is known at once that it runs.
            assert!(started.child.signal_main(Signal::Terminate).is_err());
        }
        started.until_said("ready");
        started.main();
        started
            .child
            .signal_main(Signal::Terminate)
            .expect("it is there");
        started.end();
        assert!(started.text.contains("got it"), "{}", started.text);
        assert!(started.child.signal_main(Signal::Interrupt).is_err());
    }
}
