//! The suite for implementers of [`LogStore`].
//!
//! Each case is an async function that panics with a sentence when the contract is broken. [`log_store_suite!`]
//! makes a test of each; [`run_all`] runs them one after another, for hosts with a test harness of their own.
//!
//! [`log_store_suite!`]: crate::log_store_suite

mod appends;
mod fixture;
mod follows;
mod reads;
mod seals;
mod settles;

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::LogStore;

pub use appends::*;
pub use follows::*;
pub use reads::*;
pub use seals::*;
pub use settles::*;

/// Makes the log stores that the suite tries.
#[async_trait]
pub trait LogStoreFactory: Send + Sync {
    /// An empty log store. Called once per case.
    async fn fresh(&self) -> Arc<dyn LogStore>;

    /// Closes a log store that [`fresh`](Self::fresh) made and opens the same again, as after a restart. The suite
    /// holds no other reference to it. `None` if the log store forgets by design.
    async fn reopen(&self, logs: Arc<dyn LogStore>) -> Option<Arc<dyn LogStore>>;

    /// Brings what is sealed into the form in which the store keeps it for long, if it has one of its own: does what
    /// [`LogStore::maintain`] would do, and returns when that is done.
    async fn settle(&self, logs: &dyn LogStore) {
        let _ = logs;
    }
}

/// Makes a test of each case. The first part is the attribute of the tests, the second an expression for a new
/// [`LogStoreFactory`] per test.
///
/// ```ignore
/// jobyard_testkit::log_store_suite!(#[tokio::test], MyFactory::new());
/// ```
#[macro_export]
macro_rules! log_store_suite {
    (@run $factory:ident; $($case:ident)*) => {
        $( $crate::log_store::$case($factory).await; )*
    };
    (@tests $attributes:tt $factory:block; $($case:ident)*) => {
        $( $crate::log_store_suite! { @test $attributes $factory $case } )*
    };
    (@test [$($attribute:meta)*] $factory:block $case:ident) => {
        $( #[$attribute] )*
        async fn $case() {
            $crate::log_store::$case(&$factory).await;
        }
    };
    (@cases $($how:tt)*) => {
        $crate::log_store_suite! { $($how)*;
            appended_bytes_are_held
            repeated_append_has_one_effect
            overlap_is_skipped_and_the_rest_taken
            conflict_names_the_first_byte_and_changes_nothing
            gap_names_what_is_expected_and_changes_nothing
            refuse_chunks_with_holes
            refuse_empty_and_oversized_chunks
            refuse_offsets_beyond_the_largest
            appending_nothing_tells_what_is_durable
            fence_appends_and_seals_of_an_older_epoch
            attempts_of_a_job_are_apart
            concurrent_appends_of_the_same_bytes_agree
            dropped_append_is_repeated_safely
            unwritten_log_is_open_and_empty
            read_from_every_offset_is_exact
            read_keeps_streams_and_times
            read_limit_bounds_the_answer
            large_log_reads_back_and_reopens
            removed_log_is_open_and_empty_and_can_be_written_again
            usage_follows_appends_and_removals
            reopened_logs_hold_everything
            random_appends_and_reads_agree_with_a_model
            watch_returns_at_once_when_there_is_more
            watch_wakes_on_append
            watch_wakes_on_seal
            watch_sleeps_while_nothing_new_comes
            many_followers_wake_together
            dropped_watch_does_no_harm
            sealed_log_is_complete
            seal_with_missing_bytes_is_lost_from_there
            seal_keeps_what_was_dropped
            seal_of_an_empty_log_wakes_its_follower
            repeated_seal_is_no_error_and_another_end_is
            refuse_an_end_before_held_bytes
            sealed_log_takes_only_repeats
            seal_is_kept_over_a_restart
            settled_log_reads_as_before_from_every_offset
            settled_log_keeps_borders_streams_and_times
            settled_large_log_reads_back_and_reopens
            settled_log_does_not_keep_its_follower_waiting
            settled_log_can_be_removed_and_written_again
            settling_disturbs_no_other_log
        }
    };
    ($(#[$attribute:meta])+, $factory:expr) => {
        $crate::log_store_suite! { @cases @tests [$($attribute)+] { $factory } }
    };
}

/// Runs every case.
pub async fn run_all(factory: &dyn LogStoreFactory) {
    crate::log_store_suite! { @cases @run factory }
}
