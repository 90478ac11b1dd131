//! What the master is told: flags win over the environment, and both over the configuration file.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use jobyard::master::{DEFAULT_LISTEN, DaemonConfig};
use jobyard_service::LogFormat;
use serde::Deserialize;

use crate::copies::Command;
use crate::patience::Patience;
use crate::retention::{Count, RetentionOptions, Size};
use crate::scheduling::{PlacementChoice, Scheduling};
use crate::timings::{TimingFile, TimingOptions};

/// Queues jobs, matches them to workers by tags, and remembers everything.
#[derive(Debug, Parser)]
#[command(name = "jobyard-master", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// Where it keeps everything: records, output, certificate authority, the administrator's profile [default: .jobyard]
    #[arg(long, env = "JOBYARD_DATA", value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where it listens; one port serves everything [default: 127.0.0.1:7411]
    #[arg(long, env = "JOBYARD_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// What it is called; a host name also stands in the administrator's profile [default: jobyard]
    #[arg(long, env = "JOBYARD_NAME")]
    name: Option<String>,

    #[command(flatten)]
    scheduling: Scheduling,

    #[command(flatten)]
    timings: TimingOptions,

    #[command(flatten)]
    retention: RetentionOptions,

    /// Where output goes that is over: a directory on another disk, or the URL of an object store [default: it stays]
    #[arg(long, env = "JOBYARD_LOG_ARCHIVE", value_name = "DIR|URL")]
    log_archive: Option<String>,

    /// A TOML file with any of these options
    #[arg(long, env = "JOBYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// How the log on standard error looks [default: text]
    #[arg(long, env = "JOBYARD_LOG_FORMAT", value_enum)]
    log_format: Option<LogFormat>,

    /// How much is logged: error, warn, info, debug, trace [default: info]
    #[arg(long, env = "JOBYARD_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:\n  \
    jobyard-master --data /var/lib/jobyard --listen 0.0.0.0:7411 --name ci.example.org\n  \
    jobyard --profile /var/lib/jobyard/admin.toml token create --uses 10 --ttl 1h --out join.token\n  \
    jobyard-master backup /backup/monday.jyb --data /var/lib/jobyard\n  \
    jobyard-master restore /backup/monday.jyb --data /var/lib/jobyard-restored";

/// The schema library tells of every start what it did not do.
const DEFAULT_LEVEL: &str = "info,refinery_core=warn";

/// The same options in a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct File {
    data: Option<PathBuf>,
    listen: Option<String>,
    name: Option<String>,
    placement: Option<PlacementChoice>,
    reserve_after: Option<Patience>,
    ageing: Option<Patience>,
    give_up_after: Option<Patience>,
    timings: TimingFile,
    retain_jobs: Option<Patience>,
    retain_count: Option<Count>,
    retain_events: Option<Count>,
    retain_events_for: Option<Patience>,
    retain_logs: Option<Patience>,
    log_budget: Option<Size>,
    log_archive: Option<String>,
    log_format: Option<LogFormat>,
    log_level: Option<String>,
}

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Be a master.
    Serve(Box<Settings>),
    /// Something else, once.
    Do(Command),
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The master.
    pub(crate) daemon: DaemonConfig,
    /// How the log looks.
    pub(crate) log_format: LogFormat,
    /// How much is logged.
    pub(crate) log_level: String,
}

impl Options {
    /// What is to be done, with everything that was said about it.
    pub(crate) fn task(mut self) -> anyhow::Result<Task> {
        match self.command.take() {
            Some(command) => Ok(Task::Do(command)),
            None => Ok(Task::Serve(Box::new(self.settle()?))),
        }
    }

