//! Launchers that are killed, or looked into: this very program, started again as one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::Job;
use super::job::{nobody, wait_for};
use crate::protocol::Namespaces;
use crate::sys::{WardenKind, protect_self, reap_any};

const ROLE: &str = "JOBYARD_TEST_ROLE";

/// This program as a launcher with a role, which is played by the test below.
fn launcher(role: &str) -> Job {
    let argv = ["launcher", PLAYER, "--exact", "--nocapture"];
    Job::program("/proc/self/exe", &argv).env(ROLE, role)
}

const PLAYER: &str = "sys::tests::roles::play_a_role_for_the_others";

/// Does nothing by itself.
#[test]
fn play_a_role_for_the_others() {
    match std::env::var(ROLE).as_deref() {
        Ok("subreaper") => hold_a_tree(Some(WardenKind::Subreaper)),
        Ok("pid-namespace") => hold_a_tree(Some(WardenKind::PidNamespace)),
        Ok("plain") => hold_a_tree(None),
        Ok("guarded") => show_a_job_its_launcher(true),
        Ok("open") => show_a_job_its_launcher(false),
        Ok("unprivileged") => give_namespaces(),
        Ok("strays") => take_in_strays(),
        _ => {}
    }
}

/// A tree with a daemon in it. Says who is in it, and waits until it is killed.
fn hold_a_tree(warden: Option<WardenKind>) {
    protect_self().expect("this kernel can");
    let script = "(setsid sleep 1000 & ) ; setsid sleep 1000 & echo up; exec sleep 1000";
    let mut started = Job::script(script).warden(warden).start().expect("forked");
    started.until_said("up");
    println!("holding {}.", std::process::id());
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    // Nobody reads it, and nobody closes it: this waits for ever.
    let mut never = File::from(read);
    let _ = never.read(&mut [0]);
    drop(write);
    drop(started);
}

#[test]
fn a_tree_ends_with_its_launcher() {
    for role in ["subreaper", "pid-namespace"] {
        let mut started = launcher(role).start().expect("forked");
        started.until_said("holding");
        let launcher = started.main();
        // The launcher waits for its children, so all of them are under it: a warden, the main process, two daemons.
        let tree = descendants(launcher);
        assert_eq!(tree.len(), 4, "{role}");
        kill_process(launcher, Signal::KILL).expect("it is there");
        for member in &tree {
            wait_for([Some(member.as_fd())]);
        }
        started.end();
    }
}

#[test]
fn a_main_process_without_a_warden_ends_with_its_launcher() {
    let mut started = launcher("plain").start().expect("forked");
    started.until_said("holding");
    let launcher = started.main();
    let main = children(launcher)
        .into_iter()
        // Of those that fell to the launcher only the main process has a child.
        .find(|pid| !children(*pid).is_empty())
        .expect("a main process");
    let main = pidfd_open(main, PidfdFlags::empty()).expect("it is there");
    let tree = descendants(launcher);
    kill_process(launcher, Signal::KILL).expect("it is there");
    wait_for([Some(main.as_fd())]);
    // The rest is for whoever ends the cage; here that is this test.
    for member in &tree {
        let _ = rustix::process::pidfd_send_signal(member, Signal::KILL);
        wait_for([Some(member.as_fd())]);
    }
    started.end();
}

fn children(pid: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
    for task in tasks.flatten() {
        let list = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(
            list.split_whitespace()
                .filter_map(|pid| Pid::from_raw(pid.parse().ok()?)),
        );
    }
    found
}

fn descendants(of: Pid) -> Vec<OwnedFd> {
    let mut open = vec![of];
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        for child in children(next) {
            if seen.insert(child.as_raw_nonzero()) {
                open.push(child);
            }
        }
    }
    seen.into_iter()
        .filter_map(|pid| pidfd_open(Pid::from_raw(pid.get())?, PidfdFlags::empty()).ok())
        .collect()
}

/// A job of the same user that looks into its launcher.
fn show_a_job_its_launcher(guarded: bool) {
    if guarded {
        protect_self().expect("this kernel can");
    }
    let script = "cat /proc/$PPID/environ > /dev/null && echo environ; \
                  head -c 1 /proc/$PPID/mem 2>&1 | grep -q denied || echo mem; \
                  ls /proc/$PPID/fd > /dev/null && echo fds; \
                  grep -q Name /proc/self/status && cat /proc/self/environ > /dev/null && echo own";
    let said = Job::script(script).run();
    println!("job said: {}.", said.text.replace('\n', " "));
}

/// XJ11
#[test]
fn a_job_of_the_same_user_sees_nothing_of_its_launcher() {
    let said = launcher("guarded").user(nobody()).run().said();
    let said = answer(&said);
    assert!(said.contains("own"), "{said}");
    for secret in ["environ", "mem", "fds"] {
        assert!(!words(said).contains(&secret), "{said}");
    }
    // Without protection it would.
    let said = launcher("open").user(nobody()).run().said();
    assert!(words(answer(&said)).contains(&"environ"), "{said}");
}

/// All namespaces, for a job of the launcher's own user.
fn give_namespaces() {
    protect_self().expect("this kernel can");
    let namespaces = Namespaces {
        mount: true,
        pid: true,
        net: true,
    };
    let job = Job::script("id -u; echo $$; grep CapEff /proc/self/status")
        .namespaces(namespaces)
        .warden(Some(WardenKind::PidNamespace));
    let said = job.run().said();
    let plain = Namespaces {
        pid: false,
        ..namespaces
    };
    let other = Job::script("id -g").namespaces(plain).run().said();
    println!("job said: {} {other}.", said.replace('\n', " "));
}

#[test]
fn a_launcher_without_rights_gives_namespaces() {
    let said = launcher("unprivileged").user(nobody()).run().said();
    let expected = "job said: 65534 2 CapEff:\t0000000000000000 65534.";
    assert!(said.contains(expected), "{said}");
}

fn answer(said: &str) -> &str {
    let (_, rest) = said.split_once("job said: ").expect("an answer");
    rest.split_once(" .").map_or(rest, |(answer, _)| answer)
}

fn words(said: &str) -> Vec<&str> {
    said.split_whitespace().collect()
}

/// Orphans fall to the launcher, which reaps them without taking its own children from whoever waits for those.
fn take_in_strays() {
    protect_self().expect("this kernel can");
    let script = "(setsid sh -c 'read line < fifo; echo stray' & ) ; exit 0";
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .expect("made");
    let mut job = Job::script(script);
    job.dir = dir.path().to_path_buf();
    let mut started = job.start().expect("forked");
    let main = started.main();
    wait_for([started.child.pidfd()]);
    let dead = reap_any().expect("it is dead");
    assert_eq!(dead.pid(), main);
    started.child.was_reaped(&dead, &mut started.reports);
    assert!(matches!(
        started.reports.last(),
        Some(crate::sys::Report::Exited { .. })
    ));
    let this = Pid::from_raw(std::process::id().cast_signed()).expect("not 0");
    let stray = children(this)[0];
    let stray_fd = pidfd_open(stray, PidfdFlags::empty()).expect("it is there");
    assert!(reap_any().is_none());
    std::fs::write(&fifo, "go\n").expect("it reads");
    wait_for([Some(stray_fd.as_fd())]);
    assert_eq!(reap_any().map(|dead| dead.pid()), Some(stray));
    assert!(reap_any().is_none());
    assert!(children(this).is_empty());
    println!("took in a stray.");
}

#[test]
fn a_launcher_reaps_orphans() {
    let said = launcher("strays").run().said();
    assert!(said.contains("took in a stray."), "{said}");
}
