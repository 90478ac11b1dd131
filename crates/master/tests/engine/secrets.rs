//! Jobs whose secrets have to be masked.

use jobyard_core::{FEATURE_MASKING, JobSpec, SecretText, WaitReason};

use crate::cluster::{Cluster, TIMINGS};
use crate::vocabulary::{attempt, draft, hello};

fn with_secret() -> JobSpec {
    let mut spec = draft("{}");
    let secret = SecretText::new("hunter2");
    spec.secret_env.insert("TOKEN".to_owned(), secret);
    spec
}

#[test]
fn they_go_only_to_workers_that_mask_and_say_so() {
    let mut cluster = Cluster::with_workers(2);
    let mut old = hello(1, Vec::new());
    old.protocol.features.remove(FEATURE_MASKING);
    // What an operator says is not what the program can do.
    old.tags
        .insert("secrets=masked".parse().expect("a tag"))
        .expect("room");
    let (_, _) = cluster.connect_as(1, old);
    assert!(cluster.submit_spec(1, with_secret()).assigned().is_empty());
    assert_eq!(cluster.submit_spec(2, draft("{}")).assigned().len(), 1);
    cluster.pass(TIMINGS.fleet_grace);
    let why = cluster.explain(1);
    let unmet = |reason: &WaitReason| {
        matches!(reason, WaitReason::RequirementUnmet { requirement, .. }
            if requirement.to_string() == "secrets=masked")
    };
    assert!(why.reasons.iter().any(unmet), "{why:?}");
    let (second, step) = cluster.connect(2, 1);
    assert_eq!(step.assigned_to(second), [attempt(1, 1)]);
}

#[test]
fn a_worker_that_learns_it_gets_what_waits() {
    let mut cluster = Cluster::with_workers(1);
    let mut old = hello(1, Vec::new());
    old.protocol.features.remove(FEATURE_MASKING);
    let (session, _) = cluster.connect_as(1, old);
    cluster.submit_spec(1, with_secret());
    cluster.disconnect(session);
    let (_, step) = cluster.connect(1, 1);
    assert_eq!(step.assigned(), [attempt(1, 1)]);
}
