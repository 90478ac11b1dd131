//! FM1: the master dies around the commit of each operation.
//!
//! *sealed*: the engine has decided, and nothing is durable. *committed*: it is durable, and nobody has heard of it.
//! *told*: those who wait for it were told, as far as the master goes. Guards: commit, then speak (`HeldEffects`); the
//! store's transactions; and that each call may be repeated.

use jobyard_tests::{MasterProgram, Process, Program, Site, assert_once, attempts, in_background};
use uuid::Uuid;

/// A worker whose master dies again and again waits longer each time before it tries to connect: nobody may give it up for
/// that.
pub(crate) const PATIENCE: [&str; 6] = [
    "--heartbeat",
    "500ms",
    "--log-drain",
    "2s",
    "--retry-first",
    "100ms",
];

const STAGES: [&str; 3] = ["sealed", "committed", "told"];

struct Doomed {
    site: Site,
    worker: Program,
}

impl Doomed {
    fn new() -> Self {
        let program = MasterProgram::with_failpoints().options(&PATIENCE);
        let site = Site::of(program);
        let worker = site.worker("w", &["--slots", "4"]);
        Self { site, worker }
    }

    /// From now on the master dies there.
    fn doom(&mut self, operation: &str, stage: &str) {
        self.site.cluster.master.kill_9();
        let order = format!("{operation}.{stage}");
        self.site
            .cluster
            .restart_master_with("JOBYARD_FAILPOINT", &order);
        self.worker.wait_for("is connected");
    }

    /// Waits until it is dead, and starts it anew.
    fn revive(&mut self) {
        let (status, log) = self.site.cluster.master.wait();
        assert!(!status.success(), "{log}");
        assert!(log.contains("dies on order"), "{log}");
        self.site.cluster.restart_master();
        self.worker.wait_for("is connected");
    }
}

#[test]
fn fm1_submit_survives_a_master_that_dies_around_it_and_makes_one_job() {
    let mut doomed = Doomed::new();
    let mut jobs = Vec::new();
    for stage in STAGES {
        doomed.doom("submit", stage);
        let id = Uuid::now_v7().to_string();
        let script = doomed.site.runs.note();
        let arguments = ["submit", "--id", &id, "--", "sh", "-c", &script];
        let submit = in_background(doomed.site.cluster.command(&arguments));
        doomed.revive();
        let submitted = submit.join().expect("it was waited for");
        assert_eq!(submitted.ok().text(), id, "{stage}");
        let shown = doomed.site.end(&id);
        assert_eq!(shown["outcome"]["kind"], "succeeded", "{stage}: {shown}");
        jobs.push(id);
    }
    doomed.site.runs.assert_each_once(&jobs);
    let listed = doomed.site.cluster.cli(&["jobs", "--json"]).ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(jobs.len()));
}

#[test]
fn fm1_assignment_around_which_the_master_dies_runs_once() {
    let mut doomed = Doomed::new();
    let mut jobs = Vec::new();
    for stage in STAGES {
        let _ = doomed.site.cluster.cli(&["worker", "suspend", "w"]).ok();
        let job = doomed.site.cluster.submit(&[], &doomed.site.runs.note());
        doomed.doom("assign", stage);
        let resume = in_background(doomed.site.cluster.command(&["worker", "resume", "w"]));
        doomed.revive();
        let _ = resume.join().expect("it was waited for").ok();
        let shown = doomed.site.end(&job);
        assert_eq!(shown["outcome"]["kind"], "succeeded", "{stage}: {shown}");
        // One that was decided and never sent is another attempt's business, and cost no budget.
        assert!(attempts(&shown).len() <= 2, "{stage}: {shown}");
        jobs.push(job);
    }
    doomed.site.runs.assert_each_once(&jobs);
}

#[test]
fn fm1_start_around_which_the_master_dies_is_no_second_one() {
    let mut doomed = Doomed::new();
    let mut jobs = Vec::new();
    for stage in STAGES {
        doomed.doom("start", stage);
        let job = doomed.site.cluster.submit(&[], &doomed.site.held_job());
        doomed.site.begun(1);
        doomed.revive();
        doomed.site.gate.let_through(1);
        assert_once(&doomed.site.end(&job));
        jobs.push(job);
    }
    doomed.site.runs.assert_each_once(&jobs);
}

/// What is known of leases is in memory alone; after a restart all count as renewed.
#[test]
fn fm1_renewal_around_which_the_master_dies_costs_no_attempt() {
    let mut doomed = Doomed::new();
    for policy in ["finish", "stop"] {
        let job = doomed
            .site
            .cluster
            .submit(&["--on-disconnect", policy], &doomed.site.held_job());
        let process = Process::named(&doomed.site.begun(1));
        // Nothing is committed: there are two places.
        // The first heartbeats come while the master still starts.
        for stage in ["sealed@5", "told@5"] {
            doomed.doom("renew", stage);
            doomed.revive();
        }
        assert!(process.runs());
        doomed.site.gate.let_through(1);
        assert_once(&doomed.site.end(&job));
        doomed.site.runs.assert_each_once(&[job]);
    }
}

#[test]
fn fm1_end_around_which_the_master_dies_counts_once_with_its_exit() {
    let mut doomed = Doomed::new();
    let mut jobs = Vec::new();
    // With output there is more to come after the end, without it the end is all there is.
    let cases = STAGES.map(|stage| (stage, "output"));
    for (stage, output) in cases.into_iter().chain([("sealed", "")]) {
        let script = format!("printf '{output}'; {}; exit 7", doomed.site.held_job());
        let job = doomed.site.cluster.submit(&[], &script);
        doomed.site.begun(1);
        doomed.doom("finish", stage);
        doomed.site.gate.let_through(1);
        doomed.revive();
        let shown = doomed.site.end(&job);
        assert_eq!(shown["outcome"]["exit_code"], 7, "{stage}: {shown}");
        assert_eq!(attempts(&shown).len(), 1, "{stage}: {shown}");
        let log = doomed.site.cluster.cli(&["logs", "--follow", &job]);
        assert_eq!(log.text(), output, "{stage}");
        jobs.push(job);
    }
    doomed.site.runs.assert_each_once(&jobs);
}

#[test]
fn fm1_stop_around_which_the_master_dies_is_carried_out_once() {
    let mut doomed = Doomed::new();
    let mut jobs = Vec::new();
    for stage in STAGES {
        let job = doomed.site.cluster.submit(&[], &doomed.site.held_job());
        let process = Process::named(&doomed.site.begun(1));
        doomed.doom("stop", stage);
        let stop = in_background(doomed.site.cluster.command(&["stop", &job]));
        doomed.revive();
        let _ = stop.join().expect("it was waited for").ok();
        let shown = doomed.site.end(&job);
        assert_eq!(shown["outcome"]["kind"], "cancelled", "{stage}: {shown}");
        assert_eq!(attempts(&shown).len(), 1, "{stage}: {shown}");
        assert!(!process.runs(), "{stage}");
        jobs.push(job);
    }
    doomed.site.runs.assert_each_once(&jobs);
}
