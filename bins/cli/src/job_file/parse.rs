//! From text to jobs, with the place of whatever is wrong.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use jobyard_core::{JobId, NewJob};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::entry::{Draft, Entry};
use super::format::Format;
use super::problem::Problem;
use super::{json, toml, yaml};

/// The largest job file: a hundred thousand jobs of a few kilobytes each.
pub(crate) const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;

/// A job of a file, with its id.
#[derive(Clone, Debug)]
pub(crate) struct FileJob {
    /// What is sent.
    pub(crate) job: NewJob,
    /// What was written, with the id that it has now.
    pub(crate) draft: Draft,
}

impl FileJob {
    /// Fixes the id.
    pub(crate) fn new(entry: Entry) -> Self {
        let Entry { mut draft, spec } = entry;
        let id = *draft
            .id
            .get_or_insert_with(|| JobId::from_uuid(Uuid::now_v7()));
        Self {
            job: NewJob::new(id, spec),
            draft,
        }
    }
}

/// Reads a whole file. `path` is `None` for standard input; `format` is what the caller forces.
pub(crate) fn parse(
    path: Option<&Path>,
    format: Option<Format>,
    text: &str,
) -> Result<Vec<FileJob>, JobFileError> {
    let entries = match format.unwrap_or_else(|| Format::of(path, text)) {
        Format::Toml => toml::entries(text),
        Format::Yaml => yaml::entries(text),
        Format::Json => json::entries(text),
    };
    let named = |problem: Problem| JobFileError {
        file: path.map_or_else(
            || "standard input".to_owned(),
            |path| path.display().to_string(),
        ),
        problem,
    };
    let jobs: Vec<_> = entries
        .map_err(named)?
        .into_iter()
        .map(FileJob::new)
        .collect();
    check_jobs(&jobs).map_err(named)?;
    Ok(jobs)
}

/// Reads a file that is one document, and no job file, in the same forms.
pub(crate) fn parse_document<T: DeserializeOwned>(
    path: &Path,
    text: &str,
) -> Result<T, JobFileError> {
    let document = match Format::of(Some(path), text) {
        Format::Toml => toml::read(text),
        Format::Yaml => yaml::read(text),
        Format::Json => json::read(text),
    };
    document.map_err(|problem| JobFileError {
        file: path.display().to_string(),
        problem,
    })
}

/// Why a job file is refused: which file, where, and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobFileError {
    file: String,
    problem: Problem,
}

impl fmt::Display for JobFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.problem.place {
            write!(f, ", line {line}, column {column}")?;
        }
        write!(f, ": {}", self.problem.text)
    }
}

