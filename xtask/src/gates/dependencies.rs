//! Which packages may be in the lock file, and from which version on.

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::{DependencyKind, Metadata};

/// The registry that everything comes from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The only packages that `jobyard-core` may use: it is vocabulary, and everybody pays for it.
pub const CORE_MAY_USE: &[&str] = &[
    "async-trait",
    "bytes",
    "futures-core",
    "serde",
    "thiserror",
    "uuid",
];

/// Packages that never enter the lock file, with the reason.
pub const REFUSED: &[(&str, &str)] = &[
    (
        "async-tar",
        "unpacks archives that smuggle entries (RUSTSEC-2026-0068, CVE-2025-62518)",
    ),
    ("bincode", "is no longer maintained"),
    ("native-tls", "is a second TLS stack"),
    ("openssl-sys", "is a second TLS stack"),
    ("priority-queue", "is under LGPL or MPL"),
    (
        "tokio-tar",
        "unpacks archives that smuggle entries (RUSTSEC-2026-0068, CVE-2025-62518)",
    ),
    ("users", "is no longer maintained"),
];

/// The oldest version of a package that is free of the faults that concern us, if it is used.
pub const AT_LEAST: &[(&str, Version, &str)] = &[
    (
        "bytes",
        Version(1, 11, 1),
        "integer overflow in `BytesMut::reserve`",
    ),
    (
        "h2",
        Version(0, 4, 16),
        "floods of resets, continuations and empty frames",
    ),
    ("ring", Version(0, 17, 12), "panics with overflow checks"),
    (
        "rustls",
        Version(0, 23, 18),
        "a crafted handshake panics the acceptor",
    ),
    (
        "rustls-webpki",
        Version(0, 103, 13),
        "revocation lists are matched wrongly",
    ),
    (
        "sqlx",
        Version(0, 8, 1),
        "a long value smuggles a protocol message",
    ),
    (
        "tar",
        Version(0, 4, 45),
        "changes permissions through symbolic links",
    ),
    ("time", Version(0, 3, 47), "parsing exhausts the stack"),
    (
        "tokio-postgres",
        Version(0, 7, 18),
        "faults in reading what a server sends",
    ),
    (
        "tonic",
        Version(0, 12, 3),
        "a failing accept ends the server",
    ),
    (
        "tracing-subscriber",
        Version(0, 3, 20),
        "escape sequences reach the terminal",
    ),
];

/// The three numbers of a version. What follows them (`-rc.1`, `+build`) does not count here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64, pub u64, pub u64);

impl Version {
    /// Reads `major.minor.patch`, ignoring a suffix; `None` if it has another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut parts = numbers.split('.').map(str::parse::<u64>);
        let mut next = || parts.next()?.ok();
        let version = Self(next()?, next()?, next()?);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A package that must not be there, or not like this.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It is refused.
    Refused {
        /// The package.
        name: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// It is older than the version that mends a fault.
    TooOld {
        /// The package.
        name: String,
        /// The version in the lock file.
        version: String,
        /// The version that is needed.
        at_least: Version,
        /// What older ones do.
        reason: &'static str,
    },
    /// It comes from another place than crates.io.
    ForeignSource {
        /// The package.
        name: String,
        /// Where it comes from.
        source: String,
    },
    /// `jobyard-core` uses a package that it may not use.
    CoreUses {
        /// The package.
        name: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { name, reason } => write!(f, "{name} is refused: it {reason}"),
            Self::TooOld {
                name,
                version,
                at_least,
                reason,
            } => {
                write!(f, "{name} {version} is older than {at_least}: {reason}")
            }
            Self::ForeignSource { name, source } => {
                write!(f, "{name} comes from {source}, not from crates.io")
            }
            Self::CoreUses { name } => {
                write!(
                    f,
                    "jobyard-core must not use {name}; it may use {CORE_MAY_USE:?}"
                )
            }
        }
    }
}

