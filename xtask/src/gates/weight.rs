//! What a library drags in.
//!
//! Somebody who uses the scheduler alone gets no network stack, and a store without a database
//! server carries no client of one. Asked with default features, of the packages that are really
//! compiled: `cargo tree` resolves features as a build does, the lock file alone does not.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, bail};

use crate::command::{self, cargo};
use crate::workspace::{Metadata, Workspace};

/// Packages that bring cryptography of their own: aws-lc-rs is our only provider, because two in
/// one program double its size, its faults and its certifications.
pub const OTHER_PROVIDERS: &[&str] = &["native-tls", "openssl", "openssl-sys", "ring"];

/// What a library must not drag in with its default features.
pub const LIGHT: &[(&str, &[&str])] = &[
    (
        "jobyard-core",
        &["tokio", "tonic", "prost", "rustls", "rusqlite", "hyper"],
    ),
    (
        "jobyard-clock",
        &["tonic", "prost", "rustls", "rusqlite", "hyper"],
    ),
    (
        "jobyard-testkit",
        &["tonic", "prost", "rustls", "rusqlite", "hyper"],
    ),
    (
        "jobyard-scheduler",
        &["tokio", "tonic", "prost", "rustls", "rusqlite", "hyper"],
    ),
    (
        "jobyard-executor",
        &["tonic", "prost", "rustls", "rusqlite", "hyper", "bollard"],
    ),
    (
        "jobyard-transport",
        &[
            "rusqlite",
            "tokio-postgres",
            "axum",
            "prost-build",
            "protox",
        ],
    ),
    (
        "jobyard-pki",
        &["tokio", "tonic", "prost", "rusqlite", "hyper"],
    ),
    (
        "jobyard-store",
        &[
            "tonic",
            "prost",
            "rustls",
            "hyper",
            "tokio-postgres",
            "sqlx",
            "object_store",
        ],
    ),
    (
        "jobyard-worker",
        &["rusqlite", "tokio-postgres", "axum", "prost-build"],
    ),
    (
        "jobyard",
        &[
            "tokio-postgres",
            "bollard",
            "object_store",
            "axum",
            "prost-build",
            "clap",
        ],
    ),
];

/// A package that is dragged in and must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooHeavy {
    /// The library, or the workspace as a whole.
    pub library: String,
    /// What it drags in.
    pub drags_in: String,
}

impl fmt::Display for TooHeavy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{0} drags in {1} (see `cargo tree -e normal -p {0} -i {1}`)",
            self.library, self.drags_in
        )
    }
}

/// Checks that there is one provider of cryptography, and that each library stays light.
///
/// # Errors
///
/// There are findings; the message names them all.
pub fn require(workspace: &Workspace, metadata: &Metadata) -> Result<()> {
    let mut found = Vec::new();
    let whole = ["--workspace", "--all-features", "--target", "all"];
    found.extend(forbidden(
        "the workspace",
        &compiled(workspace, &whole)?,
        OTHER_PROVIDERS,
    ));
    for (library, banned) in LIGHT {
        if metadata.members().any(|member| member.name == *library) {
            let tree = compiled(workspace, &["--package", library])?;
            found.extend(forbidden(library, &tree, banned));
        }
    }
    if !found.is_empty() {
        let lines: Vec<String> = found.iter().map(|finding| format!("  {finding}")).collect();
        bail!("libraries that are too heavy:\n{}", lines.join("\n"));
    }
    println!(
        "one crypto provider; {} libraries stay light by default",
        LIGHT.len()
    );
    Ok(())
}

/// The names of the packages that are compiled into what `selection` chooses.
fn compiled(workspace: &Workspace, selection: &[&str]) -> Result<BTreeSet<String>> {
    let tree = command::output(
        cargo(workspace)
            .args([
                "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}",
            ])
            .args(selection),
    )?;
    Ok(names(&tree))
}

/// The first word of each line.
fn names(tree: &str) -> BTreeSet<String> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn forbidden(library: &str, compiled: &BTreeSet<String>, banned: &[&str]) -> Vec<TooHeavy> {
    banned
        .iter()
        .filter(|name| compiled.contains(**name))
        .map(|name| TooHeavy {
            library: library.to_owned(),
            drags_in: (*name).to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "jobyard-pki v0.1.0 (/src/pki)\nring v0.17.14\n\nserde v1.0.2 (*)\n";

    #[test]
    fn find_what_is_dragged_in() {
        let found = forbidden("jobyard-pki", &names(TREE), OTHER_PROVIDERS);
        let drags_in = "ring".to_owned();
        assert_eq!(
            found,
            [TooHeavy {
                library: "jobyard-pki".into(),
                drags_in
            }]
        );
    }

    #[test]
    fn compare_whole_names() {
        assert_eq!(
            forbidden(
                "jobyard-pki",
                &names("ring-compat v0.8.0\n"),
                OTHER_PROVIDERS
            ),
            []
        );
    }
}
