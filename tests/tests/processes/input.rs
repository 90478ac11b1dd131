//! What is asked for, and what is printed.

use std::os::unix::fs::symlink;

use serde_json::json;

use crate::site::Site;

/// Submits a job of this form in a file; its exit code and what the CLI said.
fn refusal(site: &Site, job: &serde_json::Value) -> String {
    let file = site.cluster.path("job.json");
    std::fs::write(&file, job.to_string()).expect("written");
    let ran = site
        .cluster
        .cli(&["submit", "-f", file.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, Some(2), "{} {}", ran.text(), ran.stderr);
    ran.stderr
}

#[test]
fn xj1_commands_that_no_system_takes_are_refused_at_submit() {
    let site = Site::new(&[]);
    assert!(refusal(&site, &json!({"command": ["printf", "a\u{0}b"]})).contains("NUL"));
    assert!(refusal(&site, &json!({"command": []})).contains("command"));
    assert!(refusal(&site, &json!({"command": [""]})).contains("command"));
    let huge = "x".repeat(3 << 20);
    assert!(refusal(&site, &json!({"command": ["true", huge]})).contains("bytes"));
    let many = vec!["x".repeat(100_000); 30];
    assert!(refusal(&site, &json!({"command": many})).contains("bytes"));
    assert!(refusal(&site, &json!({"command": ["a"], "env": {"A=B": "c"}})).contains("env"));
    let jobs = site.cluster.cli(&["jobs", "--json"]).ok().json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(0), "{jobs}");
}

#[test]
fn xj1_commands_that_the_cli_does_not_understand_are_refused_by_the_master() {
    let site = Site::new(&[]);
    for config in [
        json!({"command": ["printf", "a\u{0}b"]}),
        json!({"command": []}),
        json!({"command": ["true"], "dir": "a/../../b"}),
    ] {
        let job = json!({"executor": {"name": "process", "config": config}});
        let said = refusal(&site, &job);
        assert!(said.contains("executor.config"), "{said}");
    }
    let jobs = site.cluster.cli(&["jobs", "--json"]).ok().json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(0), "{jobs}");
}

/// The reason for which a job with this directory is not started.
fn refused_dir(site: &Site, dir: &str) -> String {
    let ended = site.run(&["--dir", dir], "echo ran");
    assert_eq!(ended.kind(), "start_failed", "{dir}: {}", ended.job);
    assert_eq!(ended.output, "", "{dir}");
    ended.reason().to_owned()
}

#[test]
fn xj13_directory_that_leads_elsewhere_is_refused() {
    let cluster = jobyard_tests::Cluster::start();
    let allowed = cluster.path("allowed");
    std::fs::create_dir_all(allowed.join("inner")).expect("made");
    symlink("/etc", allowed.join("link")).expect("made");
    symlink("inner", allowed.join("inside")).expect("made");
    let allowed = allowed.to_str().expect("UTF-8");
    let token = cluster.token("join.token", &[]);
    let options = ["--job-user", "nobody", "--allow-dir", allowed];
    let worker = cluster.worker(crate::site::WORKER, &token, &options);
    let site = Site::of(cluster, worker);

    let inner = format!("{allowed}/inner");
    assert_eq!(site.prints(&["--dir", &inner], "pwd"), inner);
    for dir in [
        "/etc".to_owned(),
        "/proc/self/fd/3".to_owned(),
        "/proc/self/cwd".to_owned(),
        format!("/proc/{}/root/etc", site.worker.pid()),
        format!("{allowed}/link"),
        format!("{allowed}/../master"),
        format!("{allowed}/inner/../../master"),
        format!("{allowed}/missing"),
    ] {
        assert_eq!(refused_dir(&site, &dir), "bad_directory", "{dir}");
    }
    // A relative one lies in the job's own directory, and does not leave it.
    assert!(site.prints(&["--dir", "a/b"], "pwd").ends_with("/a/b"));
    let refused = site
        .cluster
        .cli(&["submit", "--dir", "../..", "--", "true"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

#[test]
fn xj19_output_that_looks_like_commands_is_output() {
    let site = Site::new(&[]);
    let lines = "::set-env name=LEAKED::yes\n\
                 ::add-path::/tmp\n\
                 ##vso[task.setvariable variable=LEAKED]yes\n\
                 ##teamcity[setParameter name='env.LEAKED' value='yes']\n\
                 {\"kind\":\"exited\",\"exit\":{\"exited\":0}}\n\
                 \u{1b}]0;title\u{7}\u{1b}[2J";
    let file = site.file("lines", lines);
    let ended = site.run(
        &[],
        &format!("cat {0}; cat {0} >&2; exit 3", file.display()),
    );
    assert_eq!(ended.output, lines);
    assert_eq!(ended.attempt["outcome"]["exit_code"], 3);
    assert_eq!(site.prints(&[], "echo ${LEAKED-unset}"), "unset");
}
