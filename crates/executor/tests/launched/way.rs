//! How jobs are started here.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use jobyard_executor::ProcessExecutor;
use jobyard_executor::launcher::{Launcher, LauncherCommand, LauncherOptions};
use tokio::runtime::Runtime;

/// With one launcher for all tests of this process. Its connection lives in a runtime that outlives each test.
pub(crate) fn executor(_base: &Path) -> ProcessExecutor {
    static SHARED: OnceLock<Launcher> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_those_of_the_dead(all);
        open(options(
            &all.join(format!("{PREFIX}{}", std::process::id())),
        ))
    });
    ProcessExecutor::launched(shared.clone())
}

/// The directories of earlier tests, whose launchers have ended meanwhile.
fn remove_those_of_the_dead(all: &Path) {
    for entry in std::fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        if let Some(pid) = name.strip_prefix(PREFIX)
            && !Path::new("/proc").join(pid).exists()
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

const PREFIX: &str = "launchers-";

/// The usual options: a launcher that does not stay for long.
pub(crate) fn options(base: &Path) -> LauncherOptions {
    LauncherOptions::new(base.join("launcher"), command()).with_idle(Duration::from_secs(1))
}

/// Opens launchers from a test that has a runtime of its own, or none.
pub(crate) fn open(options: LauncherOptions) -> Launcher {
    let opening = std::thread::spawn(move || runtime().block_on(Launcher::open_with(options)));
    opening.join().expect("no panic").expect("a launcher")
}

/// The launcher that is built with the tests of this package.
pub(crate) fn command() -> LauncherCommand {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test.parent().and_then(Path::parent).expect("target/debug");
    let program: PathBuf = target.join("examples/launcher");
    assert!(
        program.is_file(),
        "the example `launcher` of this package is not built: {}",
        program.display()
    );
    LauncherCommand::Program(program)
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}
