//! The process executor keeps the contract of executors.

use std::path::PathBuf;
use std::sync::Arc;

use jobyard_core::{Executor, StartFailure};
use jobyard_executor::ProcessConfig;
use jobyard_testkit::executor::ExecutorFactory;
use tempfile::TempDir;

struct Processes(TempDir);

impl Processes {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }
}

impl ExecutorFactory for Processes {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(crate::way::executor(self.0.path()))
    }

    fn scratch(&self) -> PathBuf {
        self.0.path().join("jobs")
    }

    fn prints(&self, text: &str) -> String {
        ProcessConfig::command(["cat"])
            .with_stdin(text)
            .to_config_string()
    }

    fn prints_both(&self, out: &str, err: &str) -> String {
        ProcessConfig::command([
            "sh",
            "-c",
            r#"printf %s "$1"; printf %s "$2" >&2"#,
            "sh",
            out,
            err,
        ])
        .to_config_string()
    }

    fn fails(&self, code: i32) -> Option<String> {
        Some(ProcessConfig::script(format!("exit {code}")).to_config_string())
    }

    fn runs_until_stopped(&self) -> String {
        ProcessConfig::script("echo ready; exec sleep 600").to_config_string()
    }

    fn cannot_start(&self) -> Option<(String, StartFailure)> {
        let config = ProcessConfig::command(["no-such-program"]).to_config_string();
        Some((config, StartFailure::NotFound))
    }

    fn unreadable(&self) -> String {
        r#"{"comand": ["true"]}"#.to_owned()
    }
}

jobyard_testkit::executor_suite!(#[tokio::test], Processes::new());

#[tokio::test]
async fn the_whole_suite_runs_without_a_test_harness() {
    jobyard_testkit::executor::run_all(&Processes::new()).await;
}
