//! Whether the executor compiles for systems that nobody here runs.
//!
//! `cargo check` needs the standard library of the other system. It comes with rustup (`rustup target add`), or is
//! checked along from its sources with the compiler of a distribution that has both: Debian's packages `rustc-web` and
//! `rust-web-src`. Where neither can be had, the step says so and checks nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// The systems beside Linux for which the executor is meant.
const TARGETS: &[&str] = &["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// What is checked: with it, all that it stands on.
const PACKAGE: &str = "jobyard-executor";

/// What the way over the distribution needs. The last one makes import libraries for Windows.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "rust-web-src", "binutils-mingw-w64-x86-64"];

/// Checks every target; returns what could not be checked, for the summary.
///
/// # Errors
///
/// The code does not compile for one of them.
pub fn require(workspace: &Workspace) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for target in TARGETS {
        let means = Means::find(workspace, target).or_else(|| Means::get(workspace, target));
        if let Some(means) = means {
            means.check(workspace, target)?;
            continue;
        }
        let note = format!(
            "{target}: not checked, its standard library is not here; `rustup target add {target}`, or on Debian \
             `apt-get install {}`",
            DEBIAN_PACKAGES.join(" ")
        );
        println!("note: {note}");
        notes.push(note);
    }
    Ok(notes)
}

/// By what a target can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Means {
    /// The compiler in use has the target's standard library.
    Installed,
    /// Another compiler is here, together with the sources of its standard library.
    Sources {
        /// The compiler.
        rustc: PathBuf,
    },
}

impl Means {
    fn find(workspace: &Workspace, target: &str) -> Option<Self> {
        if has_library(workspace, target) {
            return Some(Self::Installed);
        }
        let rustc = PathBuf::from("/usr/bin/rustc");
        let sources = Path::new("/usr/lib/rustlib/src/rust/library/std");
        let imports = Path::new("/usr/bin/x86_64-w64-mingw32-dlltool");
        let complete = is_recent(&rustc)
            && sources.is_dir()
            && (!target.contains("windows") || imports.exists());
        complete.then_some(Self::Sources { rustc })
    }

    /// Installs what is missing, where this user may and knows how.
    fn get(workspace: &Workspace, target: &str) -> Option<Self> {
        let is_root =
            command::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
        if is_root {
            let mut install = Command::new("apt-get");
            install
                .args(["install", "--yes", "--quiet", "--no-install-recommends"])
                .args(DEBIAN_PACKAGES)
                .env("DEBIAN_FRONTEND", "noninteractive");
            command::announce(&install);
            let installed = command::succeeds(&mut install)
                || (command::succeeds(Command::new("apt-get").args(["update", "--quiet"]))
                    && command::succeeds(&mut install));
            if installed && let Some(means) = Self::find(workspace, target) {
                return Some(means);
            }
        }
        None
    }

    fn check(&self, workspace: &Workspace, target: &str) -> Result<()> {
        let mut check = cargo(workspace);
        check.args(["check", "--package", PACKAGE, "--target", target]);
        if let Self::Sources { rustc } = self {
            // Building the standard library is not stable, so a stable compiler has to be told that it may. Its
            // artifacts are of another compiler: they would only be in the way of all others.
            check
                .args(["-Zbuild-std=std,panic_abort,panic_unwind,proc_macro"])
                .args(["--target-dir", "target/portability"])
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", "-D warnings");
        }
        command::run(&mut check)
    }
}

/// Whether the compiler in use has the standard library of a target.
fn has_library(workspace: &Workspace, target: &str) -> bool {
    let mut ask = Command::new("rustc");
    ask.current_dir(workspace.root())
        .args(["--print", "target-libdir", "--target", target]);
    command::output(&mut ask).is_ok_and(|dir| Path::new(dir.trim()).is_dir())
}

/// Whether a compiler is there and knows the language that the workspace is written in.
fn is_recent(rustc: &Path) -> bool {
    let version = command::output(Command::new(rustc).arg("--version")).unwrap_or_default();
    minor_version(&version).is_some_and(|minor| minor >= MINOR_VERSION)
}

/// The second number of the workspace's `rust-version`.
const MINOR_VERSION: u32 = 92;

/// The second number in what `rustc --version` prints, as long as the first is 1.
fn minor_version(version: &str) -> Option<u32> {
    let numbers = version.split_whitespace().nth(1)?;
    let minor = numbers.strip_prefix("1.")?.split('.').next()?;
    minor.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_the_version_of_a_compiler() {
        assert_eq!(
            minor_version("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some(96)
        );
        assert_eq!(minor_version("rustc 2.0.0"), None);
        assert_eq!(minor_version(""), None);
    }

    #[test]
    fn the_version_asked_for_is_that_of_the_workspace() {
        let manifest = include_str!("../../Cargo.toml");
        let line = format!("rust-version = \"1.{MINOR_VERSION}\"");
        assert!(manifest.contains(&line), "{line}");
    }
}
