//! A host that uses the scheduler alone: no runtime, no network, its own jobs and machines, and its own placement.
//!
//! `cargo run -p jobyard-examples --example scheduler_only`

#![forbid(unsafe_code)]

use std::sync::Arc;

use jobyard_core::{JobId, Now, Resources, WorkerId};
use jobyard_scheduler::{
    Availability, Decision, Event, JobDemand, Placement, Policy, Scheduler, Score, ScoredJob,
    ScoredWorker, Wants, WantsDraft, WorkerOffer,
};
use uuid::Uuid;

/// What this host cares about: machines with a tag `price=N` cost that much; the cheapest that will do is best.
#[derive(Debug)]
struct Cheapest;

impl Score for Cheapest {
    fn score(&self, _job: &ScoredJob<'_>, worker: &ScoredWorker<'_>) -> i64 {
        let price = worker.tags.values("price").next();
        -price.and_then(|price| price.parse().ok()).unwrap_or(0)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut policy = Policy::default();
    policy.placement = Placement::Scored(Arc::new(Cheapest));
    let (mut scheduler, mut out, now) =
        (Scheduler::with_policy(policy), Vec::new(), Now::default());

    for (number, name, price) in [(1, "big", 90), (2, "small", 10)] {
        let worker = WorkerId::from_uuid(Uuid::from_u128(number));
        let mut offer = WorkerOffer::new(worker, name);
        offer.tags.insert("os=linux".parse()?)?;
        offer.tags.insert(format!("price={price}").parse()?)?;
        offer.capacity = Resources::of_slots(2).with("gpu", u64::from(name == "big"));
        scheduler.handle(now, Event::WorkerJoined(offer), &mut out);
        let availability = Availability::Available;
        scheduler.handle(
            now,
            Event::WorkerAvailability {
                worker,
                availability,
            },
            &mut out,
        );
    }
    scheduler.handle(now, Event::FleetKnown, &mut out);

    // Three jobs want a GPU of which there is one; two want any Linux.
    let mut draft = WantsDraft::default();
    draft.requirements = vec!["os=linux|darwin".parse()?, "!broken".parse()?];
    let plain = Arc::new(Wants::from(draft.clone()));
    draft.resources = Resources::of_slots(1).with("gpu", 1);
    let gpu = Arc::new(Wants::from(draft));
    for (number, wants) in (1..).zip([&gpu, &plain, &gpu, &plain, &gpu]) {
        let job = JobId::from_uuid(Uuid::from_u128(number.into()));
        let demand = JobDemand::of(job, number, wants.clone());
        scheduler.handle(now, Event::JobQueued(demand), &mut out);
    }
    for job in scheduler.queued_jobs().collect::<Vec<_>>() {
        let why = scheduler.explain(job).ok_or("it waits")?;
        println!(
            "job {job} waits: {:?}",
            why.verdict.ok_or("a verdict")?.as_str()
        );
        why.reasons.iter().for_each(|reason| println!("  {reason}"));
    }
    // The host's jobs end one after another; each end starts the next in the same call.
    while let Some(Decision::Assigned { job, worker }) = out.pop() {
        println!("job {job} runs on worker {worker}");
        scheduler.handle(now, Event::JobReleased(job), &mut out);
    }
    assert_eq!((scheduler.queued(), scheduler.placed()), (0, 0));
    Ok(())
}
