//! What a simulation says of loads whose outcome is known.

use std::sync::Arc;
use std::time::Duration;

use jobyard_core::{JobId, QueueSettings, Resources, WaitVerdict, WorkerId};
use jobyard_scheduler::simulate::{
    Load, LoadError, LoadJob, LoadQueue, LoadWorker, MAX_LOAD_JOBS, Report, run,
};
use jobyard_scheduler::{JobDemand, Placement, Wants, WantsDraft, WorkerOffer, ring_place};
use proptest::prelude::*;
use uuid::Uuid;

#[test]
fn jobs_wait_for_each_other_on_one_worker() {
    let mut load = load_of(&[1]);
    for number in 0..4 {
        load.jobs.push(job(number, 0, 10));
    }
    let report = report(&load);
    assert_eq!((report.jobs, report.finished), (4, 4));
    assert_eq!(report.makespan, seconds(40));
    assert_eq!(report.peak_queued, 3);
    assert!((report.jobs_per_hour() - 360.0).abs() < 1e-9);
    let waits = report.queues[0].waits;
    assert_eq!(waits.mean, seconds(15));
    assert_eq!((waits.p50, waits.p90), (seconds(10), seconds(30)));
    assert_eq!(waits.max, seconds(30));
    assert_eq!(report.workers[0].jobs, 4);
    assert_eq!(report.workers[0].used["slots"], 1000);
    assert_eq!(report.queues[0].share, 1000);
}

#[test]
fn a_worker_that_joins_and_leaves_is_used_in_between() {
    let mut load = load_of(&[1]);
    load.workers[0].joins_at = seconds(10);
    load.workers[0].leaves_at = Some(seconds(25));
    for number in 0..3 {
        load.jobs.push(job(number, 0, 10));
    }
    let report = report(&load);
    // The second still runs when the worker leaves, and ends there.
    assert_eq!(report.finished, 2);
    assert_eq!(report.makespan, seconds(30));
    assert_eq!(report.workers[0].present, seconds(20));
    assert_eq!(report.workers[0].used["slots"], 1000);
    let never = report.queues[0].never_started.as_ref().expect("one");
    assert_eq!((never.jobs, never.given_up), (1, 0));
    let (example, explanation) = never.example.as_ref().expect("a reason");
    assert_eq!(*example, job_id(2));
    assert_eq!(explanation.verdict, Some(WaitVerdict::Never));
}

#[test]
fn weights_are_kept_while_both_queues_have_jobs() {
    let mut load = load_of(&[4]);
    for (queue, weight) in [("blue", 3), ("red", 1)] {
        load.queues.push(LoadQueue::new(queue, weighted(weight)));
    }
    for number in 0..400 {
        let mut entry = job(number, 0, 10);
        let queue = if number % 2 == 0 { "red" } else { "blue" };
        entry.demand.queue = queue.into();
        load.jobs.push(entry);
    }
    let report = report(&load);
    assert_eq!(report.finished, 400);
    assert_eq!(report.makespan, seconds(1000));
    let names: Vec<_> = report.queues.iter().map(|queue| &queue.queue).collect();
    assert_eq!(names, ["blue", "red"]);
    // In the end both had the same; on the way blue was served three times as fast.
    assert_eq!([500, 500], [report.queues[0].share, report.queues[1].share]);
    assert!(report.queues[0].waits.max <= seconds(680));
    assert_eq!(report.queues[1].waits.max, seconds(990));
}

#[test]
fn each_resource_is_told() {
    let mut load = load_of(&[4]);
    load.workers[0].offer.capacity = Resources::of_slots(4).with("gpu", 1);
    let mut wants = WantsDraft::default();
    wants.resources = Resources::of_slots(1).with("gpu", 1);
    let wants: Arc<Wants> = Arc::new(wants.into());
    for number in 0..2 {
        let demand = JobDemand::of(job_id(number), u64::from(number), Arc::clone(&wants));
        load.jobs
            .push(LoadJob::new(demand, Duration::ZERO, seconds(10)));
    }
    let report = report(&load);
    assert_eq!(report.makespan, seconds(20));
    assert_eq!(report.workers[0].used["gpu"], 1000);
    assert_eq!(report.workers[0].used["slots"], 250);
}

