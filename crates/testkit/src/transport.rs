//! The suite of [`Transport`].
//!
//! Implement [`TransportFactory`] for the transport and put [`transport_suite!`](crate::transport_suite) into a test
//! file. The cases play the master themselves: what a worker says arrives at a desk where the case sits.

mod desk;
mod links;
mod sessions;
mod uploads;

use std::sync::Arc;

use async_trait::async_trait;
use jobyard_core::{SessionHandler, Transport, WorkerId};

pub use links::*;
pub use sessions::*;
pub use uploads::*;

/// Makes ways to masters.
#[async_trait]
pub trait TransportFactory: Send + Sync {
    /// A way for this worker to a master of its own, whose sessions this handler serves. It stays usable as long as
    /// the factory and the transport live.
    async fn transport(
        &self,
        worker: WorkerId,
        handler: Arc<dyn SessionHandler>,
    ) -> Arc<dyn Transport>;
}

/// Makes a test of each case. The first part is the attribute of the tests, the second an expression for a new
/// [`TransportFactory`] per test.
///
/// ```ignore
/// jobyard_testkit::transport_suite!(#[tokio::test], MyFactory::new());
/// ```
#[macro_export]
macro_rules! transport_suite {
    (@run $factory:ident; $($case:ident)*) => {
        $( $crate::transport::$case($factory).await; )*
    };
    (@tests $attributes:tt $factory:block; $($case:ident)*) => {
        $( $crate::transport_suite! { @test $attributes $factory $case } )*
    };
    (@test [$($attribute:meta)*] $factory:block $case:ident) => {
        $( #[$attribute] )*
        async fn $case() {
            $crate::transport::$case(&$factory).await;
        }
    };
    (@cases $($how:tt)*) => {
        $crate::transport_suite! { $($how)*;
            hello_arrives_and_the_welcome_comes_first
            refused_session_says_why
            worker_that_is_no_member_is_refused
            newer_session_ends_the_older
            worker_that_goes_ends_its_session
            master_that_returns_ends_the_session
            removed_worker_is_cut_at_its_next_message
            worker_may_come_again
            messages_arrive_once_and_in_order
            large_batch_arrives_in_frames_of_bounded_length
            empty_batch_is_nothing
            dropped_receive_loses_nothing
            every_kind_of_message_arrives_as_it_was
            upload_resumes_where_the_master_says
            refused_upload_says_why
            uploads_end_with_their_session
            upload_of_an_older_session_is_refused
            stalled_upload_makes_its_sender_wait_and_nobody_else
        }
    };
    ($(#[$attribute:meta])+, $factory:expr) => {
        $crate::transport_suite! { @cases @tests [$($attribute)+] { $factory } }
    };
}

/// Runs all cases, one after another.
pub async fn run_all(factory: &dyn TransportFactory) {
    transport_suite! { @cases @run factory }
}
