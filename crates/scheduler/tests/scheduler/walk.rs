//! A history, told to both schedulers.

use std::time::Duration;

use jobyard_core::Steady;
use jobyard_scheduler::{Decision, Event, JobDemand, Policy, Scheduler};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::history::{Step, What};
use crate::reference::{Job, Reference};
use crate::yard::at;

/// So many times fewer cases than usual: for what the comparison of decisions tests as well. All of them grow with
/// `PROPTEST_CASES`.
pub(crate) fn a_part_of_the_cases(divisor: u32) -> ProptestConfig {
    let all = ProptestConfig::default();
    ProptestConfig {
        cases: all.cases.div_ceil(divisor),
        ..all
    }
}

/// Both schedulers, at the same point of a history.
pub(crate) struct Twins {
    pub(crate) scheduler: Scheduler,
    pub(crate) reference: Reference,
    pub(crate) now: Steady,
}

impl Twins {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            scheduler: Scheduler::with_policy(policy.clone()),
            reference: Reference::new(policy.clone()),
            now: Steady::default(),
        }
    }

    /// Both have to decide the same, in the same order.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<Vec<Decision>, TestCaseError> {
        self.tell_late(event, Duration::ZERO)
    }

    /// The same, with a clock that is behind.
    pub(crate) fn tell_late(
        &mut self,
        event: &Event,
        late: Duration,
    ) -> Result<Vec<Decision>, TestCaseError> {
        let micros = u64::try_from(late.as_micros()).expect("not so long");
        let told = Steady::from_micros(self.now.as_micros().saturating_sub(micros));
        let mut out = Vec::new();
        self.scheduler.handle(at(told), event.clone(), &mut out);
        let expected = self.reference.handle(told, event);
        prop_assert_eq!(&out, &expected, "after {:?} at {:?}", event, told);
        Ok(out)
    }
}

/// Tells a history to both, and looks at them after each event.
pub(crate) fn walk(
    policy: &Policy,
    history: &[Step],
    mut look: impl FnMut(&Twins, &Event, &[Decision]) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut twins = Twins::new(policy);
    for step in history {
        twins.now = twins.now + step.after;
        for event in events_of(&step.what, &twins.reference) {
            let decisions = twins.tell_late(&event, step.late)?;
            look(&twins, &event, &decisions)?;
        }
    }
    Ok(())
}

/// The events as they are told, without the checks.
pub(crate) fn recorded(policy: &Policy, history: &[Step]) -> Vec<(Steady, Event)> {
    let (mut reference, mut now) = (Reference::new(policy.clone()), Steady::default());
    let mut record = Vec::new();
    for step in history {
        now = now + step.after;
        for event in events_of(&step.what, &reference) {
            reference.handle(now, &event);
            record.push((now, event));
        }
    }
    record
}

fn events_of(what: &What, reference: &Reference) -> Vec<Event> {
    let placed: Vec<_> = reference.placed().collect();
    let waiting: Vec<_> = reference.waiting().collect();
    let nth = |jobs: &[&Job], number: usize| {
        let at = number.checked_rem(jobs.len())?;
        Some(jobs[at].demand.clone())
    };
    let release = |demand: JobDemand| Event::JobReleased(demand.job);
    let events = match what {
        What::Told(event) => Some(vec![event.clone()]),
        What::Ends(number) => nth(&placed, *number).map(|demand| vec![release(demand)]),
        What::ComesBack(number) => nth(&placed, *number)
            .map(|demand| vec![release(demand.clone()), Event::JobQueued(demand)]),
        What::Withdrawn(number) => {
            nth(&waiting, *number).map(|demand| vec![Event::JobWithdrawn(demand.job)])
        }
        What::AsksAgain(number) => {
            nth(&waiting, *number).map(|demand| vec![Event::JobQueued(demand)])
        }
    };
    events.unwrap_or_default()
}
