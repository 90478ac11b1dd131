//! Every crate that is published can be, and what is published builds.
//!
//! Cargo packages the members of a workspace together, so that crates which depend on each other
//! need not be on a registry yet. Its own verification compiles each package from nothing, with
//! all its dependencies. Instead, the packages are unpacked side by side and checked as one
//! workspace in our target directory, where the dependencies are compiled already: that finds what
//! a package forgot (a migration, generated code) in seconds.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, cargo};
use crate::workspace::{Metadata, Package, Workspace};

/// Packages all publishable crates and checks what is in the packages.
///
/// # Errors
///
/// A crate cannot be packaged, or its package does not compile.
pub fn require(workspace: &Workspace) -> Result<()> {
    let metadata = Metadata::of_members(workspace)?;
    let (published, kept): (Vec<&Package>, Vec<&Package>) = metadata
        .members()
        .partition(|member| member.is_publishable());
    let mut package = cargo(workspace);
    package.args(["package", "--workspace", "--allow-dirty", "--no-verify"]);
    for member in kept {
        package.args(["--exclude", &member.name]);
    }
    command::run(&mut package)?;
    let unpacked = metadata.target_directory.join("xtask").join("packages");
    unpack(
        &metadata.target_directory.join("package"),
        &unpacked,
        &published,
    )?;
    fs::write(
        unpacked.join("Cargo.toml"),
        manifest(workspace, &published)?,
    )?;
    // The same versions as everywhere; cargo drops the lines that these packages do not need.
    fs::copy(workspace.path("Cargo.lock"), unpacked.join("Cargo.lock"))?;
    command::run(
        cargo(workspace)
            .current_dir(&unpacked)
            .args([
                "check",
                "--workspace",
                "--all-features",
                "--offline",
                "--target-dir",
            ])
            .arg(&metadata.target_directory),
    )?;
    println!(
        "{} crates are packaged, and their packages compile",
        published.len()
    );
    Ok(())
}

/// Unpacks the packages into a fresh folder.
fn unpack(from: &Path, to: &Path, packages: &[&Package]) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for package in packages {
        let archive = from.join(format!("{}.crate", folder(package)));
        command::output(
            Command::new("tar")
                // Packages carry one fixed time for all files; by that time, cargo would take changed code for old.
                .args(["--touch", "-xzf"])
                .arg(&archive)
                .arg("-C")
                .arg(to),
        )?;
    }
    Ok(())
}

/// A workspace of the unpacked packages, in which they find each other, with our profiles.
fn manifest(workspace: &Workspace, packages: &[&Package]) -> Result<String> {
    let ours: toml::Table = toml::from_str(&fs::read_to_string(workspace.path("Cargo.toml"))?)
        .context("the workspace's Cargo.toml is broken")?;
    Ok(manifest_of(&ours, packages).to_string())
}

fn manifest_of(ours: &toml::Table, packages: &[&Package]) -> toml::Table {
    let members: Vec<toml::Value> = packages
        .iter()
        .map(|package| folder(package).into())
        .collect();
    let patches: toml::Table = packages
        .iter()
        .map(|package| {
            let path = toml::Table::from_iter([("path".to_owned(), folder(package).into())]);
            (package.name.clone(), path.into())
        })
        .collect();
    let workspace = toml::Table::from_iter([
        ("resolver".to_owned(), "3".into()),
        ("members".to_owned(), members.into()),
    ]);
    let mut manifest = toml::Table::from_iter([
        ("workspace".to_owned(), workspace.into()),
        (
            "patch".to_owned(),
            toml::Table::from_iter([("crates-io".to_owned(), patches.into())]).into(),
        ),
    ]);
    // Other profiles would mean other artifacts, and the dependencies compiled once more.
    if let Some(profile) = ours.get("profile") {
        manifest.insert("profile".to_owned(), profile.clone());
    }
    manifest
}

/// The folder in a package's archive, and the archive's name without its ending.
fn folder(package: &Package) -> String {
    format!("{}-{}", package.name, package.version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn let_packages_find_each_other() {
        let package: Package = serde_json::from_value(json!({
            "name": "jobyard-core", "id": "core", "version": "0.1.0", "license": "MIT",
            "source": null, "targets": [], "publish": null, "dependencies": [],
        }))
        .unwrap();
        let ours = toml::from_str("[profile.dev]\ndebug = false\n").unwrap();
        let manifest = manifest_of(&ours, &[&package]);
        assert_eq!(
            manifest["workspace"]["members"][0].as_str(),
            Some("jobyard-core-0.1.0")
        );
        let patch = &manifest["patch"]["crates-io"]["jobyard-core"]["path"];
        assert_eq!(patch.as_str(), Some("jobyard-core-0.1.0"));
        assert_eq!(manifest["profile"]["dev"]["debug"].as_bool(), Some(false));
    }
}
