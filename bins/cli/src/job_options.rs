//! The options of `run` and `submit`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use jobyard_core::{
    JobId, MAX_CONFIG_BYTES, MAX_PRIORITY, OnDisconnect, Requirement, check_resource_name,
};

use crate::failure::Failure;
use crate::job_file::{
    CoresText, Draft, DurationText, Entry, ExecutorText, FileJob, GroupText, LimitText, LimitsText,
    PreferenceText, RequirementText, SecretSource, SizeText, read_limit,
};
use crate::requirement::{read_preference, read_requirement};

/// What one job asks for.
#[derive(Clone, Default, Args)]
pub(crate) struct JobOptions {
    /// Its id; submitting the same id again changes nothing [default: a new one]
    #[arg(long, value_name = "UUID")]
    pub(crate) id: Option<JobId>,

    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// What its worker has to offer, as in os=linux, 'os=linux|darwin', '!gpu', 'os!=windows', 'cores>=8' or
    /// 'mem<64GiB'; repeatable, all must hold
    #[arg(long = "tag", value_name = "REQ", value_parser = read_requirement)]
    pub(crate) tags: Vec<Requirement>,

    /// What it would rather have, and how much, as in os=linux=10 (the weight follows the last =); repeatable
    #[arg(long, value_name = "REQ=WEIGHT", value_parser = read_preference)]
    pub(crate) prefer: Vec<(Requirement, u32)>,

    /// Only this worker will do: its name or id
    #[arg(long)]
    pub(crate) worker: Option<String>,

    /// The queue in which it waits
    #[arg(long)]
    pub(crate) queue: Option<String>,

    /// Its place within its queue: higher goes first, and negative ones after the others [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = priority)]
    pub(crate) priority: Option<i32>,

    /// Run only while fewer than LIMIT jobs of the group KEY run, whatever their queues
    #[arg(long, value_name = "KEY=LIMIT", value_parser = group)]
    pub(crate) group: Option<GroupText>,

    /// Fail if it has not started by then, as in 10m or 1h [default: wait as long as it takes]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub(crate) queue_timeout: Option<DurationText>,

    /// How many slots of its worker it takes [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    pub(crate) slots: Option<u32>,

    /// How many cores it takes, as in 2 or 1.5
    #[arg(long, value_name = "CORES", allow_negative_numbers = true)]
    pub(crate) cpu: Option<CoresText>,

    /// How much memory it takes, as in 2GiB
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub(crate) memory: Option<SizeText>,

    /// How much of a named resource it takes, as in gpu=1; repeatable
    #[arg(long = "resource", value_name = "NAME=N", value_parser = count)]
    pub(crate) resources: Vec<(String, u64)>,

    /// The most that it may use: memory, read_rate, write_rate (a second) or file_size, as in memory=512MiB; cpu, as in
    /// cpu=1.5; processes or open_files, as in processes=100; repeatable
    #[arg(long = "limit", value_name = "KIND=VALUE", value_parser = read_limit)]
    pub(crate) limits: Vec<LimitText>,

    /// A variable of its environment; repeatable
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    pub(crate) env: Vec<(String, String)>,

    /// A variable of its environment whose value is masked in its output and shown to nobody: NAME, with the value that
    /// it has in our own environment, or NAME=@FILE; repeatable
    #[arg(long, value_name = "NAME[=@FILE]")]
    pub(crate) secret_env: Vec<String>,

    /// Where it runs: relative to its own fresh directory, or absolute
    #[arg(long)]
    pub(crate) dir: Option<String>,

    /// How long one attempt may run, as in 90s or 1h30m [default: as long as it likes]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub(crate) timeout: Option<DurationText>,

    /// How long it may take to end once it was told to [default: 10s]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub(crate) grace: Option<DurationText>,

    /// How often it runs again when the infrastructure failed [default: 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    pub(crate) infra_retries: Option<u32>,

    /// How often it runs again when it failed by itself [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole)]
    pub(crate) retries: Option<u32>,

