//! What must always hold, each in a file of its own.
//!
//! An invariant is told every [`Fact`] in order and judges by facts and by the durable records alone. A new one is a new
//! file here and a line in [`all`].

mod attempts_increase;
mod calls_count_once;
mod complaining_gets_nothing;
mod contact;
mod drained_starts_nothing;
mod drains_end;
mod ends_are_told_once;
mod events_have_no_gap;
mod groups_hold;
mod kills_blame_nobody;
mod log_end_is_known;
mod log_is_a_prefix;
mod log_is_complete;
mod lost_is_silent;
mod no_attempt_starts_twice;
mod no_job_lost;
mod no_undeclared_overlap;
mod nothing_left_over;
mod nothing_oversold;
mod only_the_fit_are_welcomed;
mod outcomes_are_final;
mod placements;
mod queue_caps_hold;
mod retries_are_paid;
mod same_id_same_job;
mod silence_is_noticed;
mod stale_changes_nothing;
mod stop_is_final;
mod stopped_ends;
mod suspended_gets_nothing;
mod tables_agree;
mod terms_only_rise;
mod timeouts_hold;
mod unheard_signals_kill;
mod unrepeatable_runs_once;
mod unwilling_take_nothing;
mod waiting_has_a_reason;
mod workers_suit;
mod written_ends_count;

use std::fmt;

use crate::fact::Fact;
use crate::master::Books;

/// Something that must always hold.
pub(crate) trait Invariant: fmt::Debug {
    /// A sentence that is true as long as it holds.
    fn name(&self) -> &'static str;

    /// Something has become true. `books` are the durable records after all facts that became true together.
    fn observe(&mut self, fact: &Fact, books: &Books) -> Result<(), String>;

    /// Faults have stopped, and the world has come to rest or has had all the time that it may take.
    fn at_rest(&mut self, _rest: &Rest<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// The end of a world.
#[derive(Debug)]
pub(crate) struct Rest<'a> {
    pub(crate) books: &'a Books,
    /// What is left on workers, and requests that nobody has answered.
    pub(crate) leftovers: &'a [String],
}

/// One of each.
pub(crate) fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(no_job_lost::NoJobLost::default()),
        Box::new(no_attempt_starts_twice::NoAttemptStartsTwice::default()),
        Box::new(nothing_oversold::NothingOversold::default()),
        Box::new(groups_hold::GroupsHold::default()),
        Box::new(queue_caps_hold::QueueCapsHold::default()),
        Box::new(workers_suit::WorkersSuit::default()),
        Box::new(unrepeatable_runs_once::UnrepeatableRunsOnce::default()),
        Box::new(outcomes_are_final::OutcomesAreFinal),
        Box::new(attempts_increase::AttemptsIncrease),
        Box::new(stop_is_final::StopIsFinal::default()),
        Box::new(suspended_gets_nothing::SuspendedGetsNothing::default()),
        Box::new(complaining_gets_nothing::ComplainingGetsNothing::default()),
        Box::new(drained_starts_nothing::DrainedStartsNothing::default()),
        Box::new(drains_end::DrainsEnd::default()),
        Box::new(unwilling_take_nothing::UnwillingTakeNothing),
        Box::new(unheard_signals_kill::UnheardSignalsKill::default()),
        Box::new(stale_changes_nothing::StaleChangesNothing::default()),
        Box::new(no_undeclared_overlap::NoUndeclaredOverlap::default()),
        Box::new(log_is_a_prefix::LogIsAPrefix::default()),
        Box::new(log_is_complete::LogIsComplete::default()),
        Box::new(log_end_is_known::LogEndIsKnown::default()),
        Box::new(same_id_same_job::SameIdSameJob::default()),
        Box::new(terms_only_rise::TermsOnlyRise::default()),
        Box::new(only_the_fit_are_welcomed::OnlyTheFitAreWelcomed),
        Box::new(waiting_has_a_reason::WaitingHasAReason),
        Box::new(retries_are_paid::RetriesArePaid),
        Box::new(events_have_no_gap::EventsHaveNoGap::default()),
        Box::new(silence_is_noticed::SilenceIsNoticed::default()),
        Box::new(tables_agree::TablesAgree),
        Box::new(ends_are_told_once::EndsAreToldOnce::default()),
        Box::new(kills_blame_nobody::KillsBlameNobody),
        Box::new(written_ends_count::WrittenEndsCount::default()),
        Box::new(stopped_ends::StoppedEnds::default()),
        Box::new(lost_is_silent::LostIsSilent::default()),
        Box::new(timeouts_hold::TimeoutsHold::default()),
        Box::new(calls_count_once::CallsCountOnce::default()),
        Box::new(nothing_left_over::NothingLeftOver),
    ]
}
