//! Every example is a program that runs to its end and succeeds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use wait_timeout::ChildExt;

use crate::command::{self, cargo};
use crate::workspace::{Metadata, Target, Workspace};

/// The package with the examples.
const PACKAGE: &str = "jobyard-examples";

/// An example is done in seconds; this much later it hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// Builds the examples together with the workspace, so that nothing is compiled a second time with
/// other features, and runs each.
///
/// # Errors
///
/// There is none, one does not build, fails, or runs longer than three minutes.
pub fn require(workspace: &Workspace) -> Result<()> {
    let metadata = Metadata::of_members(workspace)?;
    let wanted = targets(&metadata)?;
    let built = build(workspace)?;
    for name in &wanted {
        let program = built
            .get(name)
            .with_context(|| format!("cargo did not say where it put the example {name}"))?;
        run(workspace, name, program)?;
    }
    println!("{} examples ran to their end", wanted.len());
    Ok(())
}

/// The names of the runnable targets of the package.
fn targets(metadata: &Metadata) -> Result<Vec<String>> {
    let package = metadata
        .members()
        .find(|member| member.name == PACKAGE)
        .with_context(|| format!("the workspace has no package {PACKAGE}"))?;
    let runnable = package.targets.iter().filter(|target| is_runnable(target));
    let names: Vec<String> = runnable.map(|target| target.name.clone()).collect();
    if names.is_empty() {
        bail!("{PACKAGE} has no example");
    }
    Ok(names)
}

fn is_runnable(target: &Target) -> bool {
    target
        .kind
        .iter()
        .any(|kind| kind == "example" || kind == "bin")
}

/// Builds, and returns where each runnable target of the package is.
fn build(workspace: &Workspace) -> Result<BTreeMap<String, PathBuf>> {
    let mut build = cargo(workspace);
    build
        .args([
            "build",
            "--workspace",
            "--all-features",
            "--examples",
            "--bins",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit());
    command::announce(&build);
    let messages = command::output(&mut build)?;
    Ok(messages.lines().filter_map(executable).collect())
}

/// Reads one of cargo's messages: an example's name and its program, or nothing.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    let ours = artifact.package_id.contains(PACKAGE) || artifact.package_id.contains("/examples#");
    (ours && is_runnable(&artifact.target)).then_some(())?;
    Some((artifact.target.name, artifact.executable?))
}

fn run(workspace: &Workspace, name: &str, program: &Path) -> Result<()> {
    println!("--- example {name}");
    let mut child = Command::new(program)
        .current_dir(workspace.root())
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("could not start the example {name}"))?;
    match child.wait_timeout(PATIENCE)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => bail!("the example {name} failed: {status}"),
        None => {
            child.kill()?;
            child.wait()?;
            bail!(
                "the example {name} did not end within {} s",
                PATIENCE.as_secs()
            )
        }
    }
}

/// The part of a message about something that was built that we use.
#[derive(Debug, Deserialize)]
struct Artifact {
    package_id: String,
    target: Target,
    executable: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_where_cargo_put_an_example() {
        let message = r#"{"reason":"compiler-artifact",
            "package_id":"path+file:///src/examples#jobyard-examples@0.1.0",
            "target":{"kind":["example"],"name":"embedded"},
            "executable":"/src/target/debug/examples/embedded"}"#;
        let (name, program) = executable(message).unwrap();
        assert_eq!(name, "embedded");
        assert_eq!(program, Path::new("/src/target/debug/examples/embedded"));
    }

    #[test]
    fn pass_over_other_artifacts() {
        let of_another_package = r#"{"package_id":"path+file:///src/bins/cli#jobyard-cli@0.1.0",
            "target":{"kind":["bin"],"name":"jobyard"},"executable":"/src/target/debug/jobyard"}"#;
        assert_eq!(executable(of_another_package), None);
        assert_eq!(
            executable(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }
}