#[test]
fn what_time_alone_decides_is_waited_for() {
    // Both jobs go to the worker that holds what they use; the second one's patience ends before the first job does.
    let mut load = load_of(&[1, 1]);
    load.policy.placement = Placement::Warm {
        patience: seconds(3),
    };
    let mut wants = WantsDraft::default();
    wants.warm.insert("image".to_owned());
    let wants: Arc<Wants> = Arc::new(wants.into());
    load.workers[0].offer.holds.insert("image".to_owned(), 5);
    for number in 0..2 {
        let demand = JobDemand::of(job_id(number), u64::from(number), Arc::clone(&wants));
        load.jobs
            .push(LoadJob::new(demand, Duration::ZERO, seconds(10)));
    }
    let report = report(&load);
    assert_eq!(report.queues[0].waits.max, seconds(3));
    assert_eq!(report.makespan, seconds(13));
}

#[test]
fn given_up_jobs_are_counted_apart() {
    let mut load = load_of(&[1]);
    load.policy.give_up_after = Some(seconds(5));
    let gpu = vec!["gpu".parse().expect("a requirement")];
    let demand = JobDemand::of(job_id(1), 1, Wants::meeting(gpu));
    load.jobs
        .push(LoadJob::new(demand, seconds(1), seconds(10)));
    let report = report(&load);
    let never = report.queues[0].never_started.as_ref().expect("one");
    assert_eq!((never.jobs, never.given_up), (1, 1));
    assert_eq!(never.example, None);
    assert_eq!(report.makespan, Duration::ZERO);
}

#[test]
fn an_empty_load_has_an_empty_report() {
    let report = report(&Load::default());
    assert_eq!((report.jobs, report.peak_queued), (0, 0));
    assert!(report.queues.is_empty() && report.workers.is_empty());
    assert!(report.jobs_per_hour().abs() < f64::EPSILON);
}

#[test]
fn a_load_that_cannot_be_is_refused_by_what_is_wrong() {
    let refusal = |change: fn(&mut Load)| {
        let mut load = load_of(&[1]);
        load.jobs.push(job(1, 0, 1));
        change(&mut load);
        run(&load).expect_err("refused")
    };
    let year = Duration::from_hours(366 * 24);
    assert_eq!(year, seconds(366 * 24 * 3600));
    assert_eq!(
        refusal(|load| load.jobs.push(job(1, 5, 5))),
        LoadError::DuplicateJob { job: job_id(1) }
    );
    assert_eq!(
        refusal(|load| load.workers.push(load.workers[0].clone())),
        LoadError::DuplicateWorker {
            worker: worker_id(0)
        }
    );
    assert_eq!(
        refusal(|load| load.jobs[0].arrives_at = seconds(366 * 24 * 3600)),
        LoadError::ArrivesTooLate { job: job_id(1) }
    );
    assert_eq!(
        refusal(|load| load.jobs[0].runs_for = seconds(366 * 24 * 3600)),
        LoadError::RunsTooLong { job: job_id(1) }
    );
    assert_eq!(
        refusal(|load| {
            load.workers[0].joins_at = seconds(2);
            load.workers[0].leaves_at = Some(seconds(1));
        }),
        LoadError::LeavesBeforeItJoins {
            worker: "worker-0".to_owned()
        }
    );
    assert!(matches!(
        refusal(|load| load.queues.push(LoadQueue::new("q", weighted(0)))),
        LoadError::Queue { queue, .. } if queue == "q"
    ));
    assert!(matches!(
        refusal(|load| {
            load.queues.push(LoadQueue::new("q", weighted(1)));
            load.queues.push(LoadQueue::new("q", weighted(1)));
        }),
        LoadError::DuplicateQueue { queue } if queue == "q"
    ));
    let text = refusal(|load| {
        load.workers[0]
            .offer
            .capacity
            .counts
            .insert("GPU".to_owned(), 1);
    })
    .to_string();
    assert!(text.starts_with("worker `worker-0`: "), "{text}");
    assert_eq!(
        refusal(|load| load.jobs = vec![load.jobs[0].clone(); MAX_LOAD_JOBS + 1]),
        LoadError::TooManyJobs {
            jobs: MAX_LOAD_JOBS + 1
        }
    );
}

