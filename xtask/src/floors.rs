//! Dependencies point down only.
//!
//! Every crate of the workspace stands on a floor. It may depend on crates of lower floors; two
//! crates on one floor never import each other. Tests have a little more freedom: any crate may
//! run the suites of the testkit on itself, and the pairs of [`SIDEWAYS_IN_TESTS`] may meet.

use std::fmt;

use anyhow::{Result, bail};

use crate::workspace::{DependencyKind, Metadata, Package};

/// The floors from the ground up, each with the crates that stand on it.
///
/// Names of crates that come later keep their floor free.
pub const FLOORS: &[&[&str]] = &[
    &["jobyard-core"],
    &["jobyard-testkit", "jobyard-clock", "jobyard-launcher"],
    &[
        "jobyard-scheduler",
        "jobyard-executor",
        "jobyard-transport",
        "jobyard-pki",
        "jobyard-store",
        "jobyard-autoscaler",
    ],
    &["jobyard-master", "jobyard-worker", "jobyard-web"],
    &["jobyard-sim"],
    &["jobyard"],
    &["jobyard-service"],
    &["jobyard-master-bin", "jobyard-worker-bin", "jobyard-cli"],
    // What uses the product, and what looks after it.
    &[
        "jobyard-examples",
        "jobyard-benches",
        "jobyard-tests",
        "xtask",
    ],
];

/// The crate with the suites for implementers: tests of every crate may use it.
const TESTKIT: &str = "jobyard-testkit";

/// Crates whose tests need a neighbour of the same floor: who, whom, and why.
///
/// One direction only, or the crates could not be published one after the other.
pub const SIDEWAYS_IN_TESTS: &[(&str, &str, &str)] = &[];

/// A dependency that does not point down, or a crate without a floor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A member of the workspace stands on no floor.
    NoFloor {
        /// The crate.
        name: String,
    },
    /// A dependency points sideways or up.
    NotDown {
        /// The crate that depends.
        from: String,
        /// The crate that it must not depend on.
        to: String,
        /// Whether it does so in its code, its build script or its tests.
        kind: DependencyKind,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFloor { name } => {
                write!(
                    f,
                    "{name} stands on no floor: give it one in xtask/src/floors.rs"
                )
            }
            Self::NotDown { from, to, kind } => {
                let place = match kind {
                    DependencyKind::Normal => "",
                    DependencyKind::Build => "the build script of ",
                    DependencyKind::Dev => "the tests of ",
                };
                write!(
                    f,
                    "{place}{from} (floor {}) must not depend on {to} (floor {}): \
                     dependencies point down only",
                    number(floor_of(from)),
                    number(floor_of(to)),
                )
            }
        }
    }
}

/// Finds every dependency between members of the workspace that does not point down.
///
/// # Examples
///
/// ```
/// # fn main() -> anyhow::Result<()> {
/// use xtask::workspace::{Metadata, Workspace};
///
/// let metadata = Metadata::of_members(&Workspace::locate()?)?;
/// for violation in xtask::floors::violations(&metadata) {
///     println!("{violation}");
/// }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn violations(metadata: &Metadata) -> Vec<Violation> {
    let names: Vec<&str> = metadata
        .members()
        .map(|member| member.name.as_str())
        .collect();
    metadata
        .members()
        .flat_map(|member| violations_of(member, &names))
        .collect()
}

/// Prints what was checked.
///
/// # Errors
///
/// There are violations; the message names them all.
pub fn require(metadata: &Metadata) -> Result<()> {
    let found = violations(metadata);
    if !found.is_empty() {
        let lines: Vec<String> = found
            .iter()
            .map(|violation| format!("  {violation}"))
            .collect();
        bail!("the floors are broken:\n{}", lines.join("\n"));
    }
    println!(
        "{} crates depend downwards only",
        metadata.members().count()
    );
    Ok(())
}

fn violations_of(member: &Package, names: &[&str]) -> Vec<Violation> {
    let Some(from) = floor_of(&member.name) else {
        return vec![Violation::NoFloor {
            name: member.name.clone(),
        }];
    };
    member
        .dependencies
        .iter()
        .filter(|dependency| names.contains(&dependency.name.as_str()))
        .filter(|dependency| {
            let down = floor_of(&dependency.name).is_none_or(|to| to < from);
            let excused = dependency.kind == DependencyKind::Dev
                && is_excused_in_tests(&member.name, &dependency.name);
            !down && !excused
        })
        .map(|dependency| Violation::NotDown {
            from: member.name.clone(),
            to: dependency.name.clone(),
            kind: dependency.kind,
        })
        .collect()
}

fn is_excused_in_tests(from: &str, to: &str) -> bool {
    to == TESTKIT
        || SIDEWAYS_IN_TESTS
            .iter()
            .any(|&(who, whom, _)| (who, whom) == (from, to))
}

