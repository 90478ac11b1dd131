//! Every package that we build on may be used under terms that our own licences allow.

use std::fmt;

use anyhow::{Result, bail};

use super::spdx::{self, SpdxError};
use crate::command::{self, cargo};
use crate::workspace::{Metadata, Workspace};

/// The licences that may be combined with MIT OR Apache-2.0: permissive, no copyleft.
///
/// `deny.toml` has the same list.
pub const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// A package whose terms do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It names no licence.
    Unlicensed {
        /// The package with its version.
        package: String,
    },
    /// Its licence is not allowed.
    NotAllowed {
        /// The package with its version.
        package: String,
        /// What it demands.
        licence: String,
    },
    /// Its licence cannot be read.
    Malformed {
        /// The package with its version.
        package: String,
        /// What is wrong with the expression.
        error: SpdxError,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlicensed { package } => write!(f, "{package} names no licence"),
            Self::NotAllowed { package, licence } => {
                write!(f, "{package} is under {licence}, which is not allowed")
            }
            Self::Malformed { package, error } => write!(f, "{package}: {error}"),
        }
    }
}

/// Finds the packages whose terms do not fit.
#[must_use]
pub fn findings(metadata: &Metadata) -> Vec<Finding> {
    let packages = metadata.packages.iter();
    packages
        .filter_map(|package| {
            let name = format!("{} {}", package.name, package.version);
            let Some(licence) = &package.license else {
                return Some(Finding::Unlicensed { package: name });
            };
            match spdx::permits(licence, ALLOWED) {
                Ok(true) => None,
                Ok(false) => Some(Finding::NotAllowed {
                    package: name,
                    licence: licence.clone(),
                }),
                Err(error) => Some(Finding::Malformed {
                    package: name,
                    error,
                }),
            }
        })
        .collect()
}

/// Checks the licences of everything in the lock file, and lets cargo-deny look too if it is here.
///
/// # Errors
///
/// A licence does not fit, or cargo-deny complains.
pub fn require(workspace: &Workspace, metadata: &Metadata) -> Result<()> {
    let found = findings(metadata);
    if !found.is_empty() {
        let lines: Vec<String> = found.iter().map(|finding| format!("  {finding}")).collect();
        bail!(
            "licences that do not fit MIT OR Apache-2.0:\n{}",
            lines.join("\n")
        );
    }
    println!(
        "the licences of {} packages are allowed",
        metadata.packages.len()
    );
    if command::succeeds(cargo(workspace).args(["deny", "--version"])) {
        return command::run(
            cargo(workspace).args(["deny", "check", "licenses", "bans", "sources"]),
        );
    }
    println!("note: cargo-deny is not installed; the built-in checks stand alone");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock_file(packages: &[(&str, Option<&str>)]) -> Metadata {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, licence)| {
                json!({
                    "name": name, "id": name, "version": "1.0.0", "license": licence,
                    "source": "registry", "targets": [], "publish": null, "dependencies": [],
                })
            })
            .collect();
        serde_json::from_value(json!({
            "packages": packages, "workspace_members": [], "target_directory": "target",
        }))
        .unwrap()
    }

    #[test]
    fn accept_permissive_licences() {
        let metadata = lock_file(&[
            ("a", Some("MIT OR Apache-2.0")),
            ("b", Some("ISC AND (Apache-2.0 OR ISC)")),
            ("c", Some("MIT OR Apache-2.0 OR LGPL-2.1-or-later")),
        ]);
        assert_eq!(findings(&metadata), []);
    }

    #[test]
    fn refuse_copyleft() {
        let found = findings(&lock_file(&[("a", Some("LGPL-3.0-or-later OR MPL-2.0"))]));
        let licence = "LGPL-3.0-or-later OR MPL-2.0".to_owned();
        assert_eq!(
            found,
            [Finding::NotAllowed {
                package: "a 1.0.0".into(),
                licence
            }]
        );
    }

    #[test]
    fn refuse_a_package_without_a_licence() {
        let found = findings(&lock_file(&[("a", None)]));
        assert_eq!(
            found,
            [Finding::Unlicensed {
                package: "a 1.0.0".into()
            }]
        );
    }

    #[test]
    fn refuse_a_licence_that_cannot_be_read() {
        let found = findings(&lock_file(&[("a", Some("MIT OR"))]));
        let error = SpdxError::Incomplete;
        assert_eq!(
            found,
            [Finding::Malformed {
                package: "a 1.0.0".into(),
                error
            }]
        );
    }

    #[test]
    fn allow_what_the_configuration_of_cargo_deny_allows() {
        let text = include_str!("../../../deny.toml");
        let table: toml::Table = toml::from_str(text).unwrap();
        let listed: Vec<&str> = table["licenses"]["allow"]
            .as_array()
            .unwrap()
            .iter()
            .map(|licence| licence.as_str().unwrap())
            .collect();
        assert_eq!(listed, ALLOWED);
    }
}
