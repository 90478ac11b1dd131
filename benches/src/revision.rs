//! What was measured.

use std::fmt;
use std::process::Command;

/// The commit and the compiler of this checkout, as far as they can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    commit: Option<String>,
    /// Whether files differ from the commit.
    changed: bool,
    compiler: Option<String>,
}

impl Revision {
    /// Asks `git` and `rustc`. Blocks.
    pub fn this() -> Self {
        Self {
            commit: answer("git", &["rev-parse", "--short", "HEAD"]),
            changed: answer("git", &["status", "--porcelain", "--untracked-files=no"]).is_some(),
            compiler: answer("rustc", &["--version"]).and_then(|text| version(&text)),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.as_deref().unwrap_or("unknown");
        write!(f, "commit {commit}")?;
        if self.changed {
            f.write_str(" with changes")?;
        }
        if let Some(compiler) = &self.compiler {
            write!(f, ", {compiler}")?;
        }
        Ok(())
    }
}

/// The first two words: what follows is hash and date.
fn version(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}

/// What a program prints. `None` if it prints nothing or fails.
fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_compiler_its_version_is_named() {
        let text = "rustc 1.95.0 (59807616e 2026-04-14)";
        assert_eq!(version(text).as_deref(), Some("rustc 1.95.0"));
        assert_eq!(version(""), None);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(Revision::default().to_string(), "commit unknown");
    }
}
