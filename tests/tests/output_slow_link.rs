//! Output over a link that carries a thousandth of what the job prints.

use jobyard_tests::{PATIENCE, Proxy, Site, assert_once, attempts, in_background};
use serde_json::Value;

/// 64 kbit/s.
const BYTES_PER_SECOND: u32 = 8_000;

/// What waits before the link, and what nobody may fill who wants to be heard within a lease of 4 s: it takes 8 s.
const BUFFER: usize = 64 * 1024;

/// What is kept of the output: about twelve seconds of the link, several times as long as the job runs.
const LIMIT: usize = 96 * 1024;

/// Some ten mebibytes per second, for three seconds.
const PRINTS: &str = "for round in 1 2 3 4 5 6; do seq 1 700000; sleep 0.5; done";

fn seconds_between(attempt: &Value, from: &str, to: &str) -> f64 {
    let parse = |key: &str| -> f64 {
        let text = attempt[key].as_str().unwrap_or_else(|| panic!("no {key}"));
        let time = text
            .split('T')
            .nth(1)
            .expect("a time")
            .trim_end_matches('Z');
        let part = |part: &str| part.parse::<f64>().expect("a number");
        time.split(':')
            .map(part)
            .fold(0.0, |sum, part| sum * 60.0 + part)
    };
    (parse(to) - parse(from)).rem_euclid(86_400.0)
}

/// Guards: what is under way is paced by what the master acknowledges (`uploader::pace`), so that no queue stands before the
/// link; the end of an attempt does not wait for its output, nor the end of a job for longer than `log_drain`.
#[test]
fn heartbeats_and_outcomes_pass_output_on_a_link_of_64_kilobits() {
    let site = Site::with(&PATIENCE);
    let proxy = Proxy::narrow(site.cluster.address(), BYTES_PER_SECOND, BUFFER);
    let mut worker = site
        .cluster
        .worker_at(&proxy.address(), "w", &site.token, &["--slots", "1"]);
    let limit = LIMIT.to_string();
    let job = site.cluster.submit(&["--log-limit", &limit], PRINTS);
    let follower = in_background(site.cluster.command(&["logs", "--follow", &job]));

    let shown = site.end(&job);
    assert_once(&shown);
    let attempt = &attempts(&shown)[0];
    assert_eq!(attempt["log"], "uploading", "{shown}");
    let ran = seconds_between(attempt, "started_at", "finished_at");
    let own_speed = 3.0..12.0;
    assert!(own_speed.contains(&ran), "it was held up: {ran} s, {shown}");

    // The only slot is free, and a whole job passes the rest of the output.
    let next = site.cluster.submit(&[], "true");
    assert_once(&site.end(&next));
    assert_eq!(attempts(&site.cluster.show(&job))[0]["log"], "uploading");

    let followed = follower.join().expect("it does not panic").ok();
    let lines: Vec<String> = (1..=700_000).map(|line| format!("{line}\n")).collect();
    let lines = lines.concat();
    assert!(
        followed.stdout == lines.as_bytes()[..LIMIT],
        "{} bytes",
        followed.stdout.len()
    );
    let marker = &followed.stderr;
    assert!(
        marker.contains(&format!("truncated at {LIMIT} bytes")),
        "{marker}"
    );
    let shown = site.wait_for_job(&job, |shown| attempts(shown)[0]["log"] == "complete");
    let attempt = &attempts(&shown)[0];
    assert_eq!(attempt["log_bytes"], LIMIT);
    assert_eq!(attempt["log_truncated_at"], LIMIT, "{shown}");
    assert!(
        attempt["log_dropped"].as_u64() > Some(20_000_000),
        "{shown}"
    );

    let log = worker.log();
    assert_eq!(log.matches("is connected").count(), 1, "{log}");
    assert!(
        !log.contains("is over") && !log.contains("is given up"),
        "{log}"
    );
}