proptest! {
    #[test]
    fn sums_hold_and_reports_repeat(load in loads()) {
        let report = run(&load).expect("a good load");
        prop_assert_eq!(&report, &run(&load).expect("a good load"));
        let started: u64 = report.queues.iter().map(|queue| queue.started).sum();
        let jobs: u64 = report.queues.iter().map(|queue| queue.jobs).sum();
        let ran: u64 = report.workers.iter().map(|worker| worker.jobs).sum();
        prop_assert_eq!((jobs, started), (report.jobs, report.finished));
        prop_assert_eq!(ran, report.finished);
        for queue in &report.queues {
            let never = queue.never_started.as_ref().map_or(0, |never| never.jobs);
            prop_assert_eq!(queue.started + never, queue.jobs);
            let waits = queue.waits;
            prop_assert!(waits.p50 <= waits.p90 && waits.p90 <= waits.p99 && waits.p99 <= waits.max);
            prop_assert!(waits.mean <= waits.max);
            if let Some(never) = &queue.never_started {
                prop_assert!(never.example.is_some());
            }
        }
        for worker in &report.workers {
            for (resource, used) in &worker.used {
                prop_assert!(*used <= 1000, "{} of {}", used, resource);
            }
        }
        // No worker does more than it has time for.
        let work: Duration = load.jobs.iter().map(|job| job.runs_for).sum();
        prop_assert!(report.makespan <= seconds(1000) + work);
    }
}

fn loads() -> impl Strategy<Value = Load> {
    let workers = prop::collection::vec((1..4_u32, 0..50_u64, prop::option::of(0..90_u64)), 0..4);
    let jobs = prop::collection::vec((0..100_u64, 0..40_u64, 1..4_u32, 0..3_usize), 0..40);
    (workers, jobs).prop_map(|(workers, jobs)| {
        let mut load = load_of(&workers.iter().map(|worker| worker.0).collect::<Vec<_>>());
        for (entry, (_, joins_at, stays)) in load.workers.iter_mut().zip(workers) {
            entry.joins_at = seconds(joins_at);
            entry.leaves_at = stays.map(|stays| seconds(joins_at + stays));
        }
        for (number, (at, runs_for, slots, queue)) in (0..).zip(jobs) {
            let mut entry = job(number, at, runs_for);
            let mut wants = WantsDraft::default();
            wants.resources = Resources::of_slots(slots);
            entry.demand.wants = Arc::new(wants.into());
            entry.demand.queue = ["default", "red", "blue"][queue].into();
            load.jobs.push(entry);
        }
        load
    })
}

fn report(load: &Load) -> Report {
    run(load).expect("a good load")
}

/// Workers with so many slots.
fn load_of(slots: &[u32]) -> Load {
    let mut load = Load::default();
    for (number, slots) in (0..).zip(slots) {
        let mut offer = WorkerOffer::new(worker_id(number), format!("worker-{number}"));
        offer.capacity = Resources::of_slots(*slots);
        load.workers.push(LoadWorker::new(offer));
    }
    load
}

fn job(number: u32, at: u64, runs_for: u64) -> LoadJob {
    let demand = JobDemand::new(job_id(number), number.into());
    LoadJob::new(demand, seconds(at), seconds(runs_for))
}

fn weighted(weight: u32) -> QueueSettings {
    let mut settings = QueueSettings::default();
    settings.weight = weight;
    settings
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn job_id(number: u32) -> JobId {
    JobId::from_uuid(Uuid::from_u128(ring_place(u128::from(number) + 1000)))
}

fn worker_id(number: u32) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(ring_place(number.into())))
}