    /// Run again only for these of its own failures: exit codes as this command line shows them, as in 1,75; repeatable
    /// [default: all]
    #[arg(long, value_name = "CODES", value_delimiter = ',', value_parser = failure_code)]
    pub(crate) retry_on: Vec<u8>,

    /// What becomes of it when its worker and the master lose each other: it goes on and may run twice for a while if
    /// that lasts, or it is stopped and never runs twice at once [default: finish]
    #[arg(long, value_name = "POLICY", value_parser = on_disconnect)]
    pub(crate) on_disconnect: Option<OnDisconnect>,

    /// A second attempt would do harm: run again only if the first surely never started
    #[arg(long)]
    pub(crate) not_repeatable: bool,

    /// Metadata to find it by; repeatable
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    pub(crate) label: Vec<(String, String)>,

    /// How much of its output is kept, as in 64MiB [default: 1GiB]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub(crate) log_limit: Option<SizeText>,

    /// Send standard error through standard output, in exact order
    #[arg(long)]
    pub(crate) merge: bool,

    /// Which executor runs it [default: process]
    #[arg(long, value_name = "NAME")]
    pub(crate) executor: Option<String>,

    /// A file with what it reads from its standard input; - for ours
    #[arg(long, value_name = "FILE")]
    pub(crate) stdin: Option<PathBuf>,

    /// The program and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

impl JobOptions {
    /// The job with its id. Reads the files for standard input and of secrets; blocks on that.
    pub(crate) fn job(self) -> Result<FileJob, Failure> {
        if self.command.is_empty() {
            return Err(Failure::usage("there is no command")
                .with_hint("write it after two dashes, as in `-- make test`"));
        }
        let draft = Draft {
            id: self.id,
            name: self.name,
            command: self.command,
            script: None,
            env: unique("--env", self.env)?,
            secret_env: secrets(&self.secret_env)?,
            dir: self.dir,
            stdin: self.stdin.as_deref().map(read_text).transpose()?,
            tags: self.tags.into_iter().map(RequirementText).collect(),
            prefer: self.prefer.into_iter().map(preference).collect(),
            worker: self.worker,
            queue: self.queue,
            priority: self.priority,
            group: self.group,
            slots: self.slots,
            cpu: self.cpu,
            memory: self.memory,
            resources: unique("--resource", self.resources)?,
            limits: limits(&self.limits)?,
            queue_timeout: self.queue_timeout,
            timeout: self.timeout,
            grace: self.grace,
            infra_retries: self.infra_retries,
            retries: self.retries,
            retry_on: self.retry_on.into_iter().collect(),
            repeatable: self.not_repeatable.then_some(false),
            on_disconnect: self.on_disconnect,
            labels: unique("--label", self.label)?,
            log_limit: self.log_limit,
            merge: self.merge.then_some(true),
            executor: self.executor.map(ExecutorText::named),
        };
        let spec = draft.spec();
        let spec = spec.map_err(|problem| Failure::usage(problem.in_options()))?;
        Ok(FileJob::new(Entry { draft, spec }))
    }
}

impl fmt::Debug for JobOptions {
    /// Leaves out what may be secret: environments hold it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobOptions")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All of them together, if there are any.
fn limits(given: &[LimitText]) -> Result<Option<LimitsText>, Failure> {
    let mut limits = LimitsText::default();
    for one in given {
        let set = limits.set(one);
        set.map_err(|wrong| Failure::usage(wrong).with_hint("give it once"))?;
    }
    Ok((!given.is_empty()).then_some(limits))
}

/// Where the values of secrets come from. Not read while the options are, since a refusal would show what was given.
fn secrets(given: &[String]) -> Result<BTreeMap<String, SecretSource>, Failure> {
    let pairs: Result<_, _> = given
        .iter()
        .map(|text| SecretSource::read_option(text))
        .collect();
    unique("--secret-env", pairs.map_err(Failure::usage)?)
}

/// Reads `K=V`.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// Reads `NAME=N`.
pub(crate) fn count(text: &str) -> Result<(String, u64), String> {
    let wrong = "write it as NAME=N with a whole number, as in gpu=1";
    let (name, count) = text.rsplit_once('=').ok_or(wrong)?;
    check_resource_name(name).map_err(|problem| problem.to_string())?;
    Ok((name.to_owned(), count.parse().map_err(|_| wrong)?))
}

/// Reads `KEY=LIMIT`.
fn group(text: &str) -> Result<GroupText, String> {
    let wrong = "write it as KEY=LIMIT with a whole number, as in deploy=1";
    let (key, limit) = text.rsplit_once('=').ok_or(wrong)?;
    Ok(GroupText {
        key: key.to_owned(),
        limit: limit.parse().map_err(|_| wrong)?,
    })
}

fn preference((requirement, weight): (Requirement, u32)) -> PreferenceText {
    PreferenceText {
        tag: RequirementText(requirement),
        weight,
    }
}

/// The pairs as a map; a name that comes twice is refused, because only one value could win.
pub(crate) fn unique<V>(
    option: &str,
    pairs: Vec<(String, V)>,
) -> Result<BTreeMap<String, V>, Failure> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        if map.insert(key.clone(), value).is_some() {
            return Err(
                Failure::usage(format!("{option} gives {key} twice")).with_hint("give it once")
            );
        }
    }
    Ok(map)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let limit = MAX_CONFIG_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    if bytes.len() > MAX_CONFIG_BYTES {
        return Err(Failure::usage(format!(
            "{name} is larger than {MAX_CONFIG_BYTES} bytes, which is the most for standard input"
        ))
        .with_hint("let the job fetch it itself"));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{name} is not text (UTF-8)"))
            .with_hint("let the job fetch it itself")
    })
}

