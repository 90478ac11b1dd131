//! What the worker is told, put together from flags, environment and file.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jobyard_core::{Executor, Resources, Tag, TagSet, WorkerFacts, check_name, parse_duration};
use jobyard_executor::DEFAULT_PATH;
use jobyard_executor::launcher::LauncherCommand;
use jobyard_pki::{JoinToken, MAX_TOKEN_CHARS};
use jobyard_service::LogFormat;
use jobyard_worker::agent::ShutdownMode;
use jobyard_worker::facts;
use jobyard_worker::protection::Protection;
use jobyard_worker::spool::DEFAULT_SPOOL_BUDGET;

use crate::capacity::capacity;
use crate::data_dir::check_kind;
use crate::doctor::DoctorSettings;
use crate::file::ConfigFile;
use crate::job_options::JobSettings;
use crate::options::{Command, OnTerm, Options};
use crate::size::Size;

/// Long enough for most builds, short enough for a machine that shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_mins(10);
const DEFAULT_DATA: &str = ".jobyard-worker";
/// Holds a join token.
const JOIN_VARIABLE: &str = "JOBYARD_JOIN";

/// What the program shall do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Serve a master.
    Serve(Box<Settings>),
    /// Look at the machine.
    Doctor(Box<DoctorSettings>),
}

/// With what it shall serve.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) masters: Vec<String>,
    pub(crate) join: TokenSource,
    pub(crate) name: String,
    pub(crate) capacity: Resources,
    /// What was asked for, beside what describes the machine.
    pub(crate) tags: TagSet,
    pub(crate) auto_tags: bool,
    pub(crate) exclusive: TagSet,
    pub(crate) facts: WorkerFacts,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) jobs: JobSettings,
    pub(crate) protection: Protection,
    /// In bytes.
    pub(crate) spool_budget: u64,
    pub(crate) on_term: ShutdownMode,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: String,
}

impl Options {
    /// Puts flags, environment and file together.
    pub(crate) fn settle(self) -> anyhow::Result<Task> {
        let file = self
            .config
            .as_deref()
            .map(ConfigFile::read)
            .transpose()?
            .unwrap_or_default();
        let jobs = self.jobs.clone().settle(&file)?;
        let protection = self.protection.settle(&file)?;
        match self.command {
            Some(Command::Doctor { json }) => Ok(Task::Doctor(Box::new(DoctorSettings {
                data: data(self.data, file.data),
                jobs,
                protection,
                json,
            }))),
            None => {
                let settings = self.settle_to_serve(file, jobs, protection)?;
                Ok(Task::Serve(Box::new(settings)))
            }
        }
    }

    fn settle_to_serve(
        self,
        file: ConfigFile,
        jobs: JobSettings,
        protection: Protection,
    ) -> anyhow::Result<Settings> {
        jobs.check_user()?;
        let data = data(self.data.clone(), file.data.clone());
        check_kind(&data)?;
        let on_term = shutdown_mode(&self, &file)?;
        ensure!(
            on_term != ShutdownMode::Detach || jobs.launcher != LauncherCommand::None,
            "--on-term detach: without a launcher jobs end with this program"
        );
        let env = environment(&self, &file)?;
        let facts = facts::of_this_machine();
        let capacity = capacity(&self, &file, &facts)?;
        let masters = if self.master.is_empty() {
            file.master
        } else {
            self.master
        };
        ensure!(
            !masters.is_empty(),
            "--master: say where the master is, as in ci.example.org:7411"
        );
        let mut tags = TagSet::new();
        let offered = self.tag.iter().chain(&file.tag);
        add_tags(&mut tags, "--tag", offered)?;
        let mut exclusive = TagSet::new();
        let offered = self.exclusive_tag.iter().chain(&file.exclusive_tag);
        add_tags(&mut exclusive, "--exclusive-tag", offered)?;
        Ok(Settings {
            data,
            masters,
            join: TokenSource {
                word: self.join,
                file: self.join_file.or(file.join_file),
            },
            name: name(self.name.or(file.name), &facts)?,
            capacity,
            tags,
            auto_tags: !self.no_auto_tags && !file.no_auto_tags,
            exclusive,
            facts,
            env,
            jobs,
            protection,
            spool_budget: spool_budget(self.spool_budget.or(file.spool_budget)),
            on_term,
            log_format: self
                .log_format
                .or(file.log_format)
                .unwrap_or(LogFormat::Text),
            log_level: self
                .log_level
                .or(file.log_level)
                .unwrap_or_else(|| "info".to_owned()),
        })
    }
}

