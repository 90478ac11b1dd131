//! How patient the master is, as far as an operator chooses.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use jobyard::core::parse_duration;
use jobyard::master::engine::Timings;
use serde::Deserialize;

/// What was said, if anything.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Patience")]
pub(crate) struct TimingOptions {
    /// How often master and worker say something to each other [default: 10s]
    #[arg(long, env = "JOBYARD_HEARTBEAT", value_name = "DURATION")]
    heartbeat: Option<Span>,

    /// How long master and worker wait for each other before they take their session for dead [default: 1m]
    #[arg(long, env = "JOBYARD_LEASE", value_name = "DURATION")]
    lease: Option<Span>,

    /// How long before the end of its lease a worker begins to stop jobs that must not outlive it (--on-disconnect stop);
    /// at most half of the lease counts [default: 15s]
    #[arg(long, env = "JOBYARD_LEASE_MARGIN", value_name = "DURATION")]
    lease_margin: Option<Span>,

    /// How long after the end of a lease such a job runs elsewhere: room for clocks that do not go alike [default: 20s]
    #[arg(long, env = "JOBYARD_LEASE_GRACE", value_name = "DURATION")]
    lease_grace: Option<Span>,

    /// How long after the start of the master at least: it does not know what was promised last [default: 1m]
    #[arg(long, env = "JOBYARD_FAILOVER_GRACE", value_name = "DURATION")]
    failover_grace: Option<Span>,

    /// How long the jobs of a worker without contact are waited for before they run elsewhere [default: 5m]
    #[arg(long, env = "JOBYARD_RECONCILE_FOR", value_name = "DURATION")]
    reconcile_for: Option<Span>,

    /// How long a job that has ended waits for its output before it counts as finished [default: 10s]
    #[arg(long, env = "JOBYARD_LOG_DRAIN", value_name = "DURATION")]
    log_drain: Option<Span>,

    /// How long after its start the master does not yet say of a worker that it does not exist [default: 1m]
    #[arg(long, env = "JOBYARD_FLEET_GRACE", value_name = "DURATION")]
    fleet_grace: Option<Span>,

    /// How long a job waits at most before its first retry, twice as long before each further one; 0s: not at all
    /// [default: 1s]
    #[arg(long, env = "JOBYARD_RETRY_FIRST", value_name = "DURATION")]
    retry_first: Option<Span>,

    /// The most that this grows to [default: 5m]
    #[arg(long, env = "JOBYARD_RETRY_MOST", value_name = "DURATION")]
    retry_most: Option<Span>,
}

/// The same in a file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct TimingFile {
    heartbeat: Option<Span>,
    lease: Option<Span>,
    lease_margin: Option<Span>,
    lease_grace: Option<Span>,
    failover_grace: Option<Span>,
    reconcile_for: Option<Span>,
    log_drain: Option<Span>,
    fleet_grace: Option<Span>,
    retry_first: Option<Span>,
    retry_most: Option<Span>,
}

/// A duration as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span(Duration);

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text)
            .map(Self)
            .map_err(|problem| problem.to_string())
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl TimingOptions {
    /// What is said here, else there, and else the defaults.
    pub(crate) fn timings(self, file: TimingFile) -> anyhow::Result<Timings> {
        let mut timings = Timings::default();
        let choose = |flag: Option<Span>, filed: Option<Span>, to: &mut Duration| {
            if let Some(Span(chosen)) = flag.or(filed) {
                *to = chosen;
            }
        };
        choose(self.heartbeat, file.heartbeat, &mut timings.heartbeat);
        choose(self.lease, file.lease, &mut timings.lease);
        choose(
            self.reconcile_for,
            file.reconcile_for,
            &mut timings.reconcile_for,
        );
        choose(self.log_drain, file.log_drain, &mut timings.log_drain);
        choose(self.lease_margin, file.lease_margin, &mut timings.margin);
        choose(self.lease_grace, file.lease_grace, &mut timings.grace);
        choose(
            self.failover_grace,
            file.failover_grace,
            &mut timings.failover_grace,
        );
        choose(self.retry_first, file.retry_first, &mut timings.retry_first);
        choose(self.retry_most, file.retry_most, &mut timings.retry_most);
        choose(self.fleet_grace, file.fleet_grace, &mut timings.fleet_grace);
        ensure!(
            !timings.heartbeat.is_zero(),
            "--heartbeat: nobody can talk all the time: write 100ms or more"
        );
        ensure!(
            timings.lease >= timings.heartbeat * LEAST_HEARTBEATS,
            "--lease: it has to hold {LEAST_HEARTBEATS} heartbeats, so that one that is late is no loss: write {:?} or \
             more, or a shorter --heartbeat",
            timings.heartbeat * LEAST_HEARTBEATS
        );
        Ok(timings)
    }
}

/// How many heartbeats a lease has to hold.
const LEAST_HEARTBEATS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as the fields hold it")]
    fn span(text: &str) -> Option<Span> {
        Some(text.parse().expect("a duration"))
    }

    #[test]
    fn flags_win_over_the_file_and_the_rest_stays() {
        let options = TimingOptions {
            lease: span("6s"),
            heartbeat: span("500ms"),
            ..TimingOptions::default()
        };
        let file = TimingFile {
            lease: span("9s"),
            log_drain: span("1s"),
            ..TimingFile::default()
        };
        let timings = options.timings(file).expect("timings");
        assert_eq!(timings.lease, Duration::from_secs(6));
        assert_eq!(timings.heartbeat, Duration::from_millis(500));
        assert_eq!(timings.log_drain, Duration::from_secs(1));
        assert_eq!(
            timings.reconcile_for,
            Timings::default().reconcile_for,
            "nobody said anything"
        );
    }

    #[test]
    fn refuse_a_lease_that_one_late_heartbeat_ends() {
        for (heartbeat, lease, named) in [("10s", "20s", "--lease"), ("0s", "1m", "--heartbeat")] {
            let options = TimingOptions {
                heartbeat: span(heartbeat),
                lease: span(lease),
                ..TimingOptions::default()
            };
            let problem = options
                .timings(TimingFile::default())
                .expect_err("too short");
            assert!(problem.to_string().contains(named), "{problem}");
        }
    }
}
