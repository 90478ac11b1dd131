//! Jobs of another user reach neither their worker nor their launcher nor what holds them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::{Ended, Site};

/// A worker whose jobs run as nobody, and the way to run a job that knows the processes of worker and launcher.
struct Hostile {
    site: Site,
    worker: String,
    launcher: String,
}

impl Hostile {
    fn new(options: &[&str]) -> Self {
        let site = Site::of_nobody(options);
        Self {
            worker: format!("WORKER={}", site.worker.pid()),
            launcher: format!("LAUNCHER={}", site.launcher().pid()),
            site,
        }
    }

    fn run(&self, script: &str) -> Ended {
        let ended = self
            .site
            .run(&["--env", &self.worker, "--env", &self.launcher], script);
        assert_eq!(ended.kind(), "succeeded", "{} {}", ended.job, ended.output);
        ended
    }

    /// Runs something against both, which is refused both times, and leaves both unharmed.
    fn is_refused(&self, attempt: &str) {
        let launcher = self.site.launcher().pid();
        let script = format!(
            "id -u; for pid in $WORKER $LAUNCHER; do \
             if ({attempt}) 2>/dev/null; then echo \"{attempt} worked\"; else echo refused; fi; done"
        );
        let attempt = attempt.to_owned();
        assert_eq!(
            self.run(&script).output,
            "65534\nrefused\nrefused",
            "{attempt}"
        );
        assert_eq!(self.site.launcher().pid(), launcher, "the same launcher");
        assert_eq!(self.site.worker()["state"], "active");
    }
}

#[test]
fn xj8_job_of_another_user_cannot_leave_its_control_group() {
    let hostile = Hostile::new(&["--containment", "cgroup2"]);
    assert!(
        hostile.site.offers("containment=hard"),
        "{}",
        hostile.site.worker()
    );
    let script = "own=$(sed -n 's/^0:://p' /proc/self/cgroup)\n\
         root=$(awk '$3 == \"cgroup2\" { print $2; exit }' /proc/self/mounts)\n\
         test -n \"$root\" && test \"$own\" != / || echo \"no group: $own beneath $root\"\n\
         for group in $(find $root -name cgroup.procs) $(find /sys/fs/cgroup -name cgroup.procs); do\n\
           if (echo $$ > $group) 2>/dev/null; then echo moved to $group; fi\n\
         done\n\
         if (echo 0 > $root$own/cgroup.freeze) 2>/dev/null; then echo thawed; fi\n\
         if mkdir $root$own/beneath 2>/dev/null; then echo made; fi\n\
         test \"$(sed -n 's/^0:://p' /proc/self/cgroup)\" = \"$own\" && echo stayed";
    assert_eq!(hostile.run(script).output, "stayed");
}

#[test]
fn xj10_job_of_another_user_cannot_kill_its_worker_or_its_launcher() {
    let hostile = Hostile::new(&[]);
    hostile.is_refused("kill -9 $pid");
    hostile.is_refused("kill -STOP $pid");
    hostile.is_refused("kill -0 $pid");
    hostile.is_refused("kill -9 -$pid");
}

#[test]
fn xj10_job_that_kills_whatever_it_may_ends_itself_alone() {
    // A user of its own: the jobs of other tests are those of nobody.
    let user = (0x4000_0000 + std::process::id()).to_string();
    let site = Site::new(&["--job-user", &user]);
    let launcher = site.launcher().pid();
    let ended = site.run(&[], "kill -9 -1; kill -9 $$");
    assert_eq!(ended.attempt["outcome"]["signal"], 9, "{}", ended.job);
    assert_eq!(site.launcher().pid(), launcher, "the same launcher");
    assert_eq!(site.worker()["state"], "active");
}

#[test]
fn xj11_job_of_another_user_cannot_look_into_its_worker_or_its_launcher() {
    let hostile = Hostile::new(&[]);
    for file in ["mem", "environ", "maps", "stack", "auxv"] {
        hostile.is_refused(&format!(
            "exec 3< /proc/$pid/{file} && cat <&3 | head -c 1 | grep -q ."
        ));
    }
    for link in ["exe", "cwd", "root"] {
        hostile.is_refused(&format!("readlink /proc/$pid/{link}"));
    }
    hostile.is_refused("ls /proc/$pid/fd/0");
}

#[test]
fn xj11_job_of_another_user_cannot_trace_its_worker_or_its_launcher() {
    let hostile = Hostile::new(&[]);
    let number = if cfg!(target_arch = "x86_64") {
        101
    } else {
        117
    };
    // PTRACE_ATTACH, and PTRACE_SEIZE.
    for request in ["16", "0x4206"] {
        let trace = format!("exit(syscall({number}, {request}, $ENV{{pid}}, 0, 0) == 0 ? 0 : 1)");
        hostile.is_refused(&format!("export pid; perl -e '{trace}'"));
    }
}

#[test]
fn xj14_setuid_program_and_file_capabilities_gain_nothing() {
    let hostile = Hostile::new(&[]);
    let setuid = copy(&hostile.site, "/usr/bin/id", "setuid-id");
    fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).expect("it is ours");
    let capable = copy(&hostile.site, "/bin/cat", "capable-cat");
    let set = Command::new("setcap")
        .arg("cap_dac_override+ep")
        .arg(&capable)
        .status();
    assert!(set.expect("setcap runs").success());

    let secret = hostile.site.cluster.path("secret");
    fs::write(&secret, "hunter2").expect("written");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("it is ours");
    let (setuid, capable, secret) = (setuid.display(), capable.display(), secret.display());
    let script = format!("{setuid} -u; {capable} {secret} 2>/dev/null || echo refused");
    // Without what holds jobs both do work: otherwise this would prove nothing.
    let mut bare = Command::new("setpriv");
    bare.args(["--reuid", "65534", "--clear-groups", "sh", "-c", &script]);
    let gained = jobyard_tests::Ran::of(&mut bare).ok().text();
    assert_eq!(gained, "0\nhunter2");

    assert_eq!(hostile.run(&script).output, "65534\nrefused");
    let status =
        hostile.run("grep -E '^(NoNewPrivs|CapEff|CapPrm|CapInh|CapAmb)' /proc/self/status");
    let none = "0000000000000000";
    let expected = format!(
        "CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapAmb:\t{none}\nNoNewPrivs:\t1"
    );
    assert_eq!(status.output, expected);
}