impl Settings {
    /// Everything that the worker offers with these executors.
    pub(crate) fn all_tags(&self, executors: &[Arc<dyn Executor>]) -> anyhow::Result<TagSet> {
        let mut tags = self.tags.clone();
        if self.auto_tags {
            let path = self.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
            for tag in facts::auto_tags(&self.facts, path, executors).iter() {
                tags.insert(tag.clone()).with_context(|| {
                    format!("--tag: with {tag}, which describes this machine, there are too many")
                })?;
            }
        }
        Ok(tags)
    }
}

/// How much room output may take, in bytes.
fn spool_budget(size: Option<Size>) -> u64 {
    match size {
        None => DEFAULT_SPOOL_BUDGET,
        Some(Size { bytes: 0 }) => u64::MAX,
        Some(Size { bytes }) => bytes,
    }
}

fn data(flag: Option<PathBuf>, file: Option<PathBuf>) -> PathBuf {
    flag.or(file).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA))
}

/// Where the join token is.
#[derive(Default)]
pub(crate) struct TokenSource {
    word: Option<String>,
    file: Option<PathBuf>,
}

impl std::fmt::Debug for TokenSource {
    /// Leaves the token out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenSource")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl TokenSource {
    /// Reads the token, which has to be there.
    pub(crate) fn read(&self, data: &Path) -> anyhow::Result<JoinToken> {
        let text = if let Some(word) = &self.word {
            tracing::warn!(
                "--join shows the token in the list of processes: prefer --join-file or {JOIN_VARIABLE}"
            );
            word.clone()
        } else if let Some(file) = &self.file {
            read_token(file)?
        } else if let Ok(word) = std::env::var(JOIN_VARIABLE) {
            word
        } else {
            bail!(
                "this machine has not joined a cluster yet ({} has no identity): make a token with \
                 `jobyard token create` and pass it with --join-file",
                data.display()
            )
        };
        JoinToken::parse(&text).context("the join token is not usable")
    }
}

fn read_token(file: &Path) -> anyhow::Result<String> {
    let limit = MAX_TOKEN_CHARS as u64 * 2;
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.with_context(|| format!("--join-file: {} cannot be read", file.display()))?;
    Ok(text)
}

fn shutdown_mode(options: &Options, file: &ConfigFile) -> anyhow::Result<ShutdownMode> {
    let from_file = file
        .drain_timeout
        .as_deref()
        .map(parse_duration)
        .transpose();
    let from_file = from_file.map_err(|problem| anyhow::anyhow!("drain-timeout: {problem}"))?;
    let timeout = options.drain_timeout.or(from_file).unwrap_or(DRAIN_TIMEOUT);
    match options.on_term.or(file.on_term).unwrap_or(OnTerm::Drain) {
        OnTerm::Drain => Ok(ShutdownMode::Drain { timeout }),
        OnTerm::Stop => Ok(ShutdownMode::Stop),
        OnTerm::Detach => Ok(ShutdownMode::Detach),
    }
}

