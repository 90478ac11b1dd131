//! What the program says before it has reached any master.

use std::path::Path;

use crate::{home, jobyard, stderr};

#[test]
fn without_a_profile_one_sentence_says_what_to_do() {
    let home = home();
    let output = jobyard(home.path(), &["jobs"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("there is no client profile"), "{said}");
    assert!(
        said.contains("jobyard dev") && said.contains("--profile"),
        "{said}"
    );
}

#[test]
fn errors_are_objects_with_json() {
    let home = home();
    let lines: [&[&str]; 3] = [
        &["jobs", "--json"],
        &["--json", "jobs", "--limit", "many"],
        &["run", "--json", "--retires", "1", "--", "true"],
    ];
    for arguments in lines {
        let output = jobyard(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = stderr(&output);
        let error: serde_json::Value = serde_json::from_str(&said).expect(&said);
        for key in ["code", "message", "hint"] {
            assert!(error[key].is_string(), "{key} in {said}");
        }
    }
}

#[test]
fn unknown_options_are_refused_with_exit_2() {
    let home = home();
    let output = jobyard(home.path(), &["run", "--retires", "1", "--", "true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--retires"));
}

#[test]
fn a_bad_requirement_is_one_sentence_that_points_at_the_character() {
    let home = home();
    let wrong: [(&[&str], &str); 4] = [
        (&["--tag", "os=li nux"], "position 6"),
        (&["--tag", "cores>=many"], "position 8"),
        (&["--tag", "os=linux|"], "position 10"),
        (&["--prefer", "os=linux"], "position 4"),
    ];
    for (options, place) in wrong {
        for command in ["run", "submit"] {
            let arguments = [&[command], options, &["--", "true"]].concat();
            let output = jobyard(home.path(), &arguments);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            let said = stderr(&output);
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(
                said.starts_with("jobyard: ") && said.contains(place),
                "{said}"
            );
            assert!(
                said.contains(options[0]) && said.contains(options[1]),
                "{said}"
            );
        }
    }
    let output = jobyard(
        home.path(),
        &["submit", "--json", "--tag", "gpu!", "--", "true"],
    );
    let error: serde_json::Value = serde_json::from_str(&stderr(&output)).expect("JSON");
    assert!(
        error["message"].to_string().contains("position 4"),
        "{error}"
    );
}

#[test]
fn a_profile_that_is_missing_or_wrong_is_named() {
    let home = home();
    let output = jobyard(home.path(), &["--profile", "none.toml", "status"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("none.toml"), "{}", stderr(&output));

    let profile = home.path().join("wrong.toml");
    std::fs::write(&profile, "mastrs = []\n").expect("written");
    make_private(&profile);
    let output = jobyard(home.path(), &["--profile", "wrong.toml", "status"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("wrong.toml, line 1"), "{said}");
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("a file");
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

#[test]
fn version_help_and_completions_go_to_standard_output() {
    let home = home();
    let version = jobyard(home.path(), &["--version"]);
    let said = String::from_utf8_lossy(&version.stdout).into_owned();
    assert_eq!(said, format!("jobyard {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [
        ["--help", ""],
        ["submit", "--help"],
        ["completions", "bash"],
    ] {
        let arguments: Vec<_> = arguments.into_iter().filter(|a| !a.is_empty()).collect();
        let output = jobyard(home.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn an_amount_that_is_none_is_refused_in_plain_words() {
    let home = home();
    let wrong = [
        ("--memory", "-1", "no size"),
        ("--log-limit", "-1", "no size"),
        ("--cpu", "-0.5", "no number of cores"),
        ("--timeout", "-10", "no duration"),
        ("--queue-timeout", "-1", "no duration"),
        ("--slots", "-1", "a whole number"),
        ("--infra-retries", "many", "a whole number"),
    ];
    for (option, value, said) in wrong {
        for command in ["run", "submit"] {
            let output = jobyard(home.path(), &[command, option, value, "--", "true"]);
            assert_eq!(output.status.code(), Some(2), "{option} {value}");
            let error = stderr(&output);
            let first = error.lines().next().unwrap_or_default();
            assert!(first.contains(option) && first.contains(said), "{error}");
        }
    }
}