    /// Puts flags, environment and file together.
    fn settle(self) -> anyhow::Result<Settings> {
        let file = self
            .config
            .as_deref()
            .map(read)
            .transpose()?
            .unwrap_or_default();
        let data = self
            .data
            .or(file.data)
            .unwrap_or_else(|| PathBuf::from(".jobyard"));
        let listen = self
            .listen
            .or(file.listen)
            .unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let mut daemon = DaemonConfig::new(data, resolve(&listen)?);
        let filed = Scheduling {
            placement: file.placement,
            reserve_after: file.reserve_after,
            ageing: file.ageing,
            give_up_after: file.give_up_after,
        };
        daemon.policy = self.scheduling.or(filed).policy()?;
        daemon.timings = self.timings.timings(file.timings)?;
        daemon.retention = self.retention.or(RetentionOptions {
            retain_jobs: file.retain_jobs,
            retain_count: file.retain_count,
            retain_events: file.retain_events,
            retain_events_for: file.retain_events_for,
            retain_logs: file.retain_logs,
            log_budget: file.log_budget,
        });
        daemon.log_archive = self.log_archive.or(file.log_archive);
        if let Some(name) = self.name.or(file.name) {
            jobyard::core::check_name(&name)
                .map_err(|problem| anyhow::anyhow!("--name: {problem}"))?;
            // A name with a dot is one by which other machines reach this one.
            daemon.advertise = name.contains('.').then(|| name.clone());
            daemon.name = name;
        }
        Ok(Settings {
            daemon,
            log_format: self
                .log_format
                .or(file.log_format)
                .unwrap_or(LogFormat::Text),
            log_level: self
                .log_level
                .or(file.log_level)
                .unwrap_or_else(|| DEFAULT_LEVEL.to_owned()),
        })
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--config: {} cannot be read", path.display()))?;
    toml::from_str(&text).map_err(|problem| {
        let before = problem.span().map_or(0, |span| span.start);
        let line = text[..before].matches('\n').count() + 1;
        anyhow::anyhow!("{}:{line}: {}", path.display(), problem.message())
    })
}

fn resolve(listen: &str) -> anyhow::Result<SocketAddr> {
    let addresses = listen.to_socket_addrs();
    let address = addresses
        .with_context(|| {
            format!("--listen: `{listen}` is not ADDRESS:PORT, as in {DEFAULT_LISTEN}")
        })?
        .next();
    match address {
        Some(address) => Ok(address),
        None => bail!("--listen: `{listen}` has no address"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jobyard::scheduler::{Placement, Policy};

    use super::*;

    fn options(arguments: &[&str]) -> Options {
        let program = std::iter::once("jobyard-master");
        Options::try_parse_from(program.chain(arguments.iter().copied())).expect("options")
    }

    #[test]
    fn a_host_name_is_advertised() {
        let settings = options(&["--name", "ci.example.org"])
            .settle()
            .expect("settings");
        assert_eq!(settings.daemon.advertise.as_deref(), Some("ci.example.org"));
        assert_eq!(settings.daemon.listen.to_string(), DEFAULT_LISTEN);
    }

    #[test]
    fn flags_win_over_the_file_and_unknown_keys_are_refused_with_their_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("master.toml");
        std::fs::write(&path, "name = \"filed\"\nlisten = \"127.0.0.1:1\"\n").expect("written");
        let path_text = path.to_str().expect("UTF-8");
        let settings = options(&["--config", path_text, "--name", "flagged"])
            .settle()
            .expect("settings");
        assert_eq!(settings.daemon.name, "flagged");
        assert_eq!(settings.daemon.listen.port(), 1);

        std::fs::write(&path, "name = \"x\"\n\ncolour = 1\n").expect("written");
        let error = options(&["--config", path_text])
            .settle()
            .expect_err("unknown key");
        let error = error.to_string();
        assert!(
            error.contains("master.toml:3") && error.contains("colour"),
            "{error}"
        );
    }

    #[test]
    fn the_policy_is_chosen_by_flags_and_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("master.toml");
        let text = "placement = \"pack\"\nageing = \"off\"\ngive-up-after = \"2h\"\n";
        std::fs::write(&path, text).expect("written");
        let path_text = path.to_str().expect("UTF-8");
        let given = [
            "--config",
            path_text,
            "--give-up-after",
            "off",
            "--reserve-after",
            "5s",
        ];
        let policy = options(&given).settle().expect("settings").daemon.policy;
        assert!(matches!(policy.placement, Placement::Pack));
        assert_eq!(policy.ageing, None);
        assert_eq!(policy.give_up_after, None, "the flag wins");
        assert_eq!(policy.reserve_after, Some(Duration::from_secs(5)));

        let policy = options(&[]).settle().expect("settings").daemon.policy;
        let default = Policy::default();
        assert!(matches!(policy.placement, Placement::Spread));
        assert_eq!(policy.ageing, default.ageing);
        assert_eq!(policy.reserve_after, default.reserve_after);
    }

    #[test]
    fn a_wrong_policy_is_named() {
        let error = options(&["--ageing", "0s"]).settle().expect_err("no time");
        assert!(error.to_string().contains("--ageing"), "{error:#}");

        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("master.toml");
        std::fs::write(&path, "name = \"x\"\nageing = \"soon\"\n").expect("written");
        let path_text = path.to_str().expect("UTF-8");
        let error = options(&["--config", path_text])
            .settle()
            .expect_err("no duration");
        let error = error.to_string();
        assert!(
            error.contains("master.toml:2") && error.contains("soon"),
            "{error}"
        );

        for wrong in [["--placement", "warm"], ["--reserve-after", "1.5h"]] {
            let arguments = std::iter::once("jobyard-master").chain(wrong);
            assert!(Options::try_parse_from(arguments).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_wrong_address_is_named() {
        let error = options(&["--listen", "nowhere"])
            .settle()
            .expect_err("no port");
        assert!(format!("{error:#}").contains("--listen"), "{error:#}");
    }
}
