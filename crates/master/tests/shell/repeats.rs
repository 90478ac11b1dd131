//! Calls whose answer was lost, and jobs that are asked for once more.

use jobyard_core::{
    Admin, AuditQuery, Caller, ControlError, Fleet, JobOrigin, Jobs, NewToken, Role, StopOptions,
};

use crate::house::{again, host, id, new_job, over, parts, start, submit};

#[tokio::test]
async fn fn1_a_token_that_is_asked_for_again_is_the_same_word() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let terms = NewToken::default();
    let first = master.create_token(&again(1), terms.clone()).await;
    let first = first.expect("a token");
    let repeat = master.create_token(&again(1), terms.clone()).await;
    let repeat = repeat.expect("a token");
    assert_eq!(repeat.token.expose(), first.token.expose());
    assert_eq!(repeat.info, first.info);
    let other = master.create_token(&again(2), terms.clone()).await;
    let other = other.expect("a token");
    assert_ne!(other.token.expose(), first.token.expose());
    assert_eq!(master.tokens(&host()).await.expect("tokens").len(), 2);
    let audit = master.audit(&host(), AuditQuery::default()).await;
    let made = audit.expect("the trail").entries.into_iter();
    assert_eq!(
        made.filter(|entry| entry.action == "token.create").count(),
        2
    );
    master.shutdown().await;
    drop(master);

    // The answer was lost, and the master with it: its secret is known to nobody.
    let master = start(parts(data.path())).await;
    let late = master
        .create_token(&again(1), terms)
        .await
        .expect("a token");
    assert_ne!(late.token.expose(), first.token.expose());
    let ids: Vec<String> = master
        .tokens(&host())
        .await
        .expect("tokens")
        .into_iter()
        .map(|token| token.id)
        .collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&late.info.id) && !ids.contains(&first.info.id));
    master.shutdown().await;
}

#[tokio::test]
async fn r2_a_job_is_asked_for_once_more() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let first = over(&master, 1).await;
    let retried = master.retry(&host(), id(1), id(2)).await.expect("accepted");
    assert!(retried.created && retried.id == id(2));
    let job = master.job(&host(), id(2)).await.expect("a job");
    assert_eq!(job.origin, JobOrigin::Retry { of: id(1) });
    assert_eq!(job.spec, first.spec);
    assert_eq!(
        master.job(&host(), id(1)).await,
        Ok(first),
        "it is not changed"
    );

    let repeat = master.retry(&host(), id(1), id(2)).await.expect("known");
    assert!(!repeat.created, "the same job");
    master.shutdown().await;
    drop(master);

    let master = start(parts(data.path())).await;
    let repeat = master.retry(&host(), id(1), id(2)).await.expect("known");
    assert!(!repeat.created, "also of a later term");
    // The same spec under the same id, and yet another job.
    let plain = master.submit(&host(), vec![new_job(2, "true")]).await;
    assert!(matches!(plain, Err(ControlError::AlreadyExists { .. })));
    let other = master.retry(&host(), id(2), id(1)).await;
    assert!(matches!(other, Err(ControlError::AlreadyExists { .. })));
    let of_a_retry = master.retry(&host(), id(2), id(3)).await;
    assert!(of_a_retry.expect("accepted").created);
    let unknown = master.retry(&host(), id(77), id(78)).await;
    assert_eq!(unknown, Err(ControlError::no_job(id(77))));
    let viewer = Caller::new("vera", Role::Viewer);
    let refused = master.retry(&viewer, id(1), id(4)).await;
    assert!(matches!(refused, Err(ControlError::Forbidden { .. })));
    master.shutdown().await;
}

#[tokio::test]
async fn fn1_a_submit_that_is_repeated_with_its_id_says_the_same() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let jobs = || vec![new_job(1, "true"), new_job(2, "true")];
    let first = master.submit(&again(1), jobs()).await.expect("accepted");
    let repeat = master.submit(&again(1), jobs()).await;
    assert_eq!(repeat, Ok(first));
    let other = master.submit(&again(2), jobs()).await.expect("known");
    assert!(other.iter().all(|job| !job.created));
    submit(&master, 3).await.expect("accepted");
    let options = StopOptions::default();
    let stopped = master.stop(&again(3), id(3), options).await;
    assert_eq!(master.stop(&again(3), id(3), options).await, stopped);
    master.shutdown().await;
}
