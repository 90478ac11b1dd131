//! What a job file says is what is sent.

use super::refusals::refusal;
use super::*;

pub(super) fn file(name: &str, text: &str) -> Result<Vec<FileJob>, String> {
    parse(Some(Path::new(name)), None, text).map_err(|error| error.to_string())
}

#[test]
fn one_job_a_list_and_jobs_read_alike() {
    let same = [
        ("a.toml", "command = [\"make\"]\ntimeout = \"10m\"\n"),
        (
            "a.toml",
            "[[jobs]]\ncommand = [\"make\"]\ntimeout = \"10m\"\n",
        ),
        ("a.yaml", "command: [make]\ntimeout: 10m\n"),
        ("a.yml", "- command: [make]\n  timeout: 10m\n"),
        ("a.yaml", "jobs:\n- command: [make]\n  timeout: 10m\n"),
        ("a.json", r#"{"command":["make"],"timeout":"10m"}"#),
        ("a.json", r#"[{"command":["make"],"timeout":"10m"}]"#),
        (
            "a.json",
            r#"{"jobs":[{"command":["make"],"timeout":"10m"}]}"#,
        ),
    ];
    for (name, text) in same {
        let jobs = file(name, text).expect(text);
        assert_eq!(jobs.len(), 1, "{text}");
        let spec = &jobs[0].job.spec;
        assert_eq!(spec.executor.config, r#"{"command":["make"]}"#, "{text}");
        assert_eq!(spec.timeout, Some(std::time::Duration::from_mins(10)));
    }
}

#[test]
fn json_lines_are_many_jobs() {
    let text = "{\"command\":[\"a\"]}\n{\"command\":[\"b\"]}\n\n{\"script\":\"c\"}\n";
    let jobs = file("a.jsonl", text).expect("three jobs");
    let configs: Vec<_> = jobs
        .iter()
        .map(|job| job.job.spec.executor.config.clone())
        .collect();
    assert_eq!(
        configs,
        [
            r#"{"command":["a"]}"#,
            r#"{"command":["b"]}"#,
            r#"{"script":"c"}"#
        ]
    );
}

#[test]
fn every_key_arrives_in_the_spec() {
    let text = r#"
        id = "0190a0b0-0000-7000-8000-000000000001"
        name = "build"
        script = "make"
        dir = "sub"
        stdin = "text"
        tags = ["rust", "os=linux|darwin", "!gpu", "cores>=8"]
        prefer = [{ tag = "ssd", weight = 10 }, { tag = "os!=darwin", weight = 3 }]
        worker = "forge"
        queue = "team"
        priority = -5
        group = { key = "deploy", limit = 2 }
        slots = 2
        cpu = 1.5
        memory = "2GiB"
        resources = { gpu = 1, license = 3 }
        limits = { memory = "512MiB", cpu = 1.5, processes = 100, read_rate = "10MiB", write_rate = 4096, open_files = 64, file_size = "1GiB" }
        queue_timeout = "1h"
        timeout = "1h30m"
        grace = "5s"
        infra_retries = 1
        retries = 2
        retry_on = [75, 1]
        repeatable = false
        on_disconnect = "stop"
        log_limit = "64MiB"
        merge = true
        [env]
        CC = "clang"
        [labels]
        team = "core"
    "#;
    let jobs = file("a.toml", text).expect("a job");
    assert_eq!(
        jobs[0].job.id.to_string(),
        "0190a0b0-0000-7000-8000-000000000001"
    );
    insta::assert_json_snapshot!(jobs[0].job.spec.to_spec());
    let executor = &jobs[0].job.spec.executor;
    assert_eq!(
        executor.config,
        r#"{"script":"make","env":{"CC":"clang"},"dir":"sub","stdin":"text"}"#
    );
}

#[test]
fn executors_may_bring_their_own_configuration() {
    let text = r#"{"executor":{"name":"wasm","config":{"module":"a.wasm"}}}"#;
    let jobs = file("a.json", text).expect("a job");
    assert_eq!(jobs[0].job.spec.executor.name, "wasm");
    assert_eq!(jobs[0].job.spec.executor.config, r#"{"module":"a.wasm"}"#);
    let named = file("a.json", r#"{"executor":"wasm"}"#).expect("a job");
    assert_eq!(named[0].job.spec.executor.config, "{}");
    let both = refusal(
        "a.json",
        r#"{"executor":{"name":"x","config":"c"},"dir":"d"}"#,
    );
    assert!(
        both.contains("dir: the executor has its own `config`"),
        "{both}"
    );
}

#[test]
fn numbers_may_be_written_as_numbers_or_as_text() {
    let same = [
        (
            "a.toml",
            "command = [\"a\"]\ncpu = 1.5\nmemory = \"2GiB\"\n",
        ),
        (
            "a.toml",
            "command = [\"a\"]\ncpu = \"1.5\"\nmemory = 2147483648\n",
        ),
        ("a.yaml", "command: [a]\ncpu: 1.5\nmemory: 2GiB\n"),
        ("a.yaml", "command: [a]\ncpu: \"1.5\"\nmemory: \"2GiB\"\n"),
        (
            "a.json",
            r#"{"command":["a"],"cpu":1.5,"memory":2147483648}"#,
        ),
        ("a.json", r#"{"command":["a"],"cpu":"1.5","memory":"2GiB"}"#),
    ];
    for (name, text) in same {
        let jobs = file(name, text).expect(text);
        let taken = &jobs[0].job.spec.resources;
        assert_eq!(
            (taken.cpu_millis, taken.memory_bytes),
            (1_500, 2 << 30),
            "{text}"
        );
    }
    let whole = file("a.toml", "command = [\"a\"]\ncpu = 2\n").expect("a job");
    assert_eq!(whole[0].job.spec.resources.cpu_millis, 2_000);
}

#[test]
fn nothing_of_a_resource_is_the_same_as_not_naming_it() {
    let named = "command: [a]\ncpu: 0\nmemory: 0\nresources: {gpu: 0}\n";
    let named = file("a.yaml", named).expect("a job");
    let without = file("a.yaml", "command: [a]\n").expect("a job");
    assert_eq!(named[0].job.spec, without[0].job.spec);
}

#[test]
fn a_draft_with_its_id_reads_back_as_the_same_job() {
    let text = "command: [a]\ntimeout: 10m\nlog_limit: 1MiB\ntags: [os=linux]\nexecutor: process\n\
        prefer: [{tag: 'cores>=8', weight: 2}]\npriority: -1\ngroup: {key: k, limit: 3}\ncpu: 0.25\n\
        memory: 1GiB\nresources: {gpu: 2}\nqueue_timeout: 1h\n\
        limits: {memory: 2GiB, cpu: 0.5, processes: 7, file_size: 1MiB}\n";
    let jobs = file("a.yaml", text).expect("a job");
    let line = serde_json::to_string(&jobs[0].draft).expect("JSON");
    let again = file("b.jsonl", &line).expect("the same job");
    assert_eq!(again[0].job, jobs[0].job);
}
