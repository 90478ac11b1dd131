//! What a machine says of itself: as facts for people, as tags that jobs can ask for, and as what it has for them.
//!
//! Processors and memory are those that this process may use: a container or a service with a limit counts as a smaller
//! machine.
//!
//! # Tags
//!
//! | tag | value |
//! |---|---|
//! | `os` | `linux`, `darwin`, `freebsd`, ... |
//! | `arch` | `x86_64`, `aarch64`, ... |
//! | `cores` | processors that this process may use |
//! | `mem` | memory that this process may use, in the largest unit that says it exactly: `mem=16gib`, `mem=16317852kib` |
//! | `host` | host name; characters that no tag may hold become `-` |
//! | `has` | one tag for each of [`KNOWN_TOOLS`] that is on the `PATH` of jobs |
//! | `containment` | how well processes are held: `hard`, `namespace` or `best-effort`; the strongest that an executor offers |

mod capacity;
#[cfg(target_os = "linux")]
mod cgroup;
mod machine;
mod tags;

pub use self::capacity::capacity;
pub use self::machine::{boot_id, of_this_machine};
pub use self::tags::{KNOWN_TOOLS, auto_tags};
