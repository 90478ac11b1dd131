//! What keeps a job apart.

use jobyard_core::Exit;

use super::Job;
use super::job::nobody;
use crate::protocol::{Landlock, Namespaces};
use crate::sys::{WardenKind, landlock_version, try_namespaces};

#[test]
fn landlock_closes_what_is_not_named() {
    assert!(landlock_version().is_some(), "this kernel has no Landlock");
    let dir = tempfile::tempdir().expect("a directory");
    let (open, closed) = (dir.path().join("open"), dir.path().join("closed"));
    std::fs::create_dir(&open).expect("made");
    std::fs::create_dir(&closed).expect("made");
    let read = ["/usr", "/bin", "/lib", "/lib64", "/dev/null", "/nowhere"];
    let rules = Landlock {
        read: read.map(Into::into).to_vec(),
        write: vec![open.clone()],
    };
    let script = format!(
        "cd {0}; echo x > {0}/a && cat {0}/a; echo x > {1}/b || echo closed; \
         cat /etc/passwd || echo hidden; kill -0 {2} 2> /dev/null || echo alone",
        open.display(),
        closed.display(),
        std::process::id()
    );
    for warden in [None, Some(WardenKind::PidNamespace)] {
        let mut job = Job::script(&script).warden(warden);
        job.dir.clone_from(&open);
        job.isolation.landlock = Some(rules.clone());
        let said = job.run().said();
        let plain: Vec<&str> = said.lines().filter(|line| !line.contains(' ')).collect();
        assert_eq!(plain, ["x", "closed", "hidden", "alone"], "{said}");
    }
}

#[test]
fn a_network_namespace_has_only_a_loopback() {
    let namespaces = Namespaces {
        net: true,
        ..Namespaces::default()
    };
    let said = Job::script("tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/fib_trie");
    let said = said.namespaces(namespaces).run().said();
    assert_eq!(said.lines().next().map(str::trim), Some("lo"), "{said}");
    assert!(
        !said.contains("eth") && said.contains("127.0.0.1"),
        "{said}"
    );
}

#[test]
fn a_pid_namespace_shows_only_its_own_processes() {
    let namespaces = Namespaces {
        pid: true,
        mount: true,
        ..Namespaces::default()
    };
    let job = Job::script("echo $$; cd /proc; ls -d [0-9]*; kill -9 1; kill -0 1 && echo alive");
    let job = job
        .namespaces(namespaces)
        .warden(Some(WardenKind::PidNamespace));
    for job in [
        job.run(),
        Job {
            user: Some(nobody()),
            ..job
        }
        .run(),
    ] {
        let lines: Vec<&str> = job.text.lines().collect();
        assert_eq!(lines[..3], ["2", "1", "2"], "{job:?}");
        assert!(lines[3..].len() <= 4, "{job:?}");
    }
}

#[test]
fn mounts_of_a_job_are_seen_by_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let namespaces = Namespaces {
        mount: true,
        ..Namespaces::default()
    };
    let script = "mount -t tmpfs none . && cd . && touch \"$D\"/inside && ls \"$D\"";
    let mut job = Job::script(script)
        .namespaces(namespaces)
        .env("D", dir.path().to_str().expect("UTF-8"));
    job.dir = dir.path().to_path_buf();
    assert_eq!(job.run().said(), "inside");
    assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0);
}

#[test]
fn namespaces_can_be_tried_without_a_job() {
    let all = Namespaces {
        mount: true,
        pid: true,
        net: true,
    };
    try_namespaces(all, Some(WardenKind::PidNamespace)).expect("the super-user may");
    try_namespaces(Namespaces::default(), Some(WardenKind::Subreaper)).expect("everybody may");
}

#[test]
fn a_job_of_another_user_does_not_reach_the_launcher() {
    let job = Job::script("kill -0 $PPID").user(nobody());
    assert_eq!(job.run().exit, Some(Exit::Exited(1)));
}
