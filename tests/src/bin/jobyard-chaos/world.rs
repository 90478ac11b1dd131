//! A master, four workers, and what happens to them.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jobyard_tests::{Cluster, Program, Proxy, Ran, Token, Way};

const WORKERS: usize = 4;

/// Short, so that a minute sees leases end and jobs move.
const PATIENCE: [&str; 18] = [
    "--heartbeat",
    "500ms",
    "--lease",
    "4s",
    "--lease-margin",
    "2s",
    "--lease-grace",
    "1s",
    "--failover-grace",
    "3s",
    "--reconcile-for",
    "6s",
    "--log-drain",
    "2s",
    "--fleet-grace",
    "2s",
    "--retry-most",
    "2s",
];

/// How many commands of operators may be under way.
const COMMANDS: usize = 6;

pub(crate) struct World {
    pub(crate) struck: BTreeMap<&'static str, u32>,
    workers: Vec<Worker>,
    /// What operators have ordered, and nobody has looked at yet.
    orders: Vec<JoinHandle<Ran>>,
    pub(crate) cluster: Cluster,
}

struct Worker {
    name: String,
    program: Program,
    proxy: Proxy,
    /// When its network is whole again.
    healed_at: Option<Instant>,
    /// When it goes on.
    woken_at: Option<Instant>,
    /// Whether one of its launchers was killed.
    lost_a_launcher: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let cluster = Cluster::start_with(&PATIENCE);
        let token = cluster.token("join.token", &["--uses", "4"]);
        let workers = (0..WORKERS)
            .map(|number| Worker::new(&cluster, &token, format!("w{number}")))
            .collect();
        Self {
            struck: BTreeMap::new(),
            workers,
            orders: Vec::new(),
            cluster,
        }
    }

    /// Something happens.
    pub(crate) fn strike(&mut self, random: &mut fastrand::Rng, jobs: &[String]) {
        let at = random.usize(..self.workers.len());
        let time = Duration::from_millis(random.u64(300..9_000));
        let what = match random.u32(..100) {
            0..8 => self.kill_master(),
            8..25 => self.workers[at].kill(&self.cluster),
            25..33 => self.workers[at].kill_with_launcher(&self.cluster),
            33..45 => self.workers[at].freeze(time),
            45..55 => self.workers[at].cut_off(&[Way::ToMaster, Way::FromMaster], time),
            55..61 => self.workers[at].cut_off(&[Way::ToMaster], time),
            61..67 => self.workers[at].cut_off(&[Way::FromMaster], time),
            67..73 => self.workers[at].reset(),
            73..80 => self.order(&["worker", "drain", &format!("w{at}")], "drain"),
            80..90 => self.order(&["worker", "resume", &format!("w{at}")], "resume"),
            _ => match random.choice(jobs) {
                Some(job) => self.order(&["stop", job], "stop"),
                None => "nothing",
            },
        };
        *self.struck.entry(what).or_default() += 1;
    }

    /// Time passes; what was to end ends.
    pub(crate) fn let_pass(&mut self, time: Duration) {
        thread::sleep(time);
        let now = Instant::now();
        for worker in &mut self.workers {
            worker.recover(now);
        }
    }

    /// Everything works again.
    pub(crate) fn calm_down(&mut self) {
        let far = Instant::now() + Duration::from_hours(1);
        for worker in &mut self.workers {
            worker.recover(far);
        }
        for order in self.orders.drain(..) {
            // An order may be refused; it must come to an end.
            let _ = order.join().expect("an order ends");
        }
        for worker in &self.workers {
            let _ = self.cluster.cli(&["worker", "resume", &worker.name]).ok();
        }
    }

    /// Whether a launcher of this worker was killed.
    pub(crate) fn has_lost_a_launcher(&self, worker: &str) -> bool {
        let found = self.workers.iter().find(|known| known.name == worker);
        found.is_none_or(|worker| worker.lost_a_launcher)
    }

    fn kill_master(&mut self) -> &'static str {
        self.cluster.master.kill_9();
        self.cluster.restart_master();
        "master killed"
    }

    fn order(&mut self, arguments: &[&str], name: &'static str) -> &'static str {
        self.orders.retain(|order| !order.is_finished());
        if self.orders.len() >= COMMANDS {
            return "nothing";
        }
        let command = self.cluster.command(arguments);
        self.orders.push(in_background(command));
        name
    }
}

impl Worker {
    fn new(cluster: &Cluster, token: &Token, name: String) -> Self {
        let proxy = Proxy::to(cluster.address());
        let program = cluster.worker_at(&proxy.address(), &name, token, &["--slots", "3"]);
        Self {
            name,
            program,
            proxy,
            healed_at: None,
            woken_at: None,
            lost_a_launcher: false,
        }
    }

    fn start_again(&mut self, cluster: &Cluster) {
        let address = self.proxy.address();
        let mut command = cluster.worker_command_at(&address, &self.name, None, &["--slots", "3"]);
        self.program = Program::start(&mut command);
        self.woken_at = None;
    }

    fn kill(&mut self, cluster: &Cluster) -> &'static str {
        self.program.kill_9();
        self.start_again(cluster);
        "worker killed"
    }

    fn kill_with_launcher(&mut self, cluster: &Cluster) -> &'static str {
        let launchers = cluster.launchers(&self.name);
        self.program.kill_9();
        self.lost_a_launcher = true;
        for launcher in launchers {
            launcher.kill_9();
        }
        self.start_again(cluster);
        "worker and launcher killed"
    }

    fn freeze(&mut self, time: Duration) -> &'static str {
        if self.woken_at.is_some() {
            return "nothing";
        }
        self.program.signal("STOP");
        self.woken_at = Some(Instant::now() + time);
        "worker frozen"
    }

    fn cut_off(&mut self, ways: &[Way], time: Duration) -> &'static str {
        for way in ways {
            self.proxy.hold(*way);
        }
        self.healed_at = Some(Instant::now() + time);
        match ways {
            [Way::ToMaster] => "not heard",
            [Way::FromMaster] => "deaf",
            _ => "partition",
        }
    }

    fn reset(&mut self) -> &'static str {
        self.proxy.cut();
        "connections reset"
    }

    fn recover(&mut self, now: Instant) {
        if self.woken_at.is_some_and(|at| at <= now) {
            self.program.signal("CONT");
            self.woken_at = None;
        }
        if self.healed_at.is_some_and(|at| at <= now) {
            self.proxy.heal();
            self.healed_at = None;
        }
    }
}

pub(crate) fn in_background(mut command: Command) -> JoinHandle<Ran> {
    thread::spawn(move || Ran::of(&mut command))
}
