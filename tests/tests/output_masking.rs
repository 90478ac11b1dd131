//! Secrets of jobs are in no output, however it is cut, encoded or carried, and in no place where they are not needed.
//!
//! The names begin with the row of the list of attacks, or the feature, that they show.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jobyard_tests::{Process, Ran, Site, assert_once};

const PASSWORD: &str = "hunter2-\u{e9} \"x\"";
const KEY: &str = "-----BEGIN KEY-----\nQUJDREVGR0hJSg\nS0xNTk9QUVI\n-----END KEY-----";

/// Both, to be found in the environment of the command line.
fn with_secrets(mut command: Command) -> Command {
    command.env("PASSWORD", PASSWORD).env("KEY", KEY);
    command
}

/// Submits a job with both and these options; its id.
fn submit(site: &Site, options: &[&str], script: &str) -> String {
    let secrets = ["submit", "--secret-env", "PASSWORD", "--secret-env", "KEY"];
    let arguments = [&secrets, options, &["--", "sh", "-c", script]].concat();
    Ran::of(&mut with_secrets(site.cluster.command(&arguments)))
        .ok()
        .text()
}

/// What it printed.
fn printed(site: &Site, job: &str) -> String {
    let logs = site.cluster.cli(&["logs", "--follow", job]).ok();
    String::from_utf8(logs.stdout).expect("UTF-8")
}

/// Prints both secrets in pieces, with time between them, across the border of a read, and encoded.
const PRINTS: &str = r#"
    rest=${PASSWORD#hun}
    printf 'a hun'; sleep 0.05; printf '%s z\n' "$rest"
    head -c 65530 /dev/zero | tr '\0' x; printf '%s\n' "$PASSWORD"
    printf '%s' "$PASSWORD" | base64
    printf 'user:%s' "$PASSWORD" | base64
    printf '%s\n' "$KEY" | while read -r line; do printf '> %s\n' "$line"; sleep 0.01; done
    printf '%s' "$KEY" | tr '\n' ' '; echo
    echo 'hunter2- is a part, and -----BEGIN is another'
"#;

fn expected_of_prints() -> String {
    let mut expected = String::from("a *** z\n");
    expected.push_str(&"x".repeat(65_530));
    expected.push_str("***\n***\ndXNlcjp***\n");
    expected.push_str(&"> ***\n".repeat(4));
    expected.push_str("*** *** *** ***\nhunter2- is a part, and -----BEGIN is another\n");
    expected
}

#[test]
fn xl3_a_secret_is_masked_however_a_job_prints_it() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let job = submit(&site, &[], PRINTS);
    assert_once(&site.end(&job));
    assert_eq!(printed(&site, &job), expected_of_prints());
}

#[test]
fn xl3_without_a_launcher_it_is_masked_as_well() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &["--launcher", "none"]);
    let job = submit(&site, &[], PRINTS);
    assert_once(&site.end(&job));
    assert_eq!(printed(&site, &job), expected_of_prints());
}

#[test]
fn xl3_each_stream_is_a_sequence_of_its_own_and_one_pipe_is_one() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let both =
        r#"rest=${PASSWORD#hun}; printf 'hun'; printf '%s' "$PASSWORD" >&2; printf '%s' "$rest""#;
    let job = submit(&site, &[], both);
    assert_once(&site.end(&job));
    let logs = site.cluster.cli(&["logs", &job]).ok();
    assert_eq!((logs.text().as_str(), logs.stderr.as_str()), ("***", "***"));

    let one = r#"rest=${PASSWORD#hun}; printf 'hun' >&2; printf '%s' "$rest"; printf '%s' "$PASSWORD" >&2"#;
    let job = submit(&site, &["--merge"], one);
    assert_once(&site.end(&job));
    assert_eq!(printed(&site, &job), "***");
}

#[test]
fn o7_masking_goes_on_while_the_agent_is_away() {
    let site = Site::with(&[]);
    let mut worker = site.worker("w", &[]);
    let script = format!(
        r#"printf '%s' "${{PASSWORD%?}}"; {}; printf '"\n%s\n' "$PASSWORD""#,
        site.held_job()
    );
    let job = submit(&site, &[], &script);
    site.begun(1);
    worker.kill_9();
    site.gate.let_through(1);
    let _worker = site.cluster.worker_again("w", &[]);
    assert_once(&site.end(&job));
    assert_eq!(printed(&site, &job), "***\n***\n");
}

