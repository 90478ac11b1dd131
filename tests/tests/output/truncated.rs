//! XL7: what is over the limit is cut, which is said to people and to programs, and changes nothing for the job.

use jobyard_tests::{Site, attempts};

#[test]
fn xl7_a_log_over_its_limit_is_cut_and_says_so_beside_the_output() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let notes = site.notes.path().display();
    let script = format!("seq 1 20000; echo on > {notes}; exit 3");
    let options = ["run", "--log-limit", "1000", "--", "sh", "-c", &script];
    let ran = site.cluster.cli(&options);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(site.notes.next(), "on", "the job went on");
    assert_eq!(ran.stdout.len(), 1_000);
    assert!(
        ran.stderr
            .contains("truncated at 1000 bytes: 107894 bytes were dropped (limit 1000 bytes"),
        "{}",
        ran.stderr
    );
    let jobs = site.cluster.cli(&["jobs", "--json"]).ok().json();
    let job = jobs[0]["job_id"].as_str().expect("an id");
    let shown = site.cluster.show(job);
    let attempt = &attempts(&shown)[0];
    assert_eq!(attempt["log"], "complete", "{shown}");
    assert_eq!(attempt["log_truncated_at"], 1_000, "{shown}");
    assert_eq!(attempt["log_truncated_by"], "limit", "{shown}");
    assert_eq!(attempt["log_dropped"], 107_894, "{shown}");
    let lines = site.cluster.cli(&["logs", "--json", job]).ok().text();
    let end = lines.lines().find(|line| line.contains("attempt_end"));
    let end = end.expect("the end of the attempt");
    assert!(end.contains(r#""log_truncated_by":"limit""#), "{end}");
}
