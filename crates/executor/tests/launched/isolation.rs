//! What keeps a job apart.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use jobyard_core::{Executor, Outcome, StartFailure};
use jobyard_executor::launcher::{Isolation, Namespaces};
use jobyard_executor::{IsolationError, JobUser, ProcessConfig, ProcessExecutor};

use crate::workbench::{Workbench, files_of_attempts};

/// Lets other users through to the directories of a bench.
fn open(base: &Path) {
    fs::create_dir_all(base.join("jobs")).expect("made");
    for dir in [base, &base.join("jobs")] {
        fs::set_permissions(dir, Permissions::from_mode(0o711)).expect("our own");
    }
}

fn nobody() -> JobUser {
    JobUser::find("65534").expect("every system has it")
}

#[tokio::test]
async fn job_runs_as_another_user_with_directories_of_its_own_p9() {
    let mut bench = Workbench::script(
        "id -u; id -g; touch here $TMPDIR/there; stat -c '%u %a' . $TMPDIR; echo $HOME; cd ~ || true",
    );
    open(bench.base.path());
    bench.executor = bench.executor.with_user(nobody()).expect("we are root");
    let base = bench.base.path().to_owned();
    let printed = bench.prints().await;
    let expected = format!(
        "65534\n65534\n65534 700\n65534 700\n{}\n",
        nobody().home.display()
    );
    assert!(printed.starts_with(&expected), "{printed}");
    assert!(files_of_attempts(&base).is_empty());
}

#[tokio::test]
async fn directory_that_lets_nobody_through_is_told() {
    let mut bench = Workbench::script("true");
    fs::set_permissions(bench.base.path(), Permissions::from_mode(0o700)).expect("our own");
    bench.executor = bench.executor.with_user(nobody()).expect("we are root");
    let (ending, _) = bench.run().await;
    let problem = ending.problem.expect("a reason");
    assert!(problem.contains("does not let the user"), "{problem}");
}

#[tokio::test]
async fn job_may_choose_among_the_users_that_are_allowed() {
    let mut config = ProcessConfig::command(["id", "-u"]);
    config.user = Some("65534".to_owned());
    let refused = Workbench::new(&config);
    let problem = refused
        .executor
        .check(&config.to_config_string())
        .expect_err("nobody is allowed");
    assert_eq!(problem.field, "user");

    let mut bench = Workbench::new(&config);
    open(bench.base.path());
    let allowed = bench.executor.with_allowed_users([nobody()]);
    bench.executor = allowed.expect("we are root");
    assert_eq!(bench.prints().await, "65534\n");
}

#[tokio::test]
async fn without_a_launcher_there_is_no_isolation() {
    let refused = ProcessExecutor::new().with_user(nobody());
    assert_eq!(refused.err(), Some(IsolationError::NoLauncher));
}

#[tokio::test]
async fn process_namespace_hides_everybody_else_p9() {
    let mut bench = Workbench::script("echo $$; ls /proc | grep -c '^[0-9]'");
    let mut isolation = Isolation::default();
    let mut namespaces = Namespaces::default();
    namespaces.pid = true;
    namespaces.mount = true;
    isolation.namespaces = namespaces;
    bench.executor = bench
        .executor
        .with_isolation(isolation)
        .expect("namespaces work here");
    let printed = bench.prints().await;
    let (pid, seen) = printed.split_once('\n').expect("two lines");
    assert!(pid.parse::<u32>().is_ok_and(|pid| pid < 10), "{pid}");
    assert!(
        seen.trim().parse::<u32>().is_ok_and(|count| count < 10),
        "{seen}"
    );
}

async fn refused(bench: Workbench) -> String {
    let (ending, _) = bench.run().await;
    let cause = StartFailure::BadDirectory;
    assert_eq!(ending.outcome, Outcome::StartFailed { cause });
    ending.problem.expect("a reason")
}

#[tokio::test]
async fn directory_lies_beneath_an_allowed_one_whatever_links_say_xj13() {
    let home = tempfile::tempdir().expect("a directory");
    let allowed = home.path().join("allowed");
    fs::create_dir_all(allowed.join("sub")).expect("made");
    symlink("/etc", allowed.join("out")).expect("a link");
    let bench = |dir: &Path| {
        let config = ProcessConfig::command(["pwd"]).with_dir(dir.to_str().expect("text"));
        let mut bench = Workbench::new(&config);
        bench.executor = bench.executor.with_allowed_dirs([&allowed]);
        bench
    };
    let sub = allowed.join("sub");
    assert_eq!(bench(&sub).prints().await, format!("{}\n", sub.display()));
    for dir in [
        allowed.join("out"),
        allowed.join("sub/../../allowed"),
        Path::new("/etc").to_owned(),
        home.path().join("allowed-not"),
        Path::new("/proc/self/cwd").to_owned(),
    ] {
        refused(bench(&dir)).await;
    }
}
