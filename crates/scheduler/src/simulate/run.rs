//! Virtual time, from event to event.

use jobyard_core::{Now, Steady, Timestamp};

use super::check::{LoadError, check};
use super::load::Load;
use super::report::Report;
use super::tally::Tally;
use super::timeline::{Happening, Timeline};
use crate::{Availability, Decision, Event, Scheduler};

/// When nothing runs any more and nothing arrives, so many deadlines of the scheduler in a row may pass without a
/// decision before what still waits counts as never started. Patience and giving up need one each.
pub const MAX_IDLE_DEADLINES: u32 = 10_000;

/// Runs a load to its end: until nothing runs, nothing arrives, and time alone changes nothing.
///
/// Takes time and memory in proportion to the numbers of jobs and workers, and as much per decision as the scheduler.
pub fn run(load: &Load) -> Result<Report, LoadError> {
    check(load)?;
    let tally = Tally::new(load).map_err(|job| LoadError::DuplicateJob { job })?;
    let mut simulation = Simulation {
        load,
        scheduler: Scheduler::with_policy(load.policy.clone()),
        timeline: Timeline::new(load),
        tally,
        now: Steady::default(),
        decisions: Vec::new(),
    };
    simulation.begin();
    while simulation.go_on() {}
    Ok(simulation.tally.report(&simulation.scheduler))
}

struct Simulation<'a> {
    load: &'a Load,
    scheduler: Scheduler,
    timeline: Timeline,
    tally: Tally<'a>,
    now: Steady,
    decisions: Vec<Decision>,
}

impl Simulation<'_> {
    /// What stands before everything else.
    fn begin(&mut self) {
        for queue in &self.load.queues {
            self.tell(Event::QueueSet {
                queue: queue.name.clone(),
                settings: queue.settings,
            });
        }
        self.tell(Event::FleetKnown);
    }

    /// Whether anything has happened.
    fn go_on(&mut self) -> bool {
        // The deadline may lie in the past if there was nothing to do about it.
        let deadline = self.scheduler.next_deadline();
        let deadline = deadline.filter(|at| *at > self.now);
        let next = self.timeline.next_moment();
        if let (Some(next), Some(deadline)) = (next, deadline)
            && deadline < next
        {
            self.pass_to(deadline);
            return true;
        }
        let Some((at, happening)) = self.timeline.pop() else {
            return self.wait_for_decision();
        };
        self.now = at;
        self.happen(happening);
        true
    }

    /// Whether time alone, without anything else, still leads to a decision.
    fn wait_for_decision(&mut self) -> bool {
        for _ in 0..MAX_IDLE_DEADLINES {
            let deadline = self.scheduler.next_deadline();
            let Some(deadline) = deadline.filter(|at| *at > self.now) else {
                return false;
            };
            if self.pass_to(deadline) {
                return true;
            }
        }
        false
    }

    fn pass_to(&mut self, at: Steady) -> bool {
        self.now = at;
        self.tell(Event::TimePassed)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::End { job, .. } => {
                let job = self.load.jobs[job].demand.job;
                self.tell(Event::JobReleased(job));
            }
            Happening::Join(worker) => {
                let offer = self.load.workers[worker].offer.clone();
                let worker = offer.worker;
                let availability = Availability::Available;
                self.tell(Event::WorkerJoined(offer));
                self.tell(Event::WorkerAvailability {
                    worker,
                    availability,
                });
            }
            Happening::Leave(worker) => {
                let worker = self.load.workers[worker].offer.worker;
                self.tell(Event::WorkerLeft(worker));
            }
            Happening::Arrive(job) => {
                let demand = self.load.jobs[job].demand.clone();
                self.tell(Event::JobQueued(demand));
            }
        }
    }

    /// Hands an event on and carries out what follows. Whether anything does.
    fn tell(&mut self, event: Event) -> bool {
        let micros = i64::try_from(self.now.as_micros()).unwrap_or(i64::MAX);
        let now = Now {
            wall: Timestamp::from_micros(micros),
            steady: self.now,
        };
        self.decisions.clear();
        self.scheduler.handle(now, event, &mut self.decisions);
        for decision in &self.decisions {
            match *decision {
                Decision::Assigned { job, worker } => {
                    if let Some((job, end)) = self.tally.start(job, worker, self.now) {
                        self.timeline.ends(job, end);
                    }
                }
                Decision::GaveUp { job } => self.tally.give_up(job),
            }
        }
        self.tally.waiting(self.scheduler.queued());
        !self.decisions.is_empty()
    }
}
