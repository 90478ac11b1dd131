//! FM7 and FM8: the disk of the master is full, or fails.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use jobyard_core::{
    Caller, ControlError, Fleet, JobSpec, Jobs, NewJob, Role, StopOptions, WorkerCommand,
};
use jobyard_pki::{ClientProfile, client_config};
use jobyard_tests::{Cluster, GUARD, MasterProgram, PATIENCE, Process, Ran, Site, assert_once};
use jobyard_transport::{ConnectOptions, GrpcControl};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// A file system of its own, gone when dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new(path: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&path).expect("ours");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .status();
        assert!(mounted.expect("mount runs").success());
        Self { path }
    }

    /// Leaves so many bytes, or as few as it can.
    fn fill(&self, leave: u64) {
        let stat = rustix::fs::statvfs(&self.path).expect("it is mounted");
        let mut left = (stat.f_bavail * stat.f_frsize).saturating_sub(leave);
        let mut ballast = File::options()
            .append(true)
            .create(true)
            .open(self.ballast())
            .expect("ours");
        let block = vec![1; 64 * 1024];
        while left > 0 {
            let piece = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            if ballast.write_all(&block[..piece]).is_err() {
                break;
            }
            left -= piece as u64;
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("it is there");
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}

/// The way to the master for a program that repeats nothing, and who it is.
fn control(runtime: &Runtime, cluster: &Cluster) -> (GrpcControl, Caller) {
    let _inside = runtime.enter();
    let profile = ClientProfile::load(&cluster.master_data().join("admin.toml")).expect("profile");
    let tls = client_config(profile.credentials()).expect("a configuration");
    let masters = vec![cluster.address().to_owned()];
    let control = GrpcControl::new(masters, &tls, ConnectOptions::default()).expect("an address");
    (control, Caller::new("admin", Role::Admin))
}

/// Asks the master as a program would, once.
fn submit_once(cluster: &Cluster) -> Result<(), ControlError> {
    let runtime = Runtime::new().expect("a runtime");
    let (control, caller) = control(&runtime, cluster);
    runtime.block_on(async {
        let mut spec = JobSpec::default();
        r#"{"command": ["true"]}"#.clone_into(&mut spec.executor.config);
        spec.requirements = vec!["nowhere".parse().expect("a requirement")];
        let spec = spec.validate().expect("valid");
        let job = NewJob::new(jobyard_core::JobId::from_uuid(Uuid::now_v7()), spec);
        control.submit(&caller, vec![job]).await.map(drop)
    })
}

/// Guards: admission below the watermark (`Shared::has_room`), the store's reserve for what has begun, and that reads and
/// heartbeats need no disk.
#[test]
fn fm7_full_disk_refuses_new_jobs_and_loses_none_of_those_that_run() {
    let place = tempfile::tempdir().expect("a directory");
    let disk = Disk::new(place.path().join("master"), "200m");
    let mut site = Site::in_cluster(Cluster::start_in(
        place,
        MasterProgram::shipped().options(&PATIENCE),
    ));
    let mut worker = site.worker("w", &["--slots", "3"]);
    let jobs: Vec<String> = (0..2)
        .map(|_| {
            let job = site.cluster.submit(&[], &site.held_job());
            site.begun(1);
            job
        })
        .collect();

    disk.fill(30 << 20);
    // What is known of the disk is at most a second old.
    let begun = Instant::now();
    let refused = loop {
        assert!(begun.elapsed() < GUARD, "nothing is refused");
        if let Err(refused) = submit_once(&site.cluster) {
            break refused;
        }
    };
    assert!(
        matches!(refused, ControlError::Exhausted { .. }),
        "{refused:?}"
    );
    // What has begun goes on, with what was kept for it.
    disk.fill(0);
    assert_eq!(site.cluster.show(&jobs[0])["state"], "running");
    site.gate.let_through(1);
    site.cluster.wait_until(|| {
        let ended = |job: &String| site.cluster.show(job)["state"] == "finished";
        jobs.iter().any(ended).then_some(())
    });
    assert!(!worker.log().contains("is over"), "{}", worker.log());

    // A person who submits now is served once there is room.
    let late = jobyard_tests::in_background(site.cluster.command(&["submit", "--", "true"]));
    disk.make_room();
    let late = late.join().expect("it was waited for").ok().text();
    site.gate.let_through(1);
    for job in jobs.iter().chain([&late]) {
        assert_once(&site.end(job));
    }
    site.runs.assert_each_once(&jobs);

    // Nothing is damaged: a master that starts reads all of it.
    site.cluster.master.kill_9();
    site.cluster.restart_master();
    worker.wait_for("is connected");
    for job in jobs.iter().chain([&late]) {
        assert_once(&site.cluster.show(job));
    }
    drop(site);
    drop(disk);
}

/// Fills the disk until nothing can be recorded any more: the reserve is used up as well. Suspending and resuming a worker
/// is what is recorded, since submits are refused long before that.
fn use_up(site: &Site, disk: &Disk, worker: &str) -> ControlError {
    let runtime = Runtime::new().expect("a runtime");
    let (control, caller) = control(&runtime, &site.cluster);
    loop {
        for to in [WorkerCommand::Suspend, WorkerCommand::Resume] {
            disk.fill(0);
            let set = runtime.block_on(control.set_worker(&caller, worker, to));
            if let Err(problem) = set {
                return problem;
            }
        }
    }
}

/// Guards: `Stall`, which keeps what finds no room and answers heartbeats meanwhile. A lease lasts four seconds here.
#[test]
fn fm7_stop_job_lives_through_a_disk_that_stays_full_for_longer_than_its_lease() {
    let place = tempfile::tempdir().expect("a directory");
    let disk = Disk::new(place.path().join("master"), "120m");
    let mut site = Site::in_cluster(Cluster::start_in(
        place,
        MasterProgram::shipped().options(&PATIENCE),
    ));
    let mut worker = site.worker("w", &["--slots", "2"]);
    let _idle = site.worker("idle", &[]);
    let policies = ["stop", "finish"];
    let mut processes = Vec::new();
    let jobs: Vec<String> = policies
        .iter()
        .map(|policy| {
            let options = ["--on-disconnect", policy];
            let job = site.cluster.submit(&options, &site.held_job());
            processes.push(Process::named(&site.begun(1)));
            job
        })
        .collect();

    let unknown = use_up(&site, &disk, "idle");
    assert!(unknown.is_temporary(), "{unknown:?}");
    // After 0, 1, 2, 4 and 5 seconds: nearly three leases.
    for _ in 0..6 {
        site.cluster.master.wait_for("the store has no room");
    }
    let runtime = Runtime::new().expect("a runtime");
    let (control, caller) = control(&runtime, &site.cluster);
    let job = jobs[0].parse().expect("an id");
    let refused = runtime.block_on(control.stop(&caller, job, StopOptions::default()));
    assert!(
        matches!(refused, Err(ControlError::Exhausted { .. })),
        "{refused:?}"
    );
    for job in &jobs {
        assert_eq!(site.cluster.show(job)["state"], "running", "reads go on");
    }
    assert!(processes.iter().all(Process::runs));
    assert!(!worker.log().contains("is over"), "{}", worker.log());

    // What ends now is told once it can be recorded.
    site.gate.let_through(2);
    for process in &processes {
        process.wait_for_end();
    }
    disk.make_room();
    for job in &jobs {
        assert_once(&site.end(job));
    }
    site.runs.assert_each_once(&jobs);
    assert!(!worker.log().contains("is over"), "{}", worker.log());

    // Nothing is damaged: a master that starts reads all of it.
    site.cluster.master.kill_9();
    site.cluster.restart_master();
    worker.wait_for("is connected");
    for job in &jobs {
        assert_once(&site.cluster.show(job));
    }
    drop(site);
    drop(disk);
}

/// Guards: a failed fsync ends the program (`MasterEnded`), because what it has written may be gone; a restart reads what
/// is durable.
#[test]
fn fm8_failed_fsync_ends_the_master_and_a_restart_goes_on() {
    let program = MasterProgram::with_failpoints().options(&PATIENCE);
    let mut site = Site::of(program);
    let mut worker = site.worker("w", &[]);
    let running = site.cluster.submit(&[], &site.held_job());
    let process = Process::named(&site.begun(1));
    let acknowledged: Vec<String> = (0..3)
        .map(|_| site.cluster.submit(&["--tag", "later"], &site.runs.note()))
        .collect();
    site.cluster.master.kill_9();
    site.cluster
        .restart_master_with("JOBYARD_STORE_FAILPOINTS", "commit.before=eio@6");
    // Somebody submits all the time, and repeats what was not answered.
    let enough = AtomicBool::new(false);
    let more = thread::scope(|scope| {
        let commands: Vec<_> = (0..100)
            .map(|_| {
                site.cluster
                    .command(&["submit", "--tag", "later", "--", "true"])
            })
            .collect();
        let enough = &enough;
        let submitting = scope.spawn(move || {
            let wanted = commands.into_iter();
            let wanted = wanted.take_while(|_| !enough.load(Ordering::Relaxed));
            wanted
                .map(|mut command| Ran::of(&mut command).ok().text())
                .collect::<Vec<_>>()
        });
        let (status, log) = site.cluster.master.wait();
        assert!(!status.success(), "{log}");
        site.cluster.restart_master();
        enough.store(true, Ordering::Relaxed);
        submitting.join().expect("it submits")
    });
    worker.wait_for("is connected");
    assert!(process.runs());
    let _later = site.worker("later", &["--tag", "later"]);
    site.cluster.wait_for(&acknowledged);
    site.runs.assert_each_once(&acknowledged);
    site.gate.let_through(1);
    assert_once(&site.end(&running));
    assert!(!more.is_empty());
    for job in &more {
        assert_once(&site.end(job));
    }
}