/// A copy of a program where everybody may execute it.
fn copy(site: &Site, program: &str, name: &str) -> PathBuf {
    let path = site.cluster.path(name);
    fs::copy(program, &path).expect("it is there");
    path
}

#[test]
fn xj15_program_of_the_launcher_cannot_be_written_by_a_job() {
    let hostile = Hostile::new(&[]);
    // Opened without being changed, should it work after all.
    hostile.is_refused("exec 3>> /proc/$pid/exe");
    let launcher = fs::read_link(hostile.site.launcher().file("exe")).expect("root may read it");
    hostile.is_refused(&format!("exec 3>> {}", launcher.display()));
}

#[test]
fn xj15_program_of_the_launcher_cannot_be_written_by_a_job_of_root_while_it_runs() {
    let site = Site::new(&[]);
    let exe = site.launcher().file("exe");
    let script = format!("(exec 3>> {exe}) 2>/dev/null && echo opened || echo refused");
    assert_eq!(site.prints(&[], &script), "refused");
}

#[test]
fn xj17_job_of_another_user_does_not_reach_the_socket_of_its_launcher() {
    let hostile = Hostile::new(&[]);
    let socket = socket_of(&hostile.site);
    let script = connect(&hostile.site, &socket);
    assert_eq!(hostile.run(&script).output, "Permission denied");
    // Neither its place, nor the key of the worker, nor what other jobs print.
    let data = hostile.site.cluster.path("w");
    for inner in ["launcher", "identity", "journal", "spool"] {
        let path = data.join(inner);
        assert!(path.exists(), "{}", path.display());
        let script = format!(
            "if [ -d {0} ]; then ls {0}; else cat {0}; fi 2>/dev/null || echo refused",
            path.display()
        );
        assert_eq!(hostile.run(&script).output, "refused", "{inner}");
    }
}

#[test]
fn xj17_job_of_the_same_user_is_not_listened_to_by_its_launcher() {
    let site = Site::new(&[]);
    let launcher = site.launcher();
    let script = connect(&site, &socket_of(&site));
    assert_eq!(site.prints(&[], &script), "closed");
    // In a session of its own, and without a parent.
    let file = site.file("connect.sh", &script);
    let orphan = format!(
        "(setsid sh {} > said &); while ! [ -s said ]; do :; done; cat said",
        file.display()
    );
    assert_eq!(site.prints(&[], &orphan), "closed");
    assert!(launcher.runs());
    assert_eq!(
        site.launcher().pid(),
        launcher.pid(),
        "and nothing has changed"
    );
}

/// The socket of the launcher of this site.
fn socket_of(site: &Site) -> PathBuf {
    let dir = site.cluster.path("w").join("launcher");
    let mut entries = fs::read_dir(dir).expect("launchers live there").flatten();
    let is_socket = |path: &Path| path.exists();
    let socket = entries.find_map(|entry| {
        let socket = entry.path().join("socket");
        is_socket(&socket).then_some(socket)
    });
    socket.expect("a launcher listens")
}

/// A script that greets the launcher as an agent does, and prints how that was answered.
fn connect(site: &Site, socket: &Path) -> String {
    let program = "use Socket;\n\
        socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die;\n\
        unless (connect($s, sockaddr_un($ARGV[0]))) { print \"$!\\n\"; exit }\n\
        $SIG{PIPE} = 'IGNORE';\n\
        my $hello = '{\"kind\":\"hello\",\"version\":1}';\n\
        syswrite($s, pack('N', length $hello) . $hello);\n\
        my $n = sysread($s, my $reply, 4096);\n\
        print $n ? \"answered: $reply\\n\" : \"closed\\n\";\n";
    let file = site.file("connect.pl", program);
    format!("perl {} {}", file.display(), socket.display())
}

#[test]
fn xj17_job_in_a_network_of_its_own_reaches_no_address() {
    let hostile = Hostile::new(&["--isolate", "net"]);
    // The address that clouds tell their secrets at, and this very master.
    let master = hostile.site.cluster.address().to_owned();
    let (host, port) = master.rsplit_once(':').expect("host and port");
    let program = "use Socket; my ($host, $port) = @ARGV;\n\
        socket(my $s, AF_INET, SOCK_STREAM, 0) or die;\n\
        print connect($s, sockaddr_in($port, inet_aton($host))) ? \"connected\\n\" : \"$!\\n\";\n";
    let file = hostile.site.file("connect.pl", program);
    let file = file.display();
    let script = format!(
        "perl {file} {host} {port}; perl {file} 169.254.169.254 80; tail -n +3 /proc/net/dev | cut -d: -f1"
    );
    let output = hostile.run(&script).output;
    let lines: Vec<&str> = output.lines().map(str::trim).collect();
    assert_eq!(lines[1], "Network is unreachable", "{output}");
    assert!(
        lines[0] == "Network is unreachable" || lines[0] == "Connection refused",
        "{output}"
    );
    assert_eq!(lines[2..], ["lo"], "{output}");
}
