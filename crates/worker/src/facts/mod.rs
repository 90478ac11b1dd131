//! What a machine says of itself: as facts for people, and as tags that jobs can ask for.
//!
//! | tag | value |
//! |---|---|
//! | `os` | `linux`, `darwin`, `freebsd`, ... |
//! | `arch` | `x86_64`, `aarch64`, ... |
//! | `cores` | processors that this process may use |
//! | `mem` | memory of the machine: whole GiB, rounded to the nearest, as in `mem=16gib`; whole MiB below one GiB |
//! | `host` | host name; characters that no tag may hold become `-` |
//! | `has` | one tag for each of [`KNOWN_TOOLS`] that is on the `PATH` of jobs |
//! | `containment` | one for each kind that an executor of this worker offers |

mod machine;
mod tags;

pub use self::machine::{boot_id, of_this_machine};
pub use self::tags::{KNOWN_TOOLS, auto_tags};
