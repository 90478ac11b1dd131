//! The random histories reach what they are meant to test.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jobyard_scheduler::Decision;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::history::{histories, placements, policies};
use crate::reference::{Job, Reference};
use crate::walk::walk;

/// Each of these has to be met at least so often in a thousand events.
const LEAST: [(&str, u64); 9] = [
    ("assigned", 100),
    ("several at once", 3),
    ("given up", 5),
    ("room is kept", 9),
    ("kept from another", 15),
    ("holds out", 8),
    ("queue is closed", 50),
    ("group is closed", 15),
    ("queue has risen", 50),
];

#[test]
fn histories_meet_every_rule() {
    let met: RefCell<BTreeMap<&str, u64>> = RefCell::default();
    let count = |what, times: usize| {
        *met.borrow_mut().entry(what).or_default() += times as u64;
    };
    let config = ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::with_cases(48)
    };
    let strategy = (policies(placements()), histories());
    let ran = TestRunner::new(config).run(&strategy, |(policy, history)| {
        walk(&policy, &history, |twins, _, decisions| {
            let is_assigned = |decision: &&Decision| matches!(decision, Decision::Assigned { .. });
            let assigned = decisions.iter().filter(is_assigned).count();
            count("events", 1);
            count("assigned", assigned);
            count("several at once", usize::from(assigned > 1));
            count("given up", decisions.len() - assigned);
            for (what, times) in situations(&twins.reference) {
                count(what, times);
            }
            Ok(())
        })
    });
    ran.expect("both decide the same");
    let met = met.into_inner();
    for (what, least) in LEAST {
        let often = met[what] * 1000 / met["events"];
        assert!(often >= least, "{what}: {often} in a thousand events");
    }
}

fn situations(reference: &Reference) -> Vec<(&'static str, usize)> {
    let waiting = |is: &dyn Fn(&Job) -> bool| reference.waiting().filter(|job| is(job)).count();
    let is_passed_by = |job: &Job| {
        let mut workers = reference.workers.iter();
        workers
            .any(|worker| reference.has_bare_room(worker, job) && !reference.has_room(worker, job))
    };
    let has_risen = |job: &Job| {
        let queue = &job.demand.queue;
        let class = reference.queues.queue(queue).settings.class;
        let (risen, ..) = reference.turn(queue);
        risen.0 > i64::from(class)
    };
    let kept = reference.workers.iter();
    let kept = kept.filter(|worker| worker.kept_for.is_some()).count();
    vec![
        ("room is kept", kept),
        ("kept from another", waiting(&is_passed_by)),
        ("holds out", waiting(&|job| reference.holds_out(job))),
        (
            "queue is closed",
            waiting(&|job| !reference.is_queue_open(&job.demand.queue)),
        ),
        (
            "group is closed",
            waiting(&|job| !reference.is_group_open(job)),
        ),
        ("queue has risen", waiting(&has_risen)),
    ]
}
