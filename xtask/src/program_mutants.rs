//! The real programs with deliberate bugs: each takes away what guards against a fault, and a test has to see that.
//!
//! `tests/mutants.toml` says which test, and which bugs. Each test runs once as it is and has to pass, then once with each
//! of its bugs, chosen by a variable that all programs of the test inherit, and has to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use wait_timeout::ChildExt;

use crate::bugs;
use crate::command::{self, cargo};
use crate::workspace::Workspace;

/// Which test sees which bugs: a list for each test, by the name of its function.
const LIST: &str = "tests/mutants.toml";

/// Where it is built, and where the output of each test is kept.
const TARGET: &str = "target/mutants";

/// The programs, and the tests that start them.
const PACKAGES: [&str; 5] = [
    "jobyard-tests",
    "jobyard-master-bin",
    "jobyard-worker-bin",
    "jobyard-cli",
    "jobyard-launcher",
];

/// The tests of the list of faults, and others that a guard in the programs is all that keeps right.
const TESTS: [&str; 5] = [
    "adoption",
    "faults_master",
    "faults_network",
    "faults_worker",
    "output_slow_link",
];

/// How the tests of a row of the list of faults are called.
const ROWS: [&str; 3] = ["fm", "fn", "fw"];

/// Switches a bug on.
const VARIABLE: &str = "JOBYARD_MUTANT";

/// Longer than a test is let run elsewhere, so that one that hangs counts as one that fails.
const LONGEST: Duration = Duration::from_mins(5);

/// Runs the tests whose names hold one of these, or all, without and with their bugs.
///
/// # Errors
///
/// They could not be built or run, one failed without a bug or did not fail with one, or a test of a fault has no bug.
pub fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    let list = workspace.path(LIST);
    let text =
        fs::read_to_string(&list).with_context(|| format!("{} is missing", list.display()))?;
    let bugs: BTreeMap<String, Vec<String>> = toml::from_str(&text)?;
    let tests = tests_of(&build(workspace)?)?;
    require_agreement(&bugs, &tests)?;
    let is_chosen = |test: &str| names.is_empty() || names.iter().any(|name| test.contains(name));
    let logs = workspace.path(TARGET).join("programs");
    fs::create_dir_all(&logs)?;
    let place = workspace.path("tests");
    let mut lines = Vec::new();
    for (name, bugs) in bugs.iter().filter(|(name, _)| is_chosen(name)) {
        let Some(test) = tests.get(name) else {
            continue;
        };
        let none = [String::new()];
        for (number, bug) in none.iter().chain(bugs).enumerate() {
            let log = logs.join(format!("{name}-{number}.log"));
            let line = Line::of(test, name, bug, &place, log)?;
            println!("{line}");
            lines.push(line);
        }
    }
    let wrong: Vec<_> = lines.iter().filter(|line| !line.is_right()).collect();
    println!("{} runs, {} of them wrong", lines.len(), wrong.len());
    if !wrong.is_empty() {
        for line in &wrong {
            println!("{line}\n    {}", line.log.display());
        }
        bail!("a test fails as it is, or does not see a deliberate bug");
    }
    Ok(())
}

/// A test that was run.
struct Line {
    name: String,
    /// Empty: none.
    bug: String,
    passed: bool,
    took: Duration,
    log: PathBuf,
}

impl Line {
    fn of(test: &Test, name: &str, bug: &str, place: &Path, log: PathBuf) -> Result<Self> {
        let mut command = Command::new(&test.program);
        command
            .args(["--exact", &test.path])
            .current_dir(place)
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        if !bug.is_empty() {
            command.env(VARIABLE, bug);
        }
        let begun = Instant::now();
        let mut child = command.spawn().context("a test cannot be started")?;
        let status = child.wait_timeout(LONGEST)?;
        if status.is_none() {
            child.kill()?;
            child.wait()?;
        }
        Ok(Self {
            name: name.to_owned(),
            bug: bug.to_owned(),
            passed: status.is_some_and(|status| status.success()),
            took: begun.elapsed(),
            log,
        })
    }