#[test]
fn xl4_a_secret_that_would_mask_everything_or_nothing_is_refused() {
    let site = Site::with(&[]);
    let file = site.cluster.path("empty");
    fs::write(&file, "\n").expect("written");
    let from_file = format!("PASSWORD=@{}", file.display());
    let refused = |option: &str, value: Option<&str>| {
        let arguments = ["submit", "--secret-env", option, "--", "true"];
        let mut command = site.cluster.command(&arguments);
        command.env_remove("PASSWORD");
        command.envs(value.map(|value| ("PASSWORD", value)));
        let ran = Ran::of(&mut command);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("PASSWORD"), "{}", ran.stderr);
        ran.stderr
    };
    assert!(refused("PASSWORD", Some("")).contains("it is empty"));
    assert!(refused(&from_file, None).contains("it is empty"));
    assert!(refused("PASSWORD", Some("x")).contains("only one character"));
    assert!(refused("PASSWORD", Some("***")).contains("asterisks"));
    assert!(refused("PASSWORD", None).contains("not set"));
    let said = refused("PASSWORD=swordfish", None);
    assert!(
        said.contains("=@FILE") && !said.contains("swordfish"),
        "{said}"
    );
    let jobs = site.cluster.cli(&["jobs", "--json"]).ok().json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(0));
}

#[test]
fn o7_job_files_name_variables_and_files_and_never_values() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let (key, file) = (site.cluster.path("key"), site.cluster.path("job.toml"));
    fs::write(&key, format!("{KEY}\n")).expect("written");
    let script = r#"test "$OTHER" = "$EXPECTED"; printf '%s, %s\n' "$OTHER" "$KEY""#;
    let text = format!(
        "script = '''{script}'''\n[env]\nEXPECTED = 'hunter2-\u{e9} \"x\"'\n[secret_env]\n\
         OTHER = {{ from_env = 'PASSWORD' }}\nKEY = {{ file = '{}' }}\n",
        key.display()
    );
    fs::write(&file, text).expect("written");
    let file = file.to_str().expect("UTF-8");
    let dry = ["submit", "--dry-run", "-f", file];
    let dry = Ran::of(&mut with_secrets(site.cluster.command(&dry))).ok();
    assert!(dry.text().contains("from_env") && !dry.text().contains("QUJD"));
    let job = Ran::of(&mut with_secrets(
        site.cluster.command(&["submit", "-f", file]),
    ));
    let job = job.ok().text();
    assert_once(&site.end(&job));
    assert_eq!(printed(&site, &job), "***, ***\n");

    fs::write(file, "command = ['true']\n[secret_env]\nA = 'swordfish'\n").expect("written");
    let refused = site.cluster.cli(&["submit", "-f", file]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("from_env") && !refused.stderr.contains("swordfish"),
        "{}",
        refused.stderr
    );
}

/// The files beneath a directory that hold a part of a secret.
fn files_with_secrets(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
        if kind.is_dir() {
            found.extend(files_with_secrets(&path));
        } else if kind.is_file() && has_secret(&fs::read(&path).unwrap_or_default()) {
            found.push(path);
        }
    }
    found
}

fn has_secret(bytes: &[u8]) -> bool {
    let parts = ["hunter2", "aHVudGVyMi", "QUJDREVGR0hJSg", "S0xNTk9QUVI"];
    let text = String::from_utf8_lossy(bytes);
    parts.into_iter().any(|part| text.contains(part))
}

#[test]
fn o7_secrets_are_nowhere_but_in_the_job_and_in_the_records_of_its_master() {
    let level = ["--log-level", "trace"];
    let mut site = Site::with(&level);
    let mut worker = site.worker("w", &level);
    let script = format!(
        r#"{}; printf '%s\n' "$PASSWORD" "$KEY"; exit 3"#,
        site.held_job()
    );
    let job = submit(&site, &[], &script);
    let pid = site.begun(1);
    let environment = Process::named(&pid).environment();
    assert!(has_secret(environment.as_bytes()), "the job has them");
    let data = site.cluster.path("w");
    assert_eq!(files_with_secrets(&data), [] as [PathBuf; 0]);
    // And once more for its second run.
    site.gate.let_through(2);
    site.end(&job);
    assert_eq!(printed(&site, &job), "***\n***\n");
    assert_eq!(files_with_secrets(&data), [] as [PathBuf; 0]);
    for path in files_with_secrets(&site.cluster.master_data()) {
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(name.contains(".db"), "{}", path.display());
        let mode = fs::metadata(&path).expect("it is there").permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }

    let shown: [&[&str]; 7] = [
        &["show", &job],
        &["show", "--json", &job],
        &["jobs"],
        &["jobs", "--json"],
        &["logs", "--json", &job],
        &["events", "--from", "1", "--json"],
        &["audit", "--json"],
    ];
    for arguments in shown {
        let ran = site.cluster.cli(arguments).ok();
        assert!(!has_secret(&ran.stdout), "{arguments:?}: {}", ran.text());
    }
    let shown = site.cluster.show(&job);
    assert_eq!(shown["secret_env"], serde_json::json!(["KEY", "PASSWORD"]));

    // Again, with its secrets, which whoever asks for that need not have.
    let again = site.cluster.cli(&["retry", &job]).ok().text();
    assert_eq!(printed(&site, &again), "***\n***\n");
    worker.kill_9();
    site.cluster.master.kill_9();
    for log in [worker.log(), site.cluster.master.log()] {
        assert!(!log.is_empty() && !has_secret(log.as_bytes()));
    }
}
