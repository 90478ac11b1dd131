//! Jobs of the worker's own user: what is kept from them all the same, and what is said of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use jobyard_tests::{Cluster, Program};

use crate::site::{Site, WORKER};

#[test]
fn xj8_xj22_containment_of_jobs_that_could_leave_is_said_to_be_best_effort() {
    let site = Site::new(&[]);
    assert!(site.offers("containment=best-effort"), "{}", site.worker());
    // Whoever does not want that says so, and waits for another worker.
    let job = site.cluster.submit(&["--tag", "containment=hard"], "true");
    assert_eq!(site.cluster.explain(&job)["verdict"], "never");
    let best = site
        .cluster
        .submit(&["--tag", "containment=hard|best-effort"], "echo ran");
    assert_eq!(site.end(&best).output, "ran");
}

#[test]
fn xj8_xj22_containment_of_another_user_and_of_namespaces_is_said() {
    let namespace = Site::new(&["--containment", "pid-namespace"]);
    assert!(
        namespace.offers("containment=namespace"),
        "{}",
        namespace.worker()
    );
    drop(namespace);
    let subreaper = Site::of_nobody(&["--containment", "subreaper"]);
    assert!(
        subreaper.offers("containment=best-effort"),
        "{}",
        subreaper.worker()
    );
    drop(subreaper);
    let hard = Site::of_nobody(&[]);
    assert!(hard.offers("containment=hard"), "{}", hard.worker());
}

/// A worker that runs as nobody itself, as its jobs do.
fn worker_of_nobody(options: &[&str]) -> Site {
    let cluster = Cluster::start();
    let token = cluster.token("join.token", &[]);
    fs::set_permissions(&token.file, Permissions::from_mode(0o644)).expect("it is ours");
    let data = cluster.path(WORKER);
    fs::create_dir(&data).expect("a new directory");
    chown(&data, Some(65534), Some(65534)).expect("root may give it away");
    let plain = cluster.worker_command(WORKER, Some(&token), options);
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--inh-caps=-all",
        ])
        .arg(plain.get_program())
        .args(plain.get_args().filter(|arg| *arg != "--allow-root-jobs"));
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut worker = Program::start(&mut command);
    worker.wait_for("is connected");
    Site::of(cluster, worker)
}

#[test]
fn xj11_worker_and_launcher_are_closed_even_to_jobs_of_their_own_user() {
    let site = worker_of_nobody(&["--containment", "subreaper"]);
    let script = format!(
        "id -u; for pid in {} {}; do for file in mem environ maps; do\n\
         if (exec 3< /proc/$pid/$file && head -c 1 <&3 | grep -q .) 2>/dev/null; then echo $pid $file; fi\n\
         done; done",
        site.worker.pid(),
        site.launcher().pid()
    );
    assert_eq!(site.prints(&[], &script), "65534");
}

#[test]
fn worker_without_privileges_holds_its_jobs_by_a_namespace() {
    let site = worker_of_nobody(&[]);
    assert!(
        site.offers("containment=namespace") || site.offers("containment=best-effort"),
        "{}",
        site.worker()
    );
    let script = format!(
        "setsid sh -c '{}; exec sleep 1000' >/dev/null 2>&1 & {}",
        site.note("daemon"),
        site.hold()
    );
    let job = site.cluster.submit(&[], &script);
    assert_eq!(site.notes.next(), "daemon");
    let tree = site.tree();
    site.gate.let_through(1);
    let ended = site.end(&job);
    crate::site::assert_gone(&tree);
    assert_eq!(ended.kind(), "succeeded", "{}", ended.job);
}
