//! The loads: small, since everything takes fifty times as long while it is counted.

use jobyard_benches::scheduling::{Groups, Shape, Workload, Yard, worker_id};
use jobyard_scheduler::{Availability, Event, Scheduler};

/// How many decisions are counted.
pub(crate) const TIMES: usize = 1_000;

/// 10,000 jobs wait for slots of 1,000 workers, all taken.
pub(crate) fn everything_taken() -> Yard<Scheduler> {
    running(&shape())
}

/// The same with resources, groups, caps, classes and priorities.
pub(crate) fn limits_and_resources() -> Yard<Scheduler> {
    running(&Shape {
        resources: true,
        caps: true,
        groups: Some(Groups {
            count: 50,
            limit: 4,
            percent: 30,
        }),
        classes: 3,
        priorities: 3,
        ..shape()
    })
}

/// Nothing waits, and half of the slots are free.
pub(crate) fn idle() -> Yard<Scheduler> {
    let shape = Shape {
        jobs: 0,
        taken: 50,
        ..shape()
    };
    let mut yard = filled(&shape);
    for _ in 0..TIMES {
        yard.place();
    }
    yard
}

/// A hundred workers that left, with their jobs, and what happens when they come back.
pub(crate) fn new_worker() -> (Yard<Scheduler>, Vec<Event>) {
    let mut yard = everything_taken();
    let workers = yard.some_workers(100);
    let ids: Vec<_> = workers.iter().map(|worker| worker_id(*worker)).collect();
    for worker in &ids {
        yard.handle(Event::WorkerLeft(*worker));
    }
    for placed in yard.take_running_on(&ids) {
        yard.handle(Event::JobReleased(placed.job));
    }
    yard.settle();
    let events = workers.iter().zip(ids).flat_map(|(worker, id)| {
        [
            Event::WorkerJoined(yard.workload().offer(*worker)),
            Event::WorkerAvailability {
                worker: id,
                availability: Availability::Available,
            },
        ]
    });
    let events = events.collect();
    (yard, events)
}

fn shape() -> Shape {
    Shape {
        sets: 100,
        queues: 10,
        ..Shape::new(10_000, 1_000)
    }
}

fn running(shape: &Shape) -> Yard<Scheduler> {
    let mut yard = filled(shape);
    for _ in 0..5 * TIMES {
        yard.decide();
    }
    yard
}

fn filled(shape: &Shape) -> Yard<Scheduler> {
    let mut yard = Yard::new(Scheduler::new(), Workload::new(shape));
    yard.fill(shape.jobs);
    yard
}
