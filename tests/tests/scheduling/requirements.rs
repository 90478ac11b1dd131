//! What a job asks of its worker: every operator finds the right ones, and a mistake is refused.

use std::collections::BTreeSet;

use jobyard_tests::{Cluster, Ran};
use serde_json::json;

use crate::yard::Yard;

/// Three workers: one with the tags that describe this machine, and two that tell nothing by themselves.
fn three_workers() -> Yard {
    Yard::new(&[
        ("real", &["--slots", "4", "--tag", "colour=red"]),
        (
            "big",
            &[
                "--slots",
                "4",
                "--no-auto-tags",
                "--tag",
                "gpu=A100,Colour=blue,cores=1000,mem=64TiB,zone=a,zone=b",
            ],
        ),
        ("bare", &["--slots", "4", "--no-auto-tags", "--tag", "gpu"]),
    ])
}

/// Checks that jobs with these requirements run on all of these workers, and on no other.
fn run_on(yard: &Yard, tags: &[&str], workers: &[&str]) {
    let ran: BTreeSet<_> = yard.where_four_run(&json!({ "tags": tags }));
    let wanted: BTreeSet<_> = workers.iter().copied().map(str::to_owned).collect();
    assert_eq!(ran, wanted, "{tags:?}");
}

#[test]
fn a_key_is_met_with_any_value_or_none_s1() {
    let yard = three_workers();
    run_on(&yard, &["gpu"], &["big", "bare"]);
    run_on(&yard, &["os"], &["real"]);
}

#[test]
fn a_value_is_met_by_one_of_several_s1() {
    let yard = three_workers();
    run_on(&yard, &["gpu=a100"], &["big"]);
    run_on(&yard, &["zone=a"], &["big"]);
    run_on(&yard, &["zone=b"], &["big"]);
    run_on(&yard, &["os=linux"], &["real"]);
}

#[test]
fn one_of_several_alternatives_is_enough_s1() {
    let yard = three_workers();
    run_on(&yard, &["colour=red|blue"], &["real", "big"]);
    run_on(&yard, &["colour=green|blue"], &["big"]);
    run_on(&yard, &["os=darwin|linux"], &["real"]);
}

#[test]
fn a_refused_key_and_a_refused_value_keep_jobs_away_s1() {
    let yard = three_workers();
    run_on(&yard, &["!gpu"], &["real"]);
    run_on(&yard, &["!colour"], &["bare"]);
    run_on(&yard, &["colour!=red"], &["big", "bare"]);
    run_on(&yard, &["colour!=red|blue"], &["bare"]);
}

#[test]
fn numbers_are_compared_with_what_the_machine_has_s1() {
    let yard = three_workers();
    let real = yard.cluster.cli(&["worker", "show", "real", "--json"]);
    let real = real.ok().json();
    let cores = real["cores"].as_u64().expect("a number of cores");
    let memory = real["memory_bytes"].as_u64().expect("an amount of memory");
    let mebibytes = memory / (1 << 20);
    let at_least = format!("cores>={cores}");
    run_on(&yard, &[&at_least], &["real", "big"]);
    run_on(&yard, &[&format!("cores>{cores}")], &["big"]);
    run_on(&yard, &[&format!("cores<={cores}")], &["real"]);
    run_on(&yard, &[&at_least, "cores<1000"], &["real"]);
    run_on(&yard, &["mem<64TiB"], &["real"]);
    run_on(&yard, &["mem<=64TiB"], &["real", "big"]);
    let more = format!("mem>{}MiB", mebibytes - 1);
    run_on(&yard, &[&more], &["real", "big"]);
    let more = format!("mem>={}MiB", mebibytes + 1);
    run_on(&yard, &[&more], &["big"]);
}

#[test]
fn case_does_not_matter_s1() {
    let yard = three_workers();
    run_on(&yard, &["OS=Linux"], &["real"]);
    run_on(&yard, &["GPU=a100"], &["big"]);
    run_on(&yard, &["!Gpu"], &["real"]);
    run_on(&yard, &["COLOUR!=Red|BLUE"], &["bare"]);
    run_on(&yard, &["Mem>=64tib"], &["big"]);
}

#[test]
fn all_requirements_have_to_hold_s1() {
    let yard = three_workers();
    run_on(&yard, &["gpu", "colour"], &["big"]);
    run_on(&yard, &["gpu", "!colour"], &["bare"]);
    run_on(&yard, &["colour", "os"], &["real"]);
}

