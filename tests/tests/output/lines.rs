//! The last lines of a log.

use jobyard_tests::{Site, assert_once};

#[test]
fn o3_the_last_lines_or_bytes_of_a_log_and_of_a_stream() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let script =
        "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo out $i; done; echo err >&2; printf last";
    let job = site.cluster.submit(&[], script);
    assert_once(&site.end(&job));
    let logs = |options: &[&str]| {
        let arguments = [&["logs"], options, &[job.as_str()]].concat();
        site.cluster.cli(&arguments).ok()
    };
    // Across the two streams, the order is the one in which they were read.
    assert_eq!(
        logs(&["--tail", "3", "--stream", "stdout"]).text(),
        "out 999\nout 1000\nlast"
    );
    let err = logs(&["--tail", "5", "--stream", "stderr"]);
    assert_eq!((err.text().as_str(), err.stderr.as_str()), ("", "err\n"));
    assert_eq!(logs(&["--tail", "0"]).text(), "");
    let all = logs(&["--merge"]).stdout;
    let last = &all[all.len() - 9..];
    assert_eq!(logs(&["--merge", "--tail-bytes", "9"]).stdout, last);
    assert_eq!(logs(&["--merge", "--tail", "100000"]).stdout, all);
    assert_eq!(logs(&["--merge", "--from", "7"]).stdout, all[7..]);
    let beyond = (all.len() + 1).to_string();
    let none = logs(&["--from", &beyond]);
    assert_eq!(none.text(), "");
    assert!(none.stderr.contains("none from byte"), "{}", none.stderr);

    let silent = site.cluster.submit(&[], "true");
    assert_once(&site.end(&silent));
    let none = site
        .cluster
        .cli(&["logs", "--follow", "--tail", "10", &silent])
        .ok();
    assert_eq!((none.text().as_str(), none.stderr.as_str()), ("", ""));
    let missing = site.cluster.cli(&["logs", "--attempt", "7", &silent]);
    assert_eq!(missing.code, Some(125), "{}", missing.stderr);
}
