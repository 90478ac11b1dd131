//! What jobs ask for reaches the scheduler, and holds after a restart.

use jobyard_core::{
    Group, Hello, JobSpec, Preference, RefusalReason, Resources, WaitReason, WaitVerdict,
};

use crate::cluster::Cluster;
use crate::vocabulary::{attempt, draft, exit, hello, job, name, running, submission, worker};

fn asking(change: impl FnOnce(&mut JobSpec)) -> JobSpec {
    let mut spec = draft("{}");
    change(&mut spec);
    spec
}

fn requiring(text: &str) -> JobSpec {
    asking(|spec| spec.requirements = vec![text.parse().expect("a requirement")])
}

fn in_group(limit: u32) -> JobSpec {
    asking(|spec| spec.group = Some(Group::new("deploy", limit)))
}

fn offering(tags: &[&str]) -> Hello {
    let mut hello = hello(4, Vec::new());
    for tag in tags {
        hello
            .tags
            .insert(tag.parse().expect("a tag"))
            .expect("room");
    }
    hello
}

#[test]
fn every_operator_of_a_requirement_decides() {
    let mut cluster = Cluster::with_workers(1);
    let mut roomy = offering(&["os=linux", "cores=8"]);
    roomy.capacity = Resources::of_slots(10);
    cluster.connect_as(1, roomy);
    for (n, met) in (1..).zip([
        "os=linux|darwin",
        "!gpu",
        "os!=windows",
        "cores>=8",
        "cores<9",
    ]) {
        let step = cluster.submit_spec(n, requiring(met));
        assert_eq!(step.assigned(), [attempt(n, 1)], "{met}");
    }
    for (n, unmet) in (50..).zip(["gpu", "os=darwin", "!os", "cores>8", "mem<64GiB"]) {
        let step = cluster.submit_spec(n, requiring(unmet));
        assert!(step.assigned().is_empty(), "{unmet}");
    }
}

#[test]
fn an_exclusive_tag_keeps_jobs_away_that_do_not_name_it() {
    let mut cluster = Cluster::with_workers(1);
    let mut choosy = hello(4, Vec::new());
    choosy
        .exclusive
        .insert("gpu-only".parse().expect("a tag"))
        .expect("room");
    let (session, _) = cluster.connect_as(1, choosy);
    assert!(cluster.submit(1).assigned().is_empty());
    let why = cluster
        .engine
        .explain(cluster.now, job(1))
        .expect("it waits");
    let excluded = |reason: &WaitReason| matches!(reason, WaitReason::Excluded { .. });
    assert!(why.reasons.iter().any(excluded), "{why:?}");
    let step = cluster.submit_spec(2, requiring("gpu-only"));
    assert_eq!(step.assigned_to(session), [attempt(2, 1)]);
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.exclusive.len(), 1);
    cluster.restart();
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.exclusive.len(), 1, "it is remembered");
}

#[test]
fn resources_are_taken_given_back_and_shown() {
    let mut cluster = Cluster::with_workers(1);
    let mut rich = hello(4, Vec::new());
    rich.capacity = Resources::of_slots(4).with("gpu", 2);
    rich.capacity.memory_bytes = 1 << 30;
    let (session, _) = cluster.connect_as(1, rich);
    let gpu = || asking(|spec| spec.resources = Resources::of_slots(1).with("gpu", 2));
    assert_eq!(cluster.submit_spec(1, gpu()).assigned(), [attempt(1, 1)]);
    assert!(cluster.submit_spec(2, gpu()).assigned().is_empty());
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.capacity.memory_bytes, 1 << 30);
    assert_eq!(shown.used, Resources::of_slots(1).with("gpu", 2));
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

#[test]
fn what_runs_keeps_its_resources_after_a_restart() {
    let mut cluster = Cluster::with_workers(1);
    let rich = || {
        let mut rich = hello(4, Vec::new());
        rich.capacity = Resources::of_slots(4).with("gpu", 2);
        rich
    };
    let gpu = || asking(|spec| spec.resources = Resources::of_slots(1).with("gpu", 2));
    let (session, _) = cluster.connect_as(1, rich());
    cluster.submit_spec(1, gpu());
    cluster.submit_spec(2, gpu());
    cluster.started(session, attempt(1, 1));
    cluster.restart();
    let shown = cluster.engine.worker(worker(1)).expect("a worker");
    assert_eq!(shown.used, Resources::of_slots(1).with("gpu", 2));
    let mut back = rich();
    back.inventory = vec![running(attempt(1, 1))];
    let (_, step) = cluster.connect_as(1, back);
    assert!(step.assigned().is_empty());
}

