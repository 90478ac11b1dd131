//! The scheduler alone, in a host of its own: no runtime, no network, no clock.
//!
//! Two workers, four jobs: prints who runs where and why the others wait, then what changes when a job ends.

#![forbid(unsafe_code)]

use std::error::Error;

use jobyard_core::{JobId, Now, WorkerId};
use jobyard_scheduler::{Availability, Event, JobDemand, Scheduler, WorkerOffer};
use uuid::Uuid;

fn main() -> Result<(), Box<dyn Error>> {
    let mut yard = Yard::default();
    yard.worker(1, "penguin", &["os=linux", "has=cargo"])?;
    yard.worker(2, "apple", &["os=darwin", "has=xcode"])?;
    yard.tell(Event::FleetKnown);

    yard.job(1, &["os=linux"])?;
    yard.job(2, &["os=darwin"])?;
    yard.job(3, &["os=linux|darwin"])?;
    yard.job(4, &["os=linux", "has=xcode"])?;
    yard.why(3);
    yard.why(4);
    yard.tell(Event::JobReleased(job(2)));

    let expected = "\
job 1 runs on worker 1
job 2 runs on worker 2
job 3 waits (not_now): matching workers with too few free slots: 2
job 4 waits (never): 1 of 2 workers do not meet `has=xcode`: one worker with it would help
job 4 waits (never): 1 of 2 workers do not meet `os=linux`: one worker with it would help
job 4 waits (never): the nearest worker is `apple`, which lacks `os=linux`
job 3 runs on worker 2";
    assert_eq!(yard.said.join("\n"), expected);
    Ok(())
}

/// The host: feeds the scheduler and prints what it says.
#[derive(Default)]
struct Yard {
    scheduler: Scheduler,
    said: Vec<String>,
}

impl Yard {
    fn worker(&mut self, number: u128, name: &str, tags: &[&str]) -> Result<(), Box<dyn Error>> {
        let worker = WorkerId::from_uuid(Uuid::from_u128(number));
        let mut offer = WorkerOffer::new(worker, name);
        for tag in tags {
            offer.tags.insert(tag.parse()?)?;
        }
        self.tell(Event::WorkerJoined(offer));
        let availability = Availability::Available;
        self.tell(Event::WorkerAvailability {
            worker,
            availability,
        });
        Ok(())
    }

    fn job(&mut self, number: u32, requirements: &[&str]) -> Result<(), Box<dyn Error>> {
        let mut demand = JobDemand::new(job(number), number.into());
        for requirement in requirements {
            demand.requirements.push(requirement.parse()?);
        }
        self.tell(Event::JobQueued(demand));
        Ok(())
    }

    fn tell(&mut self, event: Event) {
        let mut assignments = Vec::new();
        self.scheduler
            .handle(Now::default(), event, &mut assignments);
        for to in assignments {
            let (job, worker) = (to.job.as_uuid().as_u128(), to.worker.as_uuid().as_u128());
            self.say(format!("job {job} runs on worker {worker}"));
        }
    }

    fn why(&mut self, number: u32) {
        let Some(why) = self.scheduler.explain(job(number)) else {
            return;
        };
        let verdict = why.verdict.map_or("", |verdict| verdict.as_str());
        for reason in why.reasons {
            self.say(format!("job {number} waits ({verdict}): {reason}"));
        }
    }

    fn say(&mut self, line: String) {
        println!("{line}");
        self.said.push(line);
    }
}

fn job(number: u32) -> JobId {
    JobId::from_uuid(Uuid::from_u128(number.into()))
}
