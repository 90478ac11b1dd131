//! Where a job runs.

use jobyard_executor::ProcessConfig;

use crate::workbench::{Workbench, as_told};

fn pwd(dir: Option<&str>) -> Workbench {
    let mut config = ProcessConfig::script("touch here; pwd; ls");
    config.dir = dir.map(str::to_owned);
    Workbench::new(&config)
}

#[tokio::test]
async fn fresh_directory_by_default() {
    let bench = pwd(None);
    let work = bench.scratch("work");
    let expected = format!("{}\nhere\n", work.display());
    assert_eq!(as_told(&bench.prints().await), expected);
}

#[tokio::test]
async fn relative_directory_lies_beneath_and_is_made() {
    let bench = pwd(Some("a/./b"));
    let work = bench.scratch("work").join("a/b");
    let expected = format!("{}\nhere\n", work.display());
    assert_eq!(as_told(&bench.prints().await), expected);
}

#[tokio::test]
async fn absolute_directory_is_used_as_it_is_and_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("text");
    assert_eq!(pwd(Some(path)).prints().await, format!("{path}\nhere\n"));
    assert!(dir.path().join("here").exists());
}
