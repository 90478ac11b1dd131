//! What cargo knows about this workspace.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::{self, cargo};

/// The checkout that this program was built from.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the workspace: the folder above the one of this crate.
    ///
    /// # Errors
    ///
    /// The folder is gone, for instance because the checkout was moved after this was built.
    pub fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the crate has no folder above it")?;
        let root = root
            .canonicalize()
            .with_context(|| format!("{} is not there: build xtask again", root.display()))?;
        Ok(Self { root })
    }

    /// The folder with the workspace's `Cargo.toml`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the root.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }
}

/// The part of the answer of `cargo metadata` that we use.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    /// The packages: members of the workspace alone, or everything in the lock file.
    pub packages: Vec<Package>,
    /// The ids of the packages that are members of the workspace.
    pub workspace_members: BTreeSet<String>,
    /// Where cargo builds.
    pub target_directory: PathBuf,
}

impl Metadata {
    /// The members of the workspace and the dependencies that they declare. Never needs a network.
    ///
    /// # Errors
    ///
    /// A manifest is broken.
    pub fn of_members(workspace: &Workspace) -> Result<Self> {
        Self::ask(workspace, &["--no-deps"])
    }

    /// Every package that the lock file names, for all features and platforms.
    ///
    /// Packages for other platforms may be absent on a machine without a network; then those of
    /// this machine's platform are returned, and a line says so.
    ///
    /// # Errors
    ///
    /// A manifest is broken, or the packages of this platform cannot be had.
    pub fn of_everything(workspace: &Workspace) -> Result<Self> {
        if let Ok(metadata) = Self::ask(workspace, &["--all-features"]) {
            return Ok(metadata);
        }
        let host = host_platform()?;
        println!("note: packages for other platforms cannot be had; looking at {host} alone");
        Self::ask(workspace, &["--all-features", "--filter-platform", &host])
    }

    /// The packages that are members of the workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    fn ask(workspace: &Workspace, arguments: &[&str]) -> Result<Self> {
        let answer = command::output(
            cargo(workspace)
                .args(["metadata", "--format-version", "1"])
                .args(arguments),
        )?;
        serde_json::from_str(&answer).context("`cargo metadata` answered in an unknown form")
    }
}

/// One package.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, as `major.minor.patch` with an optional suffix.
    pub version: String,
    /// Cargo's name for this package at this version from this source.
    pub id: String,
    /// Its licence as an SPDX expression.
    pub license: Option<String>,
    /// The registry that it comes from; `None` for a path.
    pub source: Option<String>,
    /// What its manifest asks for.
    pub dependencies: Vec<Dependency>,
    /// What is built from it.
    pub targets: Vec<Target>,
    /// The registries that it may be published to: `None` is all, empty is none.
    pub publish: Option<Vec<String>>,
}

impl Package {
    /// Whether it may be published at all.
    #[must_use]
    pub fn is_publishable(&self) -> bool {
        self.publish.as_ref().is_none_or(|to| !to.is_empty())
    }

    /// The dependencies of one kind.
    pub fn dependencies_of(&self, kind: DependencyKind) -> impl Iterator<Item = &Dependency> {
        self.dependencies
            .iter()
            .filter(move |dependency| dependency.kind == kind)
    }
}

/// One line of a manifest's dependencies.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// The name of the package that is asked for.
    pub name: String,
    /// In which of the three tables it stands.
    #[serde(default, deserialize_with = "kind_or_normal")]
    pub kind: DependencyKind,
}

/// The three tables of dependencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyKind {
    /// `[dependencies]`.
    #[default]
    Normal,
    /// `[build-dependencies]`.
    Build,
    /// `[dev-dependencies]`.
    Dev,
}

/// Something that is built from a package.
#[derive(Debug, Clone, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is: `lib`, `bin`, `example`, ...
    pub kind: Vec<String>,
    /// Whether `cargo doc` makes a page for it.
    #[serde(default)]
    pub doc: bool,
}

/// The platform that the compiler builds for by default, such as `x86_64-unknown-linux-gnu`.
fn host_platform() -> Result<String> {
    let version = command::output(std::process::Command::new("rustc").arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("`rustc -vV` names no host")
}

/// Cargo writes `null` for a normal dependency.
fn kind_or_normal<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<DependencyKind, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
