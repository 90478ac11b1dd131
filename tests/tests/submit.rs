//! Jobs with ids that their client has chosen.

use jobyard_tests::Cluster;

const ID: &str = "0199f3a2-5b7e-7c31-9a60-6d1f6a1c9a11";

#[test]
fn a_repeated_submit_gives_the_same_job_and_another_spec_is_refused_and_changes_nothing() {
    let mut cluster = Cluster::start();
    let submit = ["submit", "--id", ID, "--tag", "late", "--", "echo"];
    let with = |word: &'static str| -> Vec<&'static str> {
        submit.iter().copied().chain([word]).collect()
    };
    assert_eq!(cluster.cli(&with("first")).ok().text(), ID);
    assert_eq!(cluster.cli(&with("first")).ok().text(), ID);

    // After a restart the master has to look its jobs up, and must not believe the newcomer.
    cluster.master.kill_9();
    cluster.restart_master();
    let refused = cluster.cli(&with("second"));
    assert_eq!(refused.code, Some(125), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("exists already"),
        "{}",
        refused.stderr
    );

    let token = cluster.token("join.token", &["--tag", "late"]);
    let _worker = cluster.worker("late", &token, &[]);
    assert_eq!(cluster.cli(&["logs", "--follow", ID]).ok().text(), "first");

    // A finished job is recognised as well.
    assert_eq!(cluster.cli(&with("first")).ok().text(), ID);
    assert_eq!(cluster.cli(&with("second")).code, Some(125));
}

#[test]
fn a_file_with_a_mistake_sends_nothing_and_says_where_it_is() {
    let cluster = Cluster::start();
    let file = cluster.path("jobs.json");
    let text = "{\"jobs\": [\n  {\"command\": [\"true\"]},\n  {\"command\": [\"true\"], \"retry_no\": [1]}\n]}\n";
    std::fs::write(&file, text).expect("written");
    let refused = cluster.cli(&["submit", "-f", file.to_str().expect("UTF-8")]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("retry_no") && refused.stderr.contains("line 3"),
        "{}",
        refused.stderr
    );
    assert_eq!(
        cluster
            .cli(&["jobs", "--json"])
            .ok()
            .json()
            .as_array()
            .map(Vec::len),
        Some(0)
    );
}

#[test]
fn a_requirement_that_cannot_be_read_is_refused_at_submit() {
    let cluster = Cluster::start();
    let refused = cluster.cli(&["submit", "--tag", "os=li nux", "--", "true"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("position 6"), "{}", refused.stderr);
}