#[test]
fn a_preference_chooses_among_those_that_will_do_s2() {
    let yard = three_workers();
    let prefers = |tag: &str| {
        let prefer = json!({ "tags": ["gpu"], "prefer": [{ "tag": tag, "weight": 5 }] });
        yard.where_four_run(&prefer)
    };
    assert_eq!(prefers("colour=blue"), BTreeSet::from(["big".to_owned()]));
    assert_eq!(prefers("!colour"), BTreeSet::from(["bare".to_owned()]));
    // What nobody has is no reason to wait.
    assert_eq!(prefers("colour=green").len(), 2);
}

#[test]
fn a_named_worker_is_the_only_one_that_will_do_j3() {
    let yard = three_workers();
    for name in ["real", "big", "bare"] {
        let ran = yard.where_four_run(&json!({ "worker": name }));
        assert_eq!(ran, BTreeSet::from([name.to_owned()]));
    }
}

/// What is written, and the character at which the mistake stands.
const MISTAKES: [(&str, usize); 9] = [
    ("os=li nux", 6),
    ("", 1),
    ("!", 2),
    ("os=linux|", 10),
    ("os=|linux", 4),
    ("!os=linux", 4),
    ("gpu!", 4),
    ("cores>=many", 8),
    ("mem<64parsecs", 5),
];

#[test]
fn a_requirement_that_cannot_be_read_is_one_sentence_with_its_place() {
    let cluster = Cluster::start();
    for (text, position) in MISTAKES {
        for command in ["submit", "run"] {
            let tag = format!("--tag={text}");
            let refused = cluster.cli(&[command, &tag, "--", "true"]);
            assert_refused(&refused, &["'--tag <REQ>'"]);
            assert_eq!(place(&refused), Some(position), "{}", refused.stderr);
        }
        let tag = format!("--tag={text}");
        let refused = cluster.cli(&["submit", "--json", &tag, "--", "true"]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        let said: serde_json::Value = serde_json::from_str(&refused.stderr).expect("JSON");
        assert_eq!(said["code"], "usage", "{said}");
    }
    assert_nothing_was_sent(&cluster);
}

#[test]
fn a_preference_that_cannot_be_read_is_one_sentence_with_its_place() {
    let cluster = Cluster::start();
    for (text, position) in [("ssd", 4), ("o s=1", 2), ("cores>=8", 9), ("ssd=much", 5)] {
        let prefer = format!("--prefer={text}");
        let refused = cluster.cli(&["submit", &prefer, "--", "true"]);
        assert_refused(&refused, &["'--prefer <REQ=WEIGHT>'"]);
        assert_eq!(place(&refused), Some(position), "{}", refused.stderr);
    }
    assert_nothing_was_sent(&cluster);
}

#[test]
fn a_requirement_of_a_file_is_refused_with_its_job_and_line_and_the_good_jobs_are_not_sent() {
    let cluster = Cluster::start();
    let toml = "[[jobs]]\ncommand = [\"true\"]\n[[jobs]]\ncommand = [\"true\"]\ntags = [\"os\", \"os=li nux\"]\n";
    let yaml = "- command: [\"true\"]\n- command: [\"true\"]\n  tags: [\"os\", \"os=li nux\"]\n";
    let json = "[{\"command\": [\"true\"]},\n{\"command\": [\"true\"], \"tags\": [\"os\", \"os=li nux\"]}]\n";
    for (name, line, text) in [
        ("a.toml", 5, toml),
        ("a.yaml", 3, yaml),
        ("a.json", 2, json),
    ] {
        let file = cluster.path(name);
        std::fs::write(&file, text).expect("written");
        let refused = cluster.cli(&["submit", "-f", file.to_str().expect("UTF-8")]);
        let line = format!("{name}, line {line}, ");
        assert_refused(&refused, &[&line, "job 2: ", "tags[1]"]);
        assert_eq!(place(&refused), Some(6), "{}", refused.stderr);
    }
    assert_nothing_was_sent(&cluster);
}

/// One sentence for people, and the exit code of a wrong call.
fn assert_refused(refused: &Ran, words: &[&str]) {
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    for word in words {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
}

/// The character at which the mistake is said to stand.
fn place(refused: &Ran) -> Option<usize> {
    let (_, after) = refused.stderr.split_once("position ")?;
    let end = after.find(|c: char| !c.is_ascii_digit())?;
    after[..end].parse().ok()
}

fn assert_nothing_was_sent(cluster: &Cluster) {
    let jobs = cluster.cli(&["jobs", "--json"]).ok().json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(0), "{jobs}");
}