/// The floor's index in [`FLOORS`].
fn floor_of(name: &str) -> Option<usize> {
    FLOORS.iter().position(|crates| crates.contains(&name))
}

fn number(floor: Option<usize>) -> String {
    floor.map_or_else(|| "none".to_owned(), |floor| floor.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A crate, and the crates that it depends on with the kind as cargo writes it.
    type Member<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    fn workspace(members: &[Member<'_>]) -> Metadata {
        let packages: Vec<_> = members
            .iter()
            .map(|(name, dependencies)| {
                let dependencies: Vec<_> = dependencies
                    .iter()
                    .map(|(name, kind)| json!({ "name": name, "kind": kind }))
                    .collect();
                json!({
                    "name": name, "id": name, "version": "0.1.0", "license": "MIT", "source": null,
                    "targets": [], "publish": null, "dependencies": dependencies,
                })
            })
            .collect();
        let names: Vec<_> = members.iter().map(|(name, _)| name).collect();
        serde_json::from_value(json!({
            "packages": packages, "workspace_members": names, "target_directory": "target",
        }))
        .unwrap()
    }

    fn not_down(from: &str, to: &str, kind: DependencyKind) -> Violation {
        Violation::NotDown {
            from: from.into(),
            to: to.into(),
            kind,
        }
    }

    #[test]
    fn accept_dependencies_that_point_down() {
        let metadata = workspace(&[
            ("jobyard-core", &[("serde", None)]),
            ("jobyard-clock", &[("jobyard-core", None)]),
            (
                "jobyard-store",
                &[("jobyard-core", None), ("jobyard-clock", None)],
            ),
            ("jobyard-master", &[("jobyard-store", None)]),
            (
                "jobyard",
                &[("jobyard-master", None), ("jobyard-core", None)],
            ),
        ]);
        assert_eq!(violations(&metadata), []);
    }

    #[test]
    fn refuse_a_dependency_on_a_neighbour() {
        let metadata = workspace(&[
            ("jobyard-master", &[("jobyard-worker", None)]),
            ("jobyard-worker", &[]),
        ]);
        let expected = not_down("jobyard-master", "jobyard-worker", DependencyKind::Normal);
        assert_eq!(violations(&metadata), [expected]);
    }

    #[test]
    fn refuse_a_dependency_that_points_up() {
        let metadata = workspace(&[
            ("jobyard-core", &[("jobyard-clock", None)]),
            ("jobyard-clock", &[]),
        ]);
        let expected = not_down("jobyard-core", "jobyard-clock", DependencyKind::Normal);
        assert_eq!(violations(&metadata), [expected]);
    }

    #[test]
    fn refuse_a_crate_without_a_floor() {
        let metadata = workspace(&[("jobyard-util", &[])]);
        assert_eq!(
            violations(&metadata),
            [Violation::NoFloor {
                name: "jobyard-util".into()
            }]
        );
    }

    #[test]
    fn let_tests_of_any_crate_use_the_testkit() {
        let metadata = workspace(&[
            ("jobyard-testkit", &[]),
            ("jobyard-clock", &[("jobyard-testkit", Some("dev"))]),
            ("jobyard-core", &[("jobyard-testkit", Some("dev"))]),
        ]);
        assert_eq!(violations(&metadata), []);
    }

    #[test]
    fn refuse_a_test_that_imports_from_above() {
        let metadata = workspace(&[
            ("jobyard-transport", &[("jobyard-master", Some("dev"))]),
            ("jobyard-master", &[]),
        ]);
        let expected = not_down("jobyard-transport", "jobyard-master", DependencyKind::Dev);
        assert_eq!(violations(&metadata), [expected]);
    }

    #[test]
    fn refuse_a_build_script_that_imports_a_neighbour() {
        let metadata = workspace(&[
            ("jobyard-store", &[("jobyard-pki", Some("build"))]),
            ("jobyard-pki", &[]),
        ]);
        let expected = not_down("jobyard-store", "jobyard-pki", DependencyKind::Build);
        assert_eq!(violations(&metadata), [expected]);
    }

    #[test]
    fn excuse_neighbours_in_tests_in_one_direction_only() {
        for &(from, to, reason) in SIDEWAYS_IN_TESTS {
            assert_eq!(
                floor_of(from),
                floor_of(to),
                "{from} and {to} are no neighbours"
            );
            assert!(
                !is_excused_in_tests(to, from),
                "{from} and {to} excuse each other"
            );
            assert!(!reason.is_empty());
        }
    }

    #[test]
    fn give_every_crate_one_floor() {
        let mut names: Vec<_> = FLOORS.concat();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
