//! Followers of what happens.

use futures_util::StreamExt;
use jobyard_core::{
    Action, Admin, Authorizer, Caller, ControlError, EventQuery, Happening, Jobs, NewJob, Role,
    RoleAuthorizer,
};
use std::sync::Arc;

use crate::house::{
    GUARD, all, events, host, id, new_job, next, over, parts, start, submit, until,
};

#[tokio::test]
async fn r8_a_follower_goes_on_from_where_it_was_across_a_restart() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    over(&master, 1).await;
    let seen = all(events(&master, None, false).await).await;
    let last = seen.last().expect("some").seq;
    let places: Vec<u64> = seen.iter().map(|event| event.seq).collect();
    assert_eq!(places, (1..=last).collect::<Vec<u64>>(), "no gap");
    assert!(matches!(seen[0].what, Happening::TermBegan { .. }));
    master.shutdown().await;
    drop(master);

    let master = start(parts(data.path())).await;
    let mut follower = events(&master, Some(last + 1), true).await;
    let began = next(&mut follower).await;
    assert_eq!(began.seq, last + 1);
    assert!(matches!(began.what, Happening::TermBegan { .. }));
    submit(&master, 2).await.expect("accepted");
    let submitted = next(&mut follower).await;
    assert_eq!(submitted.seq, last + 2);
    assert!(
        matches!(submitted.what, Happening::JobSubmitted { job_id, .. } if job_id == id(2)),
        "{submitted:?}"
    );
    master.shutdown().await;
    let end = follower.next().await;
    assert!(
        matches!(end, Some(Err(ControlError::Unavailable { .. }))),
        "it may come back: {end:?}"
    );
    assert!(follower.next().await.is_none());
}

#[tokio::test]
async fn who_names_no_place_hears_what_happens_from_now_on() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    over(&master, 1).await;
    let mut follower = events(&master, None, true).await;
    over(&master, 2).await;
    let first = next(&mut follower).await;
    assert!(
        matches!(first.what, Happening::JobSubmitted { job_id, .. } if job_id == id(2)),
        "{first:?}"
    );
    master.shutdown().await;
}

#[tokio::test]
async fn a_place_that_is_to_come_is_waited_for() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let mut follower = events(&master, Some(5), true).await;
    assert!(all(events(&master, Some(5), false).await).await.is_empty());
    over(&master, 1).await;
    over(&master, 2).await;
    assert_eq!(next(&mut follower).await.seq, 5);
    master.shutdown().await;
}

#[tokio::test]
async fn a_slow_follower_holds_up_nobody_and_misses_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let master = start(parts(data.path())).await;
    let mut follower = events(&master, Some(1), true).await;
    for n in 1..=200 {
        submit(&master, n).await.expect("accepted");
    }
    let job = |n: u128| move |what: &Happening| matches!(what, Happening::JobSubmitted { job_id, .. } if *job_id == id(n));
    let mut before = 0;
    for n in 1..=200 {
        let event = until(&mut follower, job(n)).await;
        assert!(event.seq > before);
        before = event.seq;
    }
    master.shutdown().await;
}

#[tokio::test]
async fn what_is_not_kept_any_more_is_gone() {
    let data = tempfile::tempdir().expect("a directory");
    let mut parts = parts(data.path());
    parts.retention.events = Some(5);
    let master = start(parts).await;
    let mut follower = events(&master, Some(1), true).await;
    for n in 1..=10 {
        over(&master, n).await;
    }
    let query = EventQuery::new(Some(1), false);
    let gone = async {
        loop {
            match master.events(&host(), query).await {
                Err(ControlError::Gone { oldest }) => break oldest,
                Ok(_) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let oldest = tokio::time::timeout(GUARD, gone).await.expect("in time");
    let kept = all(events(&master, Some(oldest), false).await).await;
    assert!(kept.len() >= 5, "never fewer than that: {kept:?}");
    assert_eq!(kept[0].seq, oldest);
    let end = loop {
        match follower.next().await.expect("an end") {
            Ok(_) => {}
            Err(end) => break end,
        }
    };
    assert!(matches!(end, ControlError::Gone { .. }), "{end}");
    master.shutdown().await;
}

/// Lets submitters see their own jobs alone.
#[derive(Debug)]
struct OwnJobsOnly;

impl Authorizer for OwnJobsOnly {
    fn allows(&self, caller: &Caller, action: Action<'_>) -> bool {
        match action {
            Action::ReadJob { owner } if caller.role < Role::Operator => owner == caller.name,
            action => RoleAuthorizer.allows(caller, action),
        }
    }
}

#[tokio::test]
async fn who_may_not_see_a_job_does_not_hear_of_it() {
    let data = tempfile::tempdir().expect("a directory");
    let mut parts = parts(data.path());
    parts.authorizer = Arc::new(OwnJobsOnly);
    let master = start(parts).await;
    let (ann, bob) = (
        Caller::new("ann", Role::Submitter),
        Caller::new("bob", Role::Submitter),
    );
    let job = |n| -> NewJob { new_job(n, "true") };
    master.submit(&ann, vec![job(1)]).await.expect("accepted");
    master.submit(&bob, vec![job(2)]).await.expect("accepted");
    let query = EventQuery::new(None, false);
    let heard = all(master.events(&bob, query).await.expect("a stream")).await;
    let jobs: Vec<_> = heard
        .iter()
        .filter_map(|event| match &event.what {
            Happening::JobSubmitted { job_id, by, .. } => Some((*job_id, by.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(jobs, [(id(2), "bob")]);
    assert_eq!(
        all(master.events(&host(), query).await.expect("a stream"))
            .await
            .len(),
        3
    );
    master.shutdown().await;
}
