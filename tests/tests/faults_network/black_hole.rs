//! FN4: packets vanish, and nobody says that they do: a router between two network namespaces.

use std::process::Command;

use jobyard_tests::{
    Cluster, Gate, MasterProgram, Notes, Process, Program, Runs, assert_once, in_background, within,
};

/// Two machines and a router, each a network namespace. Gone when dropped.
struct Roads {
    name: String,
}

const MASTER: &str = "10.91.1.2";
const WORKER: &str = "10.91.2.2";

impl Roads {
    fn new() -> Self {
        let roads = Self {
            name: format!("jy{}", std::process::id()),
        };
        let [m, r, w] = ["m", "r", "w"].map(|end| roads.place(end));
        for place in [&m, &r, &w] {
            ip(&["netns", "add", place]);
            ip(&["-n", place, "link", "set", "lo", "up"]);
        }
        for (place, net) in [(&m, "10.91.1"), (&w, "10.91.2")] {
            let (own, other) = ("eth0", if place == &m { "m0" } else { "w0" });
            ip(&[
                "-n", place, "link", "add", own, "type", "veth", "peer", "name", other, "netns", &r,
            ]);
            let (host, gateway) = (format!("{net}.2/24"), format!("{net}.1"));
            ip(&["-n", place, "addr", "add", &host, "dev", own]);
            ip(&["-n", place, "link", "set", own, "up"]);
            ip(&[
                "-n",
                &r,
                "addr",
                "add",
                &format!("{gateway}/24"),
                "dev",
                other,
            ]);
            ip(&["-n", &r, "link", "set", other, "up"]);
            ip(&["-n", place, "route", "add", "default", "via", &gateway]);
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        ran(Command::new("ip").args(["netns", "exec", &r, "sh", "-c", forward]));
        roads
    }

    fn place(&self, end: &str) -> String {
        format!("{}{end}", self.name)
    }

    /// Starts a program there, with everything but the network as it is here.
    fn there(&self, end: &str) -> Vec<String> {
        let net = format!("--net=/run/netns/{}", self.place(end));
        vec!["nsenter".to_owned(), net]
    }

    /// From now on all packets to this address vanish at the router.
    fn swallow(&self, address: &str) {
        ip(&["-n", &self.place("r"), "route", "add", "blackhole", address]);
    }

    fn restore(&self, address: &str) {
        ip(&["-n", &self.place("r"), "route", "del", "blackhole", address]);
    }
}

impl Drop for Roads {
    fn drop(&mut self) {
        for end in ["m", "r", "w"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.place(end)])
                .status();
        }
    }
}

fn ip(arguments: &[&str]) {
    ran(Command::new("ip").args(arguments));
}

fn ran(command: &mut Command) {
    let status = command.status();
    assert!(status.expect("it runs").success(), "{command:?}");
}

/// The lease is far away: only the pings of the connection can notice. Guards: `KEEPALIVE_INTERVAL` and
/// `KEEPALIVE_TIMEOUT` on both ends, and that a client follows on another connection.
#[test]
fn fn4_black_hole_is_noticed_on_both_sides_and_costs_nothing() {
    let roads = Roads::new();
    let there = roads.there("m");
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    let master = MasterProgram::shipped()
        .options(&["--heartbeat", "10m", "--lease", "1h"])
        .listening_on(&format!("{MASTER}:0"))
        .started_by(&there);
    let dir = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start_in(dir, master);
    let (notes, gate) = (
        Notes::new(cluster.path("notes")),
        Gate::new(cluster.path("gate")),
    );
    let runs = Runs::new(cluster.path("runs"));
    let token = cluster.token("join.token", &[]);
    let command = cluster.worker_command("w", Some(&token), &[]);
    let mut worker = Program::start(&mut within(&roads.there("w"), &command));
    worker.wait_for("is connected");

    let script = format!(
        "{}; echo before; echo $$ > {}; read go < {}; echo after; exit 7",
        runs.note(),
        notes.path().display(),
        gate.path().display(),
    );
    let job = cluster.submit(&[], &script);
    let process = Process::named(&notes.next());
    // Follows from the worker's side of the router.
    let followed = Notes::new(cluster.path("followed"));
    let mut follow = Command::new("sh");
    follow
        .args(["-c", "exec \"$0\" \"$@\" > \"$FOLLOWED\""])
        .env("FOLLOWED", followed.path())
        .arg(jobyard_tests::program("jobyard"))
        .arg("--profile")
        .arg(cluster.path("master/admin.toml"))
        .args(["logs", "--follow", &job]);
    let follower = in_background(within(&roads.there("w"), &follow));
    assert_eq!(followed.next(), "before");

    roads.swallow(WORKER);
    roads.swallow(MASTER);
    cluster.master.wait_for("session over");
    worker.wait_for("the session with the master is over");
    assert!(process.runs(), "it was to finish");
    gate.let_through(1);
    process.wait_for_end();
    roads.restore(WORKER);
    roads.restore(MASTER);
    worker.wait_for("is connected");
    let _ = cluster.cli(&["wait", &job]);
    let shown = cluster.show(&job);
    assert_eq!(shown["outcome"]["exit_code"], 7, "{shown}");
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(1));
    assert_eq!(runs.of(&job), [1]);
    assert_eq!(followed.next(), "after");
    let follower = follower.join().expect("it was waited for");
    assert_eq!(follower.code, Some(0), "{}", follower.stderr);
    let next = cluster.submit(&[], "exit 0");
    let _ = cluster.cli(&["wait", &next]).ok();
    assert_once(&cluster.show(&next));
}
