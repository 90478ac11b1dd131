//! FM11 and FM13: the other side is older, or there is a lot of it.

use futures_util::future::join_all;
use jobyard_core::{
    AttemptReport, Held, HeldState, MasterMessage, Outcome, Verdict, WorkerMessage,
};
use jobyard_tests::{
    MasterProgram, PATIENCE, Site, WireSession, WireWorker, assert_once, now, started,
};
use serde_json::json;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// Begins what the master assigns first.
async fn first_held(session: &mut WireSession) -> Held {
    let attempt = session.assignment().await.attempt;
    session.say(vec![started(attempt)]).await;
    session.settle().await;
    let (pid, started_at) = (None, now());
    Held::new(attempt, HeldState::Running { pid, started_at })
}

/// How many workers come back at once.
const FLEET: usize = 200;

/// Each holds an attempt, and none is lost. Guards: nothing of a reconnect is done for one worker while the others wait
/// for longer than their lease, and the verdict `keep`. How long it takes is measured by a bench, not here.
#[test]
fn fm13_fleet_that_comes_back_at_once_loses_no_attempt() {
    let mut site = Site::of(MasterProgram::shipped());
    let runtime = runtime();
    let place = site.cluster.path("fleet");
    let address = site.cluster.address().to_owned();
    let workers: Vec<WireWorker> = runtime.block_on(async {
        let mut workers = Vec::new();
        // So many at once as strangers may come from one address.
        for portion in (0..FLEET).collect::<Vec<_>>().chunks(20) {
            let joining = portion.iter().map(|number| {
                let name = format!("w{number}");
                let (address, token, place) = (address.clone(), &site.token, &place);
                async move { WireWorker::join(&address, token, &name, place).await }
            });
            workers.extend(join_all(joining).await);
        }
        workers
    });
    let jobs = site
        .cluster
        .submit_all(&vec![json!({"command": ["true"]}); FLEET]);
    let held: Vec<Held> = runtime.block_on(join_all(workers.iter().map(|worker| async move {
        let mut session = worker.connect(Vec::new()).await;
        first_held(&mut session).await
    })));

    site.cluster.master.kill_9();
    site.cluster.restart_master();
    runtime.block_on(join_all(workers.iter().zip(&held).map(
        |(worker, held)| async move {
            let mut session = worker.connect(vec![held.clone()]).await;
            let verdicts = &session.welcome.verdicts;
            assert!(
                matches!(verdicts[..], [(attempt, Verdict::Keep)] if attempt == held.attempt),
                "{verdicts:?}"
            );
            session.settle().await;
            let report = AttemptReport::new(held.attempt, Outcome::Succeeded, now());
            session.say(vec![WorkerMessage::Finished(report)]).await;
            match session.hear().await {
                Some(MasterMessage::Forget { attempt }) => assert_eq!(attempt, held.attempt),
                other => panic!("{other:?}"),
            }
        },
    )));
    for portion in jobs.chunks(100) {
        site.cluster.wait_for(portion);
    }
    let listed = site.cluster.cli(&["jobs", "--json", "--limit", "1000"]);
    let listed = listed.ok().json();
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), FLEET);
    for job in listed {
        assert_once(job);
    }
}

/// A worker of the first release, which knows none of the later abilities, gets the jobs that need none of them. That
/// frames of the first release are read and written as they were is `wire::golden` in `crates/transport`, and that
/// stored records are, `crates/master/tests`: an older program is not built here. Guards: what is new is negotiated
/// (`Protocol::features`).
#[test]
fn fm11_worker_of_the_first_release_goes_on_across_an_upgrade_of_its_master() {
    let mut site = Site::of(MasterProgram::shipped().options(&PATIENCE));
    let runtime = runtime();
    let place = site.cluster.path("old");
    let address = site.cluster.address().to_owned();
    let mut old = runtime.block_on(WireWorker::join(&address, &site.token, "old", &place));
    old.hello().protocol.features.clear();
    // In this order: the first needs an ability that the old worker does not have.
    let stops = site
        .cluster
        .submit(&["--tag", "name=old", "--on-disconnect", "stop"], "exit 0");
    let job = site.cluster.submit(&["--tag", "name=old"], "exit 0");
    let held = runtime.block_on(async {
        let mut session = old.connect(Vec::new()).await;
        first_held(&mut session).await
    });
    assert_eq!(held.attempt.job.to_string(), job);
    site.cluster.master.kill_9();
    site.cluster.restart_master();
    runtime.block_on(async {
        let mut session = old.connect(vec![held.clone()]).await;
        let verdicts = &session.welcome.verdicts;
        assert!(matches!(verdicts[..], [(_, Verdict::Keep)]), "{verdicts:?}");
        let report = AttemptReport::new(held.attempt, Outcome::Succeeded, now());
        session.say(vec![WorkerMessage::Finished(report)]).await;
        assert!(matches!(
            session.hear().await,
            Some(MasterMessage::Forget { .. })
        ));
    });
    assert_once(&site.end(&job));
    let waits = site.cluster.show(&stops);
    assert_eq!(waits["state"], "queued", "{waits}");
}
