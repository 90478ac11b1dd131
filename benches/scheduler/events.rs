//! What events of workers cost while a million jobs wait, and what questions cost.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use jobyard_benches::scheduling::{Kind, Shape, Stopwatch, Yard, worker_id};
use jobyard_core::{JobId, WorkerId};
use jobyard_scheduler::{Availability, Event, JobDemand, Scheduler, Wants, WorkerOffer};

use crate::measure::{Plan, filled, per, warm_up};
use crate::rows::{Row, Way, standard};

/// The cost of one kind of event.
pub(crate) struct Cost {
    pub(crate) what: &'static str,
    pub(crate) ns: f64,
    /// How many jobs were assigned for each event.
    pub(crate) assigned: f64,
}

/// A fleet of this size with the standard load.
pub(crate) fn fleet(workers: usize, plan: Plan, quick: bool) -> Yard<Scheduler> {
    let row = Row::plain(Shape {
        workers,
        ..standard()
    });
    let (mut yard, _) = filled(&if quick { row.quick() } else { row });
    warm_up(&mut yard, Way::Decide, plan);
    yard
}

/// Events of workers, in an order that leaves the fleet about as it was.
pub(crate) fn churn(yard: &mut Yard<Scheduler>) -> Vec<Cost> {
    let workers = yard.some_workers(BATCH);
    let ids: Vec<WorkerId> = workers.iter().map(|worker| worker_id(*worker)).collect();
    let offers: Vec<WorkerOffer> = workers
        .iter()
        .map(|worker| yard.workload().offer(*worker))
        .collect();
    let others = workers.iter().map(|at| yard.workload().other_offer(*at));
    let others: Vec<_> = others.map(Event::WorkerChanged).collect();
    let turn = |availability| {
        let events = ids.iter().map(move |worker| Event::WorkerAvailability {
            worker: *worker,
            availability,
        });
        events.collect::<Vec<_>>()
    };
    let as_they_were = || offers.iter().cloned().map(Event::WorkerChanged).collect();
    let mut costs = vec![
        cost(
            yard,
            "a full worker falls silent",
            turn(Availability::Silent),
        ),
        cost(yard, "and comes back", turn(Availability::Available)),
        cost(
            yard,
            "one slot more",
            offers.iter().map(one_slot_more).collect(),
        ),
        cost(yard, "one slot less, all taken", as_they_were()),
        cost(yard, "tags of another worker", others),
        cost(yard, "its own tags again", as_they_were()),
        cost(
            yard,
            "a tag that nobody had",
            offers.iter().map(unheard_of).collect(),
        ),
        cost(yard, "without it again", as_they_were()),
        cost(
            yard,
            "it holds 20 other things",
            ids.iter().map(holds).collect(),
        ),
    ];
    let left = ids.iter().copied().map(Event::WorkerLeft).collect();
    costs.push(cost(yard, "it leaves", left));
    let ended = yard.take_running_on(&ids).into_iter();
    let ended = ended.map(|placed| Event::JobReleased(placed.job)).collect();
    costs.push(cost(yard, "a job of it ends", ended));
    let joined = offers.iter().cloned().map(Event::WorkerJoined).collect();
    costs.push(cost(yard, "it joins again", joined));
    costs.push(cost(
        yard,
        "it becomes available, and is filled",
        turn(Availability::Available),
    ));
    costs
}

/// Questions that change nothing.
pub(crate) fn questions(yard: &mut Yard<Scheduler>) -> Vec<Cost> {
    let mut waiting: Vec<JobId> = yard.matcher().queued_jobs().collect();
    waiting.truncate(BATCH);
    let newest = vec![yard.submit(Kind::default()); BATCH];
    let never = Kind::default().id(u64::from(u32::MAX), 0);
    let unmet = Wants::meeting(vec!["cores>=1000000".parse().expect("a requirement")]);
    yard.handle(Event::JobQueued(JobDemand::of(never, u64::MAX, unmet)));
    yard.settle();
    let explain = |what, jobs: &[JobId], yard: &Yard<Scheduler>| {
        let begun = Stopwatch::start();
        let mut times = 0;
        for job in jobs {
            black_box(yard.matcher().explain(*job));
            times += 1;
            if begun.elapsed() > ASKED_FOR {
                break;
            }
        }
        Cost {
            what,
            ns: per(times, begun.elapsed()),
            assigned: 0.0,
        }
    };
    let costs = vec![
        explain("explain one of the oldest jobs", &waiting, yard),
        explain("explain the newest job", &newest, yard),
        explain("explain a job that nobody can run", &[never; BATCH], yard),
        next_deadline(yard),
    ];
    yard.handle(Event::JobWithdrawn(never));
    yard.settle();
    costs
}

fn next_deadline(yard: &Yard<Scheduler>) -> Cost {
    let times = 10 * BATCH;
    let begun = Stopwatch::start();
    for _ in 0..times {
        black_box(yard.matcher().next_deadline());
    }
    Cost {
        what: "ask for the next deadline",
        ns: per(times, begun.elapsed()),
        assigned: 0.0,
    }
}

/// Lets them happen; afterwards queues as many jobs as were assigned.
fn cost(yard: &mut Yard<Scheduler>, what: &'static str, events: Vec<Event>) -> Cost {
    let times = events.len().max(1);
    let mut assigned = 0;
    let begun = Stopwatch::start();
    for event in events {
        yard.handle(event);
        assigned += yard.settle();
    }
    let took = begun.elapsed();
    yard.restock(assigned);
    #[expect(clippy::cast_precision_loss, reason = "no benchmark counts to 2^52")]
    let assigned = assigned as f64 / times as f64;
    Cost {
        what,
        ns: per(times, took),
        assigned,
    }
}

fn one_slot_more(offer: &WorkerOffer) -> Event {
    let mut offer = offer.clone();
    offer.capacity.slots += 1;
    Event::WorkerChanged(offer)
}

fn unheard_of(offer: &WorkerOffer) -> Event {
    let mut offer = offer.clone();
    let tag = format!("rack={}", offer.name);
    let tag = tag.parse().expect("a tag that is written above");
    offer.tags.insert(tag).expect("few tags");
    Event::WorkerChanged(offer)
}

fn holds(worker: &WorkerId) -> Event {
    let things = (0..20_u64).map(|at| (format!("thing-{at}"), at));
    Event::WorkerHolds {
        worker: *worker,
        holds: things.collect::<BTreeMap<_, _>>(),
    }
}

/// How long one question is asked again.
const ASKED_FOR: Duration = Duration::from_millis(100);

/// To how many workers each thing happens.
const BATCH: usize = 500;