/// Reads how many there are of something.
fn whole(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "write a whole number that is not negative, as in 2".to_owned())
}

/// Reads the code of a failure.
fn failure_code(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write whole numbers between 1 and 255, as in 1,75".to_owned()),
        Ok(code) => Ok(code),
    }
}

fn on_disconnect(text: &str) -> Result<OnDisconnect, String> {
    OnDisconnect::ALL
        .into_iter()
        .find(|policy| policy.as_str() == text)
        .ok_or_else(|| "write finish or stop".to_owned())
}

fn priority(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| {
        format!("write a whole number between -{MAX_PRIORITY} and {MAX_PRIORITY}, as in 10 or -5")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_a_spec() {
        let options = JobOptions {
            name: Some("build".to_owned()),
            env: vec![("CC".to_owned(), "clang".to_owned())],
            not_repeatable: true,
            command: vec!["make".to_owned()],
            ..JobOptions::default()
        };
        let job = options.job().expect("a job").job;
        assert!(!job.spec.repeatable);
        assert_eq!(
            job.spec.executor.config,
            r#"{"command":["make"],"env":{"CC":"clang"}}"#
        );
    }

    #[test]
    fn what_decides_when_and_where_it_goes_arrives_in_the_spec() {
        let options = JobOptions {
            tags: vec![read_requirement("cores>=8").expect("a requirement")],
            prefer: vec![read_preference("os=linux=10").expect("a preference")],
            priority: Some(-5),
            group: Some(group("deploy/prod=1").expect("a group")),
            queue_timeout: "1h".parse().ok(),
            slots: Some(2),
            cpu: "1.5".parse().ok(),
            memory: "2GiB".parse().ok(),
            resources: vec![
                count("gpu=1").expect("a count"),
                count("license=0").expect("a count"),
            ],
            limits: ["memory=512MiB", "cpu=0.5", "open_files=64"]
                .map(|text| read_limit(text).expect("a limit"))
                .to_vec(),
            retries: Some(2),
            retry_on: vec![75, 1],
            on_disconnect: on_disconnect("stop").ok(),
            command: vec!["make".to_owned()],
            ..JobOptions::default()
        };
        let job = options.job().expect("a job").job;
        let mut spec = job.spec.to_spec();
        spec.executor.config.clear();
        insta::assert_json_snapshot!(spec);
    }

    #[test]
    fn refuse_counts_and_groups_without_a_number() {
        for text in ["gpu", "gpu=", "gpu=-1", "gpu=1.5", "gpu=all"] {
            assert!(
                count(text).is_err_and(|error| error.contains("gpu=1")),
                "{text}"
            );
        }
        for (text, word) in [
            ("cpu=1", "option of its own"),
            ("GPU=1", "lower case"),
            ("=1", "key"),
        ] {
            let error = count(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
        for text in ["deploy", "deploy=", "deploy=-1", "deploy=one"] {
            assert!(
                group(text).is_err_and(|error| error.contains("deploy=1")),
                "{text}"
            );
        }
        let none_may_run = JobOptions {
            group: group("deploy=0").ok(),
            command: vec!["a".to_owned()],
            ..JobOptions::default()
        };
        let error = none_may_run
            .job()
            .expect_err("nobody could run")
            .to_string();
        assert!(error.starts_with("--group (limit): 0 is not"), "{error}");
    }

    #[test]
    fn a_limit_is_refused_with_its_option() {
        let refusal = |change: fn(&mut JobOptions)| {
            let mut options = JobOptions {
                name: Some("n".to_owned()),
                command: vec!["a".to_owned()],
                ..JobOptions::default()
            };
            change(&mut options);
            options.job().expect_err("refused").to_string()
        };
        let said = [
            refusal(|options| options.name = Some("a$".to_owned())),
            refusal(|options| options.slots = Some(0)),
            refusal(|options| options.priority = Some(2_000_000)),
            refusal(|options| options.prefer = vec![(read_requirement("a").expect("one"), 0)]),
            refusal(|options| options.queue_timeout = "0s".parse().ok()),
            refusal(|options| options.infra_retries = Some(101)),
            refusal(|options| options.retries = Some(101)),
            refusal(|options| options.label = vec![("a$".to_owned(), String::new())]),
            refusal(|options| options.cpu = "999999999999999".parse().ok()),
            refusal(|options| options.resources = vec![("gpu".to_owned(), u64::MAX)]),
            refusal(|options| options.limits = vec![read_limit("memory=1").expect("one")]),
            refusal(|options| options.limits = vec![read_limit("processes=0").expect("one"); 1]),
            refusal(|options| options.limits = vec![read_limit("cpu=1").expect("one"); 2]),
            refusal(|options| options.dir = Some("../x".to_owned())),
            refusal(|options| options.command = vec![String::new()]),
        ];
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn refuse_options_that_make_no_job() {
        let error = JobOptions::default().job().expect_err("no command");
        assert!(error.to_string().contains("two dashes"), "{error}");
        let twice = JobOptions {
            env: vec![
                ("A".to_owned(), "1".to_owned()),
                ("A".to_owned(), "2".to_owned()),
            ],
            command: vec!["a".to_owned()],
            ..JobOptions::default()
        };
        let error = twice.job().expect_err("twice");
        assert!(error.to_string().contains("--env gives A twice"), "{error}");
        assert!(key_value("novalue").is_err() && key_value("=v").is_err());
        assert_eq!(key_value("k="), Ok(("k".to_owned(), String::new())));
    }

    #[test]
    fn standard_input_comes_from_a_file_of_text() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("in");
        std::fs::write(&path, "hello").expect("written");
        assert_eq!(read_text(&path).as_deref(), Ok("hello"));
        std::fs::write(&path, b"\xff").expect("written");
        assert!(read_text(&path).is_err());
        std::fs::write(&path, vec![b'x'; MAX_CONFIG_BYTES + 1]).expect("written");
        assert!(read_text(&path).is_err());
        assert!(read_text(&dir.path().join("none")).is_err());
    }
}