    /// Without a bug it passes, with one it fails.
    fn is_right(&self) -> bool {
        self.passed == self.bug.is_empty()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match (self.bug.is_empty(), self.passed) {
            (true, true) => "passes",
            (true, false) => "FAILS",
            (false, true) => "DOES NOT SEE",
            (false, false) => "sees",
        };
        let (name, took) = (&self.name, self.took.as_secs());
        write!(f, "{name}: {outcome}")?;
        if !self.bug.is_empty() {
            write!(f, " that {}", self.bug)?;
        }
        write!(f, " ({took} s)")
    }
}

/// A test, and where it is.
struct Test {
    program: PathBuf,
    /// With its modules.
    path: String,
}

/// What cargo says of something that it has built.
#[derive(Deserialize)]
struct Built {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// Builds programs and tests with the deliberate bugs; the programs with the tests.
fn build(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut build = cargo(workspace);
    build
        .args(["build", "--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(workspace.path(TARGET))
        .args(["--bins", "--example", "jobyard-master-failpoints"])
        .args(PACKAGES.iter().flat_map(|package| ["-p", package]))
        .args(TESTS.iter().flat_map(|test| ["--test", test]));
    bugs::compile_in(workspace, &mut build)?;
    command::announce(&build);
    let output = command::output(&mut build)?;
    let built = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Built>(line).ok());
    let tests = built.filter(|built| built.target.kind == ["test"]);
    Ok(tests.filter_map(|built| built.executable).collect())
}

/// The tests of these programs, by the names of their functions.
fn tests_of(programs: &[PathBuf]) -> Result<BTreeMap<String, Test>> {
    let mut tests = BTreeMap::new();
    for program in programs {
        let listed = command::output(Command::new(program).args(["--list", "--format", "terse"]))?;
        for path in listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
        {
            let name = path.rsplit("::").next().unwrap_or(path).to_owned();
            let (program, path) = (program.clone(), path.to_owned());
            if tests.insert(name.clone(), Test { program, path }).is_some() {
                bail!("two tests are called {name}");
            }
        }
    }
    Ok(tests)
}

/// Whether each test of a fault has a bug that it sees, and each that is listed is there.
fn require_agreement(
    bugs: &BTreeMap<String, Vec<String>>,
    tests: &BTreeMap<String, Test>,
) -> Result<()> {
    let is_of_a_row = |name: &&String| {
        let (row, number) = name.split_at_checked(2).unwrap_or_default();
        ROWS.contains(&row) && number.starts_with(|first: char| first.is_ascii_digit())
    };
    let needed: BTreeSet<&String> = tests.keys().filter(is_of_a_row).collect();
    let listed = bugs.iter().filter(|(_, bugs)| !bugs.is_empty());
    let listed: BTreeSet<&String> = listed.map(|(name, _)| name).collect();
    for name in needed.difference(&listed) {
        println!("{name} has no deliberate bug in {LIST}");
    }
    let unknown: Vec<_> = listed
        .iter()
        .filter(|name| !tests.contains_key(**name))
        .collect();
    for name in &unknown {
        println!("{name} is in {LIST} and is no test");
    }
    if !needed.is_subset(&listed) || !unknown.is_empty() {
        bail!("{LIST} does not fit the tests");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bug: &str, passed: bool) -> Line {
        Line {
            name: "fm1_it_survives".to_owned(),
            bug: bug.to_owned(),
            passed,
            took: Duration::from_secs(3),
            log: PathBuf::new(),
        }
    }

    #[test]
    fn a_test_is_right_that_passes_alone_and_fails_with_a_bug() {
        assert!(line("", true).is_right() && line("nobody looks", false).is_right());
        assert!(!line("", false).is_right() && !line("nobody looks", true).is_right());
        let seen = line("nobody looks", false).to_string();
        assert_eq!(seen, "fm1_it_survives: sees that nobody looks (3 s)");
    }

    #[test]
    fn a_test_of_a_fault_without_a_bug_is_missed() {
        let test = || Test {
            program: PathBuf::new(),
            path: String::new(),
        };
        let tests = ["fm1_it_survives", "fnord_is_none"].map(|name| (name.to_owned(), test()));
        let tests = BTreeMap::from(tests);
        let bugs = |name: &str| BTreeMap::from([(name.to_owned(), vec!["a bug".to_owned()])]);
        assert!(require_agreement(&bugs("fm1_it_survives"), &tests).is_ok());
        assert!(require_agreement(&bugs("fnord_is_none"), &tests).is_err());
        assert!(require_agreement(&BTreeMap::new(), &tests).is_err());
    }
}
