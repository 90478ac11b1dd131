//! The tests that are not run, and why.
//!
//! A test that cannot run everywhere carries `#[ignore = "reason"]` and a line in
//! `.config/expected-skips.toml`. Nothing else may be ignored, and nothing is listed that is not:
//! so a test cannot fall asleep unseen, and a line cannot outlive its test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// Where the list is, from the root of the workspace.
pub const LIST: &str = ".config/expected-skips.toml";

/// The checked-in list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedSkips {
    /// One entry a test.
    #[serde(default)]
    pub skip: Vec<ExpectedSkip>,
}

/// A test that is not run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedSkip {
    /// The test as nextest prints it: the binary's id, a space, the test's path.
    pub test: String,
    /// What it needs that is not there.
    pub reason: String,
}

/// A difference between the list and the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// A test is ignored, and the list does not say why.
    Unexpected(String),
    /// The list names a test that is not ignored, or is not there.
    Stale(String),
    /// The list names a test and gives no reason.
    NoReason(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(test) => {
                write!(f, "`{test}` is ignored but not listed in {LIST}")
            }
            Self::Stale(test) => {
                write!(
                    f,
                    "`{test}` is listed in {LIST} but no ignored test has that name"
                )
            }
            Self::NoReason(test) => write!(f, "`{test}` is listed in {LIST} without a reason"),
        }
    }
}

/// Compares the list with the tests that are ignored.
#[must_use]
pub fn compare(expected: &ExpectedSkips, ignored: &BTreeSet<String>) -> Vec<Finding> {
    let listed: BTreeSet<&str> = expected
        .skip
        .iter()
        .map(|skip| skip.test.as_str())
        .collect();
    let unexpected = ignored
        .iter()
        .filter(|test| !listed.contains(test.as_str()))
        .map(|test| Finding::Unexpected(test.clone()));
    let stale = listed
        .iter()
        .filter(|test| !ignored.contains(**test))
        .map(|test| Finding::Stale((*test).to_owned()));
    let unreasoned = expected
        .skip
        .iter()
        .filter(|skip| skip.reason.trim().is_empty())
        .map(|skip| Finding::NoReason(skip.test.clone()));
    unexpected.chain(stale).chain(unreasoned).collect()
}

/// Asks nextest which tests are ignored and holds them against the list. Prints each skip.
///
/// # Errors
///
/// The list is broken, the tests do not build, or the two differ.
pub fn require(workspace: &Workspace) -> Result<()> {
    let path = workspace.path(LIST);
    let text = fs::read_to_string(&path).with_context(|| format!("could not read {LIST}"))?;
    let expected: ExpectedSkips =
        toml::from_str(&text).with_context(|| format!("{LIST} is broken"))?;
    let mut list = cargo(workspace);
    list.args(["nextest", "list", "--workspace", "--all-features"])
        .args(["--run-ignored", "ignored-only", "--message-format", "json"])
        .stderr(Stdio::inherit());
    command::announce(&list);
    let ignored = ignored_tests(&command::output(&mut list)?)?;
    let findings = compare(&expected, &ignored);
    if !findings.is_empty() {
        let lines: Vec<String> = findings
            .iter()
            .map(|finding| format!("  {finding}"))
            .collect();
        bail!(
            "the ignored tests are not those expected:\n{}",
            lines.join("\n")
        );
    }
    for skip in &expected.skip {
        println!("skipped: {}: {}", skip.test, skip.reason);
    }
    println!("{} expected skips, no other", expected.skip.len());
    Ok(())
}

/// Reads the names of the ignored tests out of nextest's answer.
fn ignored_tests(answer: &str) -> Result<BTreeSet<String>> {
    let list: TestList =
        serde_json::from_str(answer).context("`cargo nextest list` answered in an unknown form")?;
    let suites = list.suites.iter();
    Ok(suites
        .flat_map(|(binary, suite)| {
            let ignored = suite.testcases.iter().filter(|(_, test)| test.ignored);
            ignored.map(move |(name, _)| format!("{binary} {name}"))
        })
        .collect())
}

/// The part of nextest's answer that we use.
#[derive(Debug, Deserialize)]
struct TestList {
    #[serde(rename = "rust-suites")]
    suites: BTreeMap<String, Suite>,
}

#[derive(Debug, Deserialize)]
struct Suite {
    testcases: BTreeMap<String, TestCase>,
}

#[derive(Debug, Deserialize)]
struct TestCase {
    ignored: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(entries: &[(&str, &str)]) -> ExpectedSkips {
        let skip = entries
            .iter()
            .map(|(test, reason)| ExpectedSkip {
                test: (*test).into(),
                reason: (*reason).into(),
            })
            .collect();
        ExpectedSkips { skip }
    }

    fn ignored(tests: &[&str]) -> BTreeSet<String> {
        tests.iter().map(|test| (*test).to_owned()).collect()
    }

    #[test]
    fn accept_a_skip_that_is_listed_with_its_reason() {
        let list = expected(&[("jobyard-store sqlite::on_nfs", "needs an NFS mount")]);
        assert_eq!(
            compare(&list, &ignored(&["jobyard-store sqlite::on_nfs"])),
            []
        );
    }

    #[test]
    fn refuse_an_ignored_test_that_is_not_listed() {
        let found = compare(&expected(&[]), &ignored(&["jobyard-core tag::slow"]));
        assert_eq!(
            found,
            [Finding::Unexpected("jobyard-core tag::slow".into())]
        );
    }

    #[test]
    fn refuse_a_line_that_outlived_its_test() {
        let found = compare(
            &expected(&[("jobyard-core gone", "because")]),
            &ignored(&[]),
        );
        assert_eq!(found, [Finding::Stale("jobyard-core gone".into())]);
    }

    #[test]
    fn refuse_a_skip_without_a_reason() {
        let found = compare(
            &expected(&[("jobyard-core a", " ")]),
            &ignored(&["jobyard-core a"]),
        );
        assert_eq!(found, [Finding::NoReason("jobyard-core a".into())]);
    }

    #[test]
    fn read_the_list_of_nextest() {
        let answer = r#"{ "test-count": 2, "rust-suites": {
            "jobyard-core": { "binary-id": "jobyard-core", "testcases": {
                "tag::fast": { "kind": "test", "ignored": false },
                "tag::slow": { "kind": "test", "ignored": true } } } } }"#;
        assert_eq!(
            ignored_tests(answer).unwrap(),
            ignored(&["jobyard-core tag::slow"])
        );
    }

    #[test]
    fn refuse_an_unknown_key_in_the_list() {
        let text = "[[skip]]\ntest = \"a b\"\nreason = \"c\"\nuntil = \"later\"\n";
        assert!(toml::from_str::<ExpectedSkips>(text).is_err());
    }
}