#[test]
fn a_worker_that_brings_more_gets_what_waits_for_it() {
    let mut cluster = Cluster::with_workers(1);
    let (session, _) = cluster.connect(1, 4);
    let gpu = asking(|spec| spec.resources = Resources::of_slots(1).with("gpu", 1));
    assert!(cluster.submit_spec(1, gpu).assigned().is_empty());
    cluster.disconnect(session);
    let mut more = hello(4, Vec::new());
    more.capacity = Resources::of_slots(4).with("gpu", 1);
    let (_, step) = cluster.connect_as(1, more);
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}

#[test]
fn a_capacity_beyond_every_limit_is_refused() {
    let mut cluster = Cluster::with_workers(1);
    let mut absurd = hello(4, Vec::new());
    absurd.capacity.cpu_millis = u64::MAX;
    let (_, step) = cluster.greet(1, absurd);
    assert_eq!(step.refusals()[0].reason, RefusalReason::Invalid);
}

#[test]
fn a_group_runs_as_many_as_its_jobs_allow() {
    let (mut cluster, session) = Cluster::with_one(4);
    assert_eq!(
        cluster.submit_spec(1, in_group(1)).assigned(),
        [attempt(1, 1)]
    );
    assert!(cluster.submit_spec(2, in_group(1)).assigned().is_empty());
    assert_eq!(
        cluster.submit_spec(3, in_group(2)).assigned(),
        [attempt(3, 1)]
    );
    assert_eq!(
        cluster.submit(4).assigned(),
        [attempt(4, 1)],
        "not of the group"
    );
    cluster.finished(session, attempt(3, 1), exit(0), 0);
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

#[test]
fn a_group_is_full_after_a_restart_too() {
    let (mut cluster, session) = Cluster::with_one(4);
    cluster.submit_spec(1, in_group(1));
    cluster.submit_spec(2, in_group(1));
    cluster.started(session, attempt(1, 1));
    cluster.restart();
    let (session, step) = cluster.connect_as(1, hello(4, vec![running(attempt(1, 1))]));
    assert!(step.assigned().is_empty());
    let why = cluster
        .engine
        .explain(cluster.now, job(2))
        .expect("it waits");
    let full = |reason: &WaitReason| matches!(reason, WaitReason::GroupFull { .. });
    assert!(why.reasons.iter().any(full), "{why:?}");
    let step = cluster.finished(session, attempt(1, 1), exit(0), 0);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
}

#[test]
fn a_higher_priority_goes_first_before_and_after_a_restart() {
    let mut cluster = Cluster::with_workers(1);
    for (n, priority) in [(1, 0), (2, 5), (3, -5), (4, 5)] {
        cluster.submit_spec(n, asking(|spec| spec.priority = priority));
    }
    cluster.restart();
    let (session, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(2, 1)]);
    for (ended, next) in [(2, 4), (4, 1), (1, 3)] {
        let step = cluster.finished(session, attempt(ended, 1), exit(0), 0);
        assert_eq!(step.assigned(), [attempt(next, 1)]);
    }
}

#[test]
fn a_preference_chooses_among_workers_that_will_do() {
    let mut cluster = Cluster::with_workers(2);
    cluster.connect_as(1, offering(&[]));
    let (ssd, _) = cluster.connect_as(2, offering(&["disk=ssd"]));
    for n in 1..=3 {
        let step = cluster.submit_spec(
            n,
            asking(|spec| {
                let tag = "disk=ssd".parse().expect("a requirement");
                spec.prefer = vec![Preference::new(tag, 10)];
            }),
        );
        assert_eq!(step.assigned_to(ssd), [attempt(n, 1)]);
    }
}

#[test]
fn a_named_worker_is_the_only_one() {
    let mut cluster = Cluster::with_workers(2);
    cluster.connect(1, 4);
    let named = |n: u128| asking(|spec| spec.worker = Some(name(n)));
    assert!(cluster.submit_spec(1, named(2)).assigned().is_empty());
    let (second, step) = cluster.connect(2, 4);
    assert_eq!(step.assigned_to(second), [attempt(1, 1)]);
    cluster.submit_spec(2, named(9));
    let why = cluster
        .engine
        .explain(cluster.now, job(2))
        .expect("it waits");
    assert_eq!(why.verdict, Some(WaitVerdict::Never), "{why:?}");
}

#[test]
fn jobs_alike_share_what_they_ask_for() {
    let mut one = submission(1, requiring("os=linux")).demand;
    let other = submission(2, requiring("os=linux")).demand;
    assert_eq!(one.wants, other.wants, "equal, so that they can be shared");
    one.queue = "elsewhere".into();
    assert_ne!(one, other);
}
