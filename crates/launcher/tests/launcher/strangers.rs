//! Who may not command a launcher.

use std::env;

use jobyard_core::Exit;
use jobyard_launcher::protocol::{Request, SOCKET};

use crate::client::{Client, Launcher};

/// Set in the job that is the stranger.
const SOCKET_OF: &str = "SOCKET_OF_THE_LAUNCHER";

#[test]
fn xj17_a_job_cannot_command_its_launcher() {
    for mechanism in ["cgroup2", "pid-namespace", "subreaper"] {
        let launcher = Launcher::start_with(&["--mechanism", mechanism]);
        let mut client = launcher.connect();
        let program = env::current_exe().expect("this test");
        let program = program.to_str().expect("text");
        for script in [
            "exec \"$0\" \"$@\"",
            "(setsid \"$0\" \"$@\"; echo $? > code) & wait; read code < code; exit $code",
        ] {
            let mut launch = launcher.sh(script);
            let test = ["strangers::play_a_stranger", "--exact", "--nocapture"];
            launch.argv.push(program.to_owned());
            launch.argv.extend(test.map(str::to_owned));
            let socket = launcher.home().join(SOCKET);
            let socket = socket.to_str().expect("text").to_owned();
            launch.env.insert(SOCKET_OF.to_owned(), socket);
            let end = client.run(&launch);
            let output = launcher.output(launch.attempt).all;
            let output = String::from_utf8_lossy(&output);
            assert_eq!(end.exit, Exit::Exited(0), "{output}");
            assert!(output.contains("refused"), "{output}");
        }
        assert_eq!(
            client.run(&launcher.sh("exit 3")).exit,
            Exit::Exited(3),
            "ours is still there"
        );
    }
}

/// No test by itself: what the job of the other one does.
#[test]
fn play_a_stranger() {
    let Some(socket) = env::var_os(SOCKET_OF) else {
        return;
    };
    let mut client = Client::connect(socket.as_ref()).expect("it listens");
    // The connection may be closed before or after this.
    client.say_perhaps(&Request::Hello { version: 1 });
    assert_eq!(client.try_next(), None, "it was heard");
    println!("refused");
}
