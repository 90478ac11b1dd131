//! Real processes. Those that change users or namespaces need the super-user.

mod failures;
mod fresh_process;
mod isolation;
mod job;
mod roles;
mod wardens;

use self::job::{Job, Ran};
