//! The suite for implementers of [`Store`].
//!
//! Each case is an async function that panics with a sentence when the contract is broken. [`store_suite!`]
//! makes a test of each; [`run_all`] runs them one after another, for hosts with a test harness of their own.
//!
//! # How to run it
//!
//! Depend on `jobyard-testkit` in `[dev-dependencies]`, write a [`StoreFactory`] for your store, and name it in a file
//! below `tests/`:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use jobyard_core::Store;
//! use jobyard_testkit::store::StoreFactory;
//!
//! # fn open_empty_store() -> Arc<dyn Store> { unimplemented!() }
//! # fn open_again() -> Arc<dyn Store> { unimplemented!() }
//! struct MyFactory;
//!
//! #[async_trait]
//! impl StoreFactory for MyFactory {
//!     async fn fresh(&self) -> Arc<dyn Store> {
//!         open_empty_store()
//!     }
//!
//!     async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>> {
//!         drop(store);
//!         Some(open_again())
//!     }
//! }
//!
//! // All cases one after another, in a test of any runtime.
//! async fn contract() {
//!     jobyard_testkit::store::run_all(&MyFactory).await;
//! }
//! # fn main() {}
//! ```
//!
//! Better still, one test for each case, under the attribute of your runtime:
//!
//! ```ignore
//! jobyard_testkit::store_suite!(#[tokio::test], MyFactory);
//! ```
//!
//! The factory makes an empty store for each case, opens it again as after a restart, and can do two more things that
//! no trait offers: make a store that fills up soon, and change a record behind the store's back. A store that has no
//! limit, or whose engine keeps sums of its own, leaves those two as they are; the cases that need them then pass
//! without having proven anything, so a durable store should have them.
//!
//! What the suite cannot prove, since it sees the trait alone: that a commit is on disk when it returns (kill the
//! process, cut the power), that an epoch fences other processes, that a read of a damaged file is no wrong value, and
//! that the work of a page does not grow with the history. `crates/store/tests` shows how Jobyard's own store proves
//! those.
//!
//! [`store_suite!`]: crate::store_suite

mod batches;
mod fixture;
mod pages;
mod reads;
mod retention;
mod terms;
mod trouble;

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{RecordKind, Store};

pub use batches::*;
pub use pages::*;
pub use reads::*;
pub use retention::*;
pub use terms::*;
pub use trouble::*;

/// Makes the stores that the suite tries.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// An empty store that nobody has led. Called once per case.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// Closes a store that [`fresh`](Self::fresh) made and opens the same again, as after a restart. The suite holds
    /// no other reference to it. `None` if the store forgets by design.
    async fn reopen(&self, store: Arc<dyn Store>) -> Option<Arc<dyn Store>>;

    /// An empty store that holds so many bytes, and whose [`room`](Store::room) is low from half of that on. `None` if
    /// it cannot be limited.
    async fn small(&self, _bytes: u64) -> Option<Arc<dyn Store>> {
        None
    }

    /// Changes the body of a record where it is kept, behind the back of a store that is open. `false` if that cannot
    /// be done, or cannot be found out by any store.
    async fn damage(&self, _store: &dyn Store, _kind: RecordKind, _key: &str) -> bool {
        false
    }
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
            what_ended_first_comes_first
            ends_come_back_unchanged
            many_that_ended_at_once_are_forgotten_in_pages
            walk_along_what_has_ended
            refuse_an_impossible_number_of_ended_records
            tombstone_stays_of_what_was_forgotten
            count_follows_changes
            list_filters_by_live
            fresh_store_has_room
            room_is_low_before_the_store_is_full
            damaged_record_is_named_and_costs_no_other
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