/// Finds what is wrong with the packages of the lock file.
#[must_use]
pub fn findings(metadata: &Metadata) -> Vec<Finding> {
    let mut found = Vec::new();
    for package in &metadata.packages {
        let name = &package.name;
        if let Some(&(_, reason)) = REFUSED.iter().find(|(refused, _)| refused == name) {
            found.push(Finding::Refused {
                name: name.clone(),
                reason,
            });
        }
        for &(_, at_least, reason) in AT_LEAST.iter().filter(|(old, ..)| old == name) {
            if Version::parse(&package.version).is_none_or(|version| version < at_least) {
                let (name, version) = (name.clone(), package.version.clone());
                found.push(Finding::TooOld {
                    name,
                    version,
                    at_least,
                    reason,
                });
            }
        }
        if let Some(source) = package
            .source
            .as_ref()
            .filter(|source| *source != CRATES_IO)
        {
            found.push(Finding::ForeignSource {
                name: name.clone(),
                source: source.clone(),
            });
        }
    }
    found.extend(findings_of_core(metadata));
    found
}

/// Finds what `jobyard-core` uses and may not use. Its tests may use more.
#[must_use]
pub fn findings_of_core(metadata: &Metadata) -> Vec<Finding> {
    let core = metadata
        .members()
        .filter(|member| member.name == "jobyard-core");
    core.flat_map(|core| {
        let normal = core.dependencies_of(DependencyKind::Normal);
        normal.chain(core.dependencies_of(DependencyKind::Build))
    })
    .filter(|dependency| !CORE_MAY_USE.contains(&dependency.name.as_str()))
    .map(|dependency| Finding::CoreUses {
        name: dependency.name.clone(),
    })
    .collect()
}

/// Prints what was checked.
///
/// # Errors
///
/// There are findings; the message names them all.
pub fn require(metadata: &Metadata) -> Result<()> {
    let found = findings(metadata);
    if !found.is_empty() {
        let lines: Vec<String> = found.iter().map(|finding| format!("  {finding}")).collect();
        bail!("dependencies that must not be:\n{}", lines.join("\n"));
    }
    println!(
        "{} packages: none refused, none too old, all from crates.io; core uses what it may",
        metadata.packages.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock_file(name: &str, version: &str, source: Option<&str>, uses: &[&str]) -> Metadata {
        let uses: Vec<_> = uses
            .iter()
            .map(|name| json!({ "name": name, "kind": null }))
            .collect();
        serde_json::from_value(json!({
            "packages": [{
                "name": name, "id": name, "version": version, "license": "MIT", "source": source,
                "targets": [], "publish": null, "dependencies": uses,
            }],
            "workspace_members": [name], "target_directory": "target",
        }))
        .unwrap()
    }

    #[test]
    fn refuse_a_package_of_the_list() {
        let found = findings(&lock_file("bincode", "2.0.1", Some(CRATES_IO), &[]));
        let reason = "is no longer maintained";
        assert_eq!(
            found,
            [Finding::Refused {
                name: "bincode".into(),
                reason
            }]
        );
    }

    #[test]
    fn refuse_a_version_with_a_known_fault() {
        let found = findings(&lock_file("h2", "0.4.15", Some(CRATES_IO), &[]));
        assert!(matches!(&found[..], [Finding::TooOld { .. }]), "{found:?}");
        assert_eq!(
            findings(&lock_file("h2", "0.4.16", Some(CRATES_IO), &[])),
            []
        );
        assert_eq!(
            findings(&lock_file("h2", "0.10.0", Some(CRATES_IO), &[])),
            []
        );
    }

    #[test]
    fn refuse_a_version_that_cannot_be_read() {
        let found = findings(&lock_file("h2", "four", Some(CRATES_IO), &[]));
        assert!(matches!(&found[..], [Finding::TooOld { .. }]), "{found:?}");
    }

    #[test]
    fn refuse_a_package_from_a_repository() {
        let source = "git+https://example.org/tar";
        let found = findings(&lock_file("tar", "0.4.45", Some(source), &[]));
        let source = source.to_owned();
        assert_eq!(
            found,
            [Finding::ForeignSource {
                name: "tar".into(),
                source
            }]
        );
    }

    #[test]
    fn refuse_a_runtime_in_core() {
        let found = findings(&lock_file(
            "jobyard-core",
            "0.1.0",
            None,
            &["serde", "tokio"],
        ));
        assert_eq!(
            found,
            [Finding::CoreUses {
                name: "tokio".into()
            }]
        );
    }

    #[test]
    fn compare_versions_by_number() {
        assert!(Version::parse("0.103.16") > Version::parse("0.103.9"));
        assert_eq!(
            Version::parse("1.2.3-rc.1+spec-1.1.0"),
            Some(Version(1, 2, 3))
        );
        assert_eq!(Version::parse("1.2"), None);
        assert_eq!(Version::parse("1.2.3.4"), None);
    }
}