fn check_jobs(jobs: &[FileJob]) -> Result<(), Problem> {
    if jobs.is_empty() {
        return Err(Problem::new(None, "there is no job in it"));
    }
    let mut seen = HashSet::with_capacity(jobs.len());
    match jobs.iter().find(|job| !seen.insert(job.job.id)) {
        Some(twice) => Err(Problem::new(
            None,
            &format!("id: two jobs have the id {}", twice.job.id),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Result<Vec<FileJob>, String> {
        parse(Some(Path::new(name)), None, text).map_err(|error| error.to_string())
    }

    fn refusal(name: &str, text: &str) -> String {
        file(name, text).expect_err(text)
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
    fn keys_of_later_versions_and_typos_are_refused_with_their_place() {
        let later = ["user", "secrets", "retires", "comand"];
        for key in later {
            let files = [
                ("a.toml", format!("command = [\"a\"]\n{key} = 1\n")),
                (
                    "a.toml",
                    format!("[[jobs]]\ncommand = [\"a\"]\n\n[[jobs]]\n{key} = 1\n"),
                ),
                ("a.yaml", format!("command: [a]\n{key}: 1\n")),
                ("a.yaml", format!("- command: [a]\n- {key}: 1\n")),
                (
                    "a.json",
                    format!("{{\"command\": [\"a\"],\n \"{key}\": 1}}"),
                ),
                (
                    "a.jsonl",
                    format!("{{\"command\": [\"a\"]}}\n{{\"{key}\": 1}}\n"),
                ),
            ];
            for (name, text) in files {
                let error = refusal(name, &text);
                let line = 1 + text[..text.find(key).expect("the key")]
                    .matches('\n')
                    .count();
                assert!(
                    error.starts_with(&format!("{name}, line {line}, column ")),
                    "{error}"
                );
                assert!(
                    error.contains(&format!("the key `{key}` is not known")),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn wrong_values_are_refused_with_their_place() {
        let wrong = [
            (
                "a.toml",
                "command = [\"a\"]\ntimeout = \"10\"\n",
                "line 2",
                "units",
            ),
            (
                "a.toml",
                "command = [\"a\"]\ntimeout = 10\n",
                "line 2",
                "units",
            ),
            (
                "a.yaml",
                "command: [a]\nlog_limit: many\n",
                "line 2",
                "no size",
            ),
            (
                "a.json",
                "{\"command\": [\"a\"],\n\"tags\": [\"gpu!\"]}",
                "line 2",
                "position 4",
            ),
            (
                "a.json",
                "{\"command\": \"make all\"}",
                "line 1",
                "a list is expected",
            ),
            ("a.json", "{\"command\": [\"a\"]", "line 1", "EOF"),
            ("a.json", "{\"slots\": -1}", "line 1", "-1"),
            (
                "a.toml",
                "command = [\"a\"]\nid = \"7\"\n",
                "line 2",
                "UUID",
            ),
            ("a.toml", "command = [\n", "line", "array"),
            ("a.yaml", "command: [a\n", "line", ""),
        ];
        for (name, text, line, word) in wrong {
            let error = refusal(name, text);
            assert!(error.contains(line), "{error}");
            assert!(error.contains(word), "{error}");
        }
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
    fn refusals_name_the_file_the_job_and_the_key() {
        let wrong = [
            (
                "a.toml",
                "command = [\"a\"]\ntags = [\"rust\", \"os=li nux\"]\n",
            ),
            (
                "a.toml",
                "command = [\"a\"]\nprefer = [{ tag = \"ssd\", weight = -1 }]\n",
            ),
            (
                "a.toml",
                "command = [\"a\"]\nprefer = [{ tag = \"ssd\", weight = 0 }]\n",
            ),
            (
                "a.toml",
                "command = [\"a\"]\nprefer = [{ tag = \"ssd\", wait = 0 }]\n",
            ),
            (
                "a.toml",
                "name = \"n\"\ncommand = [\"a\"]\npriority = 1000001\n",
            ),
            ("a.toml", "command = [\"a\"]\ngroup = { key = \"k\" }\n"),
            ("a.toml", "command = [\"a\"]\ngroup = \"k\"\n"),
            ("a.yaml", "- command: [a]\n- command: [b]\n  cpu: many\n"),
            ("a.yaml", "jobs:\n- command: [a]\n  queue_timeout: 10\n"),
            (
                "a.yaml",
                "- command: [a]\n- command: [b]\n  name: b\n  resources: {cpu: 1}\n",
            ),
            (
                "a.yaml",
                "- command: [a]\n- command: [b]\n  tags: [\"cores>=8x\"]\n",
            ),
            (
                "a.json",
                "{\"jobs\": [{\"command\": [\"a\"],\n\"memory\": \"much\"}]}",
            ),
            (
                "a.json",
                "[{\"command\": [\"a\"]}, {\"command\": [\"a\"],\n\"resources\": {\"gpu\": -1}}]",
            ),
            (
                "a.toml",
                "name = \"n\"\ncommand = [\"a\"]\nlimits = { memory = 1 }\n",
            ),
            (
                "a.toml",
                "[[jobs]]\ncommand = [\"a\"]\n[jobs.limits]\nprocesses = \"many\"\n",
            ),
            ("a.toml", "command = [\"a\"]\nlimits = \"512MiB\"\n"),
            (
                "a.yaml",
                "- command: [a]\n- command: [b]\n  limits: {memroy: 1GiB}\n",
            ),
            (
                "a.yaml",
                "- command: [a]\n- command: [b]\n  name: b\n  limits: {read_rate: 1}\n",
            ),
            (
                "a.json",
                "{\"jobs\": [{\"command\": [\"a\"],\n\"limits\": {\"cpu\": \"much\"}}]}",
            ),
            (
                "a.jsonl",
                "{\"command\": [\"a\"]}\n{\"command\": [\"b\"], \"priority\": \"high\"}\n",
            ),
            (
                "a.jsonl",
                "{\"command\": [\"a\"]}\n{\"command\": [\"b\"], \"prefer\": [{\"tag\": \"!\", \"weight\": 1}]}\n",
            ),
        ];
        let said = wrong.map(|(name, text)| refusal(name, text));
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn jobs_that_contradict_themselves_are_refused() {
        let wrong = [
            ("name = \"n\"\n", "neither `command` nor `script`"),
            ("command = [\"a\"]\nscript = \"b\"\n", "not both"),
            ("command = []\n", "neither"),
            ("command = [\"a\"]\nslots = 0\n", "slots: 0"),
            (
                "name = \"n\"\ncommand = [\"a\"]\ndir = \"../x\"\n",
                "job \"n\": dir",
            ),
            ("command = [\"a\"]\nqueue = \"a b\"\n", "queue"),
        ];
        for (text, word) in wrong {
            let error = refusal("a.toml", text);
            assert!(error.contains(word), "{error}");
        }
        let list = "- command: [a]\n- command: [b]\n  slots: 0\n";
        let error = refusal("a.yaml", list);
        assert!(error.contains("line 2"), "{error}");
        let lines = "{\"command\":[\"a\"]}\n\n{\"slots\":1}\n";
        let error = refusal("a.jsonl", lines);
        assert!(error.contains("line 3, column 1"), "{error}");
        let error = refusal("a.json", "[{\"command\":[\"a\"]},\n{\"slots\":1}]");
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_limit_is_refused_at_its_key_in_toml() {
        let one = "[[jobs]]\ncommand = [\"a\"]\n";
        let wrong = [
            (
                format!("{one}{one}\n[[jobs]]\ncommand = [\"b\"]\nslots = 0\n{one}"),
                "line 8, column 1: job 3: slots: 0",
            ),
            (
                format!("{one}{one}name = \"n\"\ngroup = {{ key = \"k\", limit = 0 }}\n"),
                "line 6, column 1: job \"n\": group (limit): 0",
            ),
            (
                format!("{one}[[jobs]]\nname = \"a\\\": b\"\nscript = \"\"\npriority = 1000001\n"),
                "line 3, column 1: job \"a\\\": b\": name",
            ),
            (
                format!("{one}[[jobs]]\nslots = 1\n"),
                "line 3, column 1: job 2: there is neither",
            ),
            (
                "jobs = [{ command = [\"a\"] },\n  { command = [\"a\"], slots = 0 }]\n".to_owned(),
                "line 2, column 22: job 2: slots",
            ),
            (
                "command = [\"a\"]\npriority = 1000001\n".to_owned(),
                "line 2, column 1: priority: 1000001",
            ),
            (
                "command = [\"a\"]\n[labels]\n\"a b\" = \"c\"\n".to_owned(),
                "line 2, column 2: labels",
            ),
        ];
        for (text, said) in wrong {
            let error = refusal("a.toml", &text);
            assert!(
                error.starts_with(&format!("a.toml, {said}")),
                "{text}{error}"
            );
        }
    }

    #[test]
    fn a_line_is_refused_with_its_job() {
        let wrong = [
            (
                "{\"command\": [\"a\"]}\n{\"slots\": \"x\", \"command\": [\"b\"], \"name\": \"b\"}\n",
                "line 2, column 13: job \"b\": slots: a whole number from 0 to 4294967295 is expected here",
            ),
            (
                "{\"command\": [\"a\"]}\n{\"command\": [\"b\"], \"comand\": 1}\n",
                "line 2, column 27: job 2: the key `comand` is not known",
            ),
            (
                "{\"command\": [\"a\"], \"slots\": 0}\n{\"command\": [\"b\"]}\n",
                "line 1, column 1: job 1: slots: 0",
            ),
            (
                "{\"command\": [\"a\"], \"slots\": 0}\n",
                "line 1, column 1: slots: 0",
            ),
        ];
        for (text, said) in wrong {
            let error = refusal("a.jsonl", text);
            assert!(
                error.starts_with(&format!("a.jsonl, {said}")),
                "{text}{error}"
            );
        }
    }

    #[test]
    fn refuse_empty_files_and_ids_that_come_twice() {
        for (name, text) in [("a.json", ""), ("a.json", "[]"), ("a.yaml", "[]")] {
            assert!(refusal(name, text).contains("no job"), "{name}");
        }
        let id = "0190a0b0-0000-7000-8000-000000000001";
        let text = format!("- {{command: [a], id: {id}}}\n- {{command: [b], id: {id}}}\n");
        assert!(refusal("a.yaml", &text).contains(id));
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

    #[test]
    fn aliases_cannot_blow_up_a_file() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let name = format!("*a{},", level - 1).repeat(10);
            text.push_str(
                &[
                    "a",
                    &level.to_string(),
                    ": &a",
                    &level.to_string(),
                    " [",
                    &name,
                    "]\n",
                ]
                .concat(),
            );
        }
        assert!(file("a.yaml", &text).is_err());
    }
}
