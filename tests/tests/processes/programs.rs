//! Programs that are written and run at once.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::site::Site;

#[test]
fn xj23_programs_that_are_written_and_run_at_once_run() {
    let site = Site::new(&["--slots", "12"]);
    // Each job forks while the others hold programs open for writing, and so does the launcher.
    let script = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); cp /bin/true program-$i; ./program-$i || exit 9; done";
    let jobs: Vec<String> = (0..12).map(|_| site.cluster.submit(&[], script)).collect();
    for job in jobs {
        let ended = site.end(&job);
        assert_eq!(ended.kind(), "succeeded", "{} {}", ended.job, ended.output);
    }
}

#[test]
fn p11_xj23_program_that_is_still_being_written_is_waited_for() {
    let site = Site::new(&[]);
    let program = site.cluster.path("program");
    fs::copy("/bin/true", &program).expect("copied");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("ours");
    let writer = OpenOptions::new()
        .append(true)
        .open(&program)
        .expect("ours");
    let path = program.to_str().expect("UTF-8");
    let job = site.cluster.cli(&["submit", "--", path]).ok().text();
    // The worker has it by now, or almost.
    drop(writer);
    let ended = site.end(&job);
    assert_eq!(ended.kind(), "succeeded", "{}", ended.job);
}
