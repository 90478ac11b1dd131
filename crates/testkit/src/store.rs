//! The suite for implementers of [`Store`].
//!
//! Each case is an async function that panics with a sentence when the contract is broken. [`store_suite!`]
//! makes a test of each; [`run_all`] runs them one after another, for hosts with a test harness of their own.
//!
//! [`store_suite!`]: crate::store_suite

mod batches;
mod fixture;
mod pages;
mod reads;
mod terms;

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::Store;

pub use batches::*;
pub use pages::*;
pub use reads::*;
pub use terms::*;

/// Makes the stores that the suite tries.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// An empty store that nobody has led. Called once per case.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// Closes a store that [`fresh`](Self::fresh) made and opens the same again, as after a restart. The suite holds
    /// no other reference to it. `None` if the store forgets by design.
    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>>;
}

/// Makes a test of each case. The first part is the attribute of the tests, the second an expression for a new
/// [`StoreFactory`] per test.
///
/// ```ignore
/// jobyard_testkit::store_suite!(#[tokio::test], MyFactory::new());
/// ```
#[macro_export]
macro_rules! store_suite {
    (@run $factory:ident; $($case:ident)*) => {
        $( $crate::store::$case($factory).await; )*
    };
    (@tests $attributes:tt $factory:block; $($case:ident)*) => {
        $( $crate::store_suite! { @test $attributes $factory $case } )*
    };
    (@test [$($attribute:meta)*] $factory:block $case:ident) => {
        $( #[$attribute] )*
        async fn $case() {
            $crate::store::$case(&$factory).await;
        }
    };
    (@cases $($how:tt)*) => {
        $crate::store_suite! { $($how)*;
            epochs_grow_strictly_above_at_least
            resigned_term_is_over_and_another_leads
            fence_commits_loads_and_prunes_of_an_older_term
            fence_everybody_before_the_first_term
            repeated_batch_has_one_effect
            batches_are_numbered_anew_in_each_term
            refuse_a_gap_between_batches
            refuse_batch_zero
            refuse_a_batch_that_is_too_large
            largest_batch_fits
            refused_batch_leaves_no_trace
            dropped_commit_is_repeated_safely
            put_replaces_the_whole_record
            changes_of_a_batch_happen_in_order
            removing_twice_is_no_error
            kinds_are_apart
            texts_and_bodies_come_back_unchanged
            load_gives_only_live_records_in_order
            load_gives_kinds_in_the_order_asked
            load_streams_many_records
            load_is_of_one_moment
            reads_see_acknowledged_commits
            get_many_answers_in_the_order_of_keys
            list_filters_by_each_field
            list_follows_changed_fields
            list_goes_both_ways
            refuse_a_page_of_impossible_size
            pages_are_stable_under_inserts
            cursor_walk_covers_all_once
            records_that_share_a_place_share_a_page
            prune_is_bounded_and_never_removes_live_records
            pruned_record_leaves_the_lists
            reopened_store_has_everything_and_a_new_term
            random_batches_agree_with_a_model
        }
    };
    ($(#[$attribute:meta])+, $factory:expr) => {
        $crate::store_suite! { @cases @tests [$($attribute)+] { $factory } }
    };
}

/// Runs every case.
pub async fn run_all(factory: &dyn StoreFactory) {
    crate::store_suite! { @cases @run factory }
}
