//! A copy of a master that runs becomes a master.

use jobyard_core::{Epoch, Jobs};
use jobyard_master::{BackUpError, back_up, restore};

use crate::house::{host, id, over, parts, start, submit};

#[tokio::test]
async fn a_backup_of_a_master_that_runs_is_restored_as_it_was() {
    let home = tempfile::tempdir().expect("a directory");
    let (data, copy) = (home.path().join("data"), home.path().join("copy"));
    std::fs::create_dir(&data).expect("made");
    let master = start(parts(&data)).await;
    submit(&master, 1).await.expect("accepted");
    let job = over(&master, 2).await;
    let file = home.path().join("backup.jyb");
    let report = back_up(&data, &file, &mut |_| {}).expect("a backup");
    assert!(report.damaged.is_empty());
    submit(&master, 3).await.expect("accepted");
    let epoch = master.epoch();
    master.shutdown().await;

    restore(&file, &copy, Epoch(epoch.0 + 5), &mut |_| {}).expect("restored");
    let root = |of: &std::path::Path| std::fs::read(of.join("pki/root.pem")).expect("a root");
    assert_eq!(root(&copy), root(&data), "the same cluster");
    let restored = start(parts(&copy)).await;
    assert!(restored.epoch() > Epoch(epoch.0 + 5), "workers believe it");
    assert_eq!(restored.job(&host(), id(2)).await, Ok(job));
    assert!(restored.job(&host(), id(1)).await.is_ok());
    assert!(restored.job(&host(), id(3)).await.is_err(), "it came later");
    restored.shutdown().await;

    let again = restore(&file, &copy, Epoch::ZERO, &mut |_| {});
    assert!(again.expect_err("not empty").to_string().contains("empty"));
    let nothing = back_up(home.path(), &home.path().join("b"), &mut |_| {});
    assert!(matches!(nothing, Err(BackUpError::NoMaster { .. })));
}