/// What is passed on, then what is set; flags win over the file.
fn environment(options: &Options, file: &ConfigFile) -> anyhow::Result<BTreeMap<String, String>> {
    let mut env = BTreeMap::new();
    for name in file.pass_env.iter().chain(&options.pass_env) {
        match std::env::var(name) {
            Ok(value) => drop(env.insert(name.clone(), value)),
            Err(std::env::VarError::NotPresent) => {}
            Err(_) => bail!("--pass-env: {name} is not valid UTF-8"),
        }
    }
    env.extend(file.env.clone());
    for setting in &options.env {
        let (name, value) = setting
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .with_context(|| format!("--env: `{setting}` is not NAME=VALUE"))?;
        env.insert(name.to_owned(), value.to_owned());
    }
    Ok(env)
}

fn add_tags<'a>(
    tags: &mut TagSet,
    option: &str,
    texts: impl Iterator<Item = &'a String>,
) -> anyhow::Result<()> {
    for text in texts {
        let tag: Tag = text.parse().with_context(|| format!("{option} {text}"))?;
        tags.insert(tag)
            .with_context(|| format!("{option} {text}"))?;
    }
    Ok(())
}

/// The name that was asked for, or the host name as far as it makes one.
fn name(wanted: Option<String>, facts: &WorkerFacts) -> anyhow::Result<String> {
    if let Some(name) = wanted {
        check_name(&name).map_err(|problem| anyhow::anyhow!("--name: {problem}"))?;
        return Ok(name);
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let host: String = facts
        .host
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .take(jobyard_core::MAX_NAME_BYTES)
        .collect();
    check_name(&host)
        .map_err(|_| anyhow::anyhow!("--name: this machine has no usable host name"))?;
    Ok(host)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn settle(arguments: &[&str]) -> anyhow::Result<Settings> {
        let program = ["jobyard-worker", "--allow-root-jobs"];
        match Options::try_parse_from(program.iter().chain(arguments))?.settle()? {
            Task::Serve(settings) => Ok(*settings),
            Task::Doctor(_) => bail!("it shall look at the machine"),
        }
    }

    fn problem(arguments: &[&str]) -> String {
        format!("{:#}", settle(arguments).expect_err("a refusal"))
    }

    #[test]
    fn the_defaults_need_only_a_master() {
        let settings = settle(&["--master", "m:1"]).unwrap();
        assert_eq!(settings.data, PathBuf::from(DEFAULT_DATA));
        assert_eq!(
            settings.on_term,
            ShutdownMode::Drain {
                timeout: DRAIN_TIMEOUT
            }
        );
        assert!(settings.tags.is_empty() && settings.exclusive.is_empty());
        assert!(settings.all_tags(&[]).unwrap().has_key("os"));
        assert_eq!(settings.protection, Protection::default());
        assert_eq!(settings.capacity, facts::capacity(&settings.facts));
        assert!(problem(&[]).contains("--master"));
    }

    #[test]
    fn refuse_what_cannot_be_meant() {
        let refuse = |argument: &str, value: &str| {
            let problem = problem(&["--master", "m:1", argument, value]);
            assert!(problem.contains(argument), "{problem}");
        };
        refuse("--slots", "0");
        refuse("--slots", "5000");
        refuse("--cpu", "4 cores");
        refuse("--memory", "8");
        refuse("--resource", "gpu=two");
        refuse("--resource", "slots=2");
        refuse("--resource", "gpu=1,gpu=1");
        refuse("--tag", "a b");
        refuse("--exclusive-tag", "+gpu");
        refuse("--env", "=x");
        refuse("--name", "a/b");
        refuse("--on-term", "leave");
        refuse("--job-user", "nobody of this name");
        refuse("--data", "/etc/passwd");
        refuse("--allow-dir", "relative");
        refuse("--allow-dir", "/no/such/directory");
        refuse("--launcher", "/no/such/launcher");
        refuse("--launcher", "/etc/passwd");
        refuse("--launcher", "/usr");
        refuse("--isolate", "user");
        refuse("--containment", "chroot");
        refuse("--missing-limits", "ignore");
        refuse("--min-free-disk", "much");
        refuse("--min-free-memory", "5%");
        for percent in ["0", "101", "400", "many"] {
            refuse("--max-memory-pressure", percent);
        }
        refuse("--max-load", "high");
        refuse("--drain-timeout", "soon");
    }

    #[test]
    fn flags_win_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.toml");
        let text = "master = [\"file:1\"]\nslots = 3\ntag = [\"a\"]\non-term = \"stop\"\n\
                    no-auto-tags = true\n[env]\nA = \"file\"\nB = \"file\"\n";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let settings = settle(&[
            "--config", path, "--slots", "5", "--tag", "b", "--env", "A=flag",
        ])
        .unwrap();
        assert_eq!(settings.capacity.slots, 5);
        assert_eq!(settings.masters, ["file:1"]);
        let tags = settings.all_tags(&[]).unwrap();
        let tags: Vec<String> = tags.iter().map(|tag| tag.to_string()).collect();
        assert_eq!(tags, ["a", "b"]);
        assert_eq!(
            (settings.env["A"].as_str(), settings.env["B"].as_str()),
            ("flag", "file")
        );
        assert_eq!(settings.on_term, ShutdownMode::Stop);
    }

    #[test]
    fn what_is_offered_to_jobs_comes_from_flags_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker.toml");
        let text = "cpu = 2\nmemory = \"8GiB\"\nexclusive-tag = [\"night\"]\n\
                    [resource]\ngpu = 1\nlicense = 3\n";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let settings = settle(&[
            "--master",
            "m:1",
            "--config",
            path,
            "--cpu",
            "1.5",
            "--resource",
            "gpu=2",
            "--resource",
            "fpga=0",
            "--exclusive-tag",
            "Gpu",
        ])
        .unwrap();
        let has = settings.capacity;
        assert_eq!((has.cpu_millis, has.memory_bytes), (1500, 8 << 30));
        let counts = [("fpga", 0), ("gpu", 2), ("license", 3)];
        assert_eq!(
            has.counts,
            counts.map(|(name, n)| (name.to_owned(), n)).into()
        );
        let exclusive: Vec<String> = settings
            .exclusive
            .iter()
            .map(|tag| tag.to_string())
            .collect();
        assert_eq!(exclusive, ["gpu", "night"]);
    }

    #[test]
    fn refuse_more_than_can_be_offered_and_say_of_what() {
        let problem = problem(&["--master", "m:1", "--memory", "9000tib"]);
        assert!(
            problem.contains("--memory") && problem.contains("at most"),
            "{problem}"
        );
    }

    #[test]
    fn a_missing_token_says_what_to_do() {
        let source = TokenSource::default();
        if std::env::var(JOIN_VARIABLE).is_err() {
            let problem = source.read(Path::new("data")).unwrap_err().to_string();
            assert!(problem.contains("jobyard token create"), "{problem}");
        }
    }

    #[test]
    fn a_detach_needs_a_launcher() {
        let detach = ["--master", "m:1", "--on-term", "detach", "--launcher"];
        let settings = settle(&[&detach[..], &["/bin/sh"]].concat()).unwrap();
        assert_eq!(settings.on_term, ShutdownMode::Detach);
        for flags in [
            ["--on-term", "detach"],
            ["--job-user", "0"],
            ["--isolate", "pid,net"],
        ] {
            let problem =
                problem(&[&["--master", "m:1", "--launcher", "none"], &flags[..]].concat());
            assert!(
                problem.contains(flags[0]) && problem.contains("launcher"),
                "{problem}"
            );
        }
    }

    #[test]
    fn doctor_asks_for_no_master_and_takes_what_it_looks_at() {
        let arguments = [
            "jobyard-worker",
            "doctor",
            "--json",
            "--min-free-disk",
            "5%",
        ];
        let task = Options::try_parse_from(arguments)
            .unwrap()
            .settle()
            .unwrap();
        let Task::Doctor(doctor) = task else {
            panic!("{task:?}")
        };
        assert!(doctor.json);
        assert_eq!(doctor.protection.min_free_disk_percent, 5);
    }
}
