//! O1: the order of what is printed, and its times.

use jobyard_tests::{Site, assert_once};
use serde_json::Value;

/// Each line says its number and its stream, and every third one goes to standard error.
const SCRIPT: &str = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); \
                      if [ $((i % 3)) = 0 ]; then echo \"err $i\" >&2; else echo \"out $i\"; fi; done";

fn numbers(text: &str, of: &str) -> Vec<u32> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(of));
    lines
        .map(|number| number.trim().parse().expect("a number"))
        .collect()
}

#[test]
fn o1_order_is_exact_within_a_stream_and_across_both_with_merge() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], SCRIPT);
    assert_once(&site.end(&job));
    let ran = site.cluster.cli(&["logs", &job]).ok();
    let (out, err) = (ran.text(), ran.stderr);
    let (of_out, of_err): (Vec<u32>, Vec<u32>) = (1..=3000).partition(|number| number % 3 != 0);
    assert_eq!(numbers(&out, "out "), of_out);
    assert_eq!(numbers(&err, "err "), of_err);

    let merged = site.cluster.submit(&["--merge"], SCRIPT);
    assert_once(&site.end(&merged));
    let text = site.cluster.cli(&["logs", &merged]).ok().text();
    let order: Vec<u32> = text
        .lines()
        .map(|line| line[4..].parse().expect("a number"))
        .collect();
    assert_eq!(order, (1..=3000).collect::<Vec<_>>());
}

#[test]
fn o1_times_and_offsets_only_grow() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let job = site.cluster.submit(&[], SCRIPT);
    assert_once(&site.end(&job));
    let text = site.cluster.cli(&["logs", "--json", &job]).ok().text();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut end = 0;
    for stream in ["stdout", "stderr"] {
        let times: Vec<&str> = lines
            .iter()
            .filter(|line| line["stream"] == stream)
            .map(|line| line["time"].as_str().expect("a time"))
            // Zeros at the end are left out, and a digit comes before a letter: as text, the bare numbers are in order.
            .map(|time| time.trim_end_matches('Z'))
            .collect();
        assert!(
            !times.is_empty() && times.is_sorted(),
            "{stream}: {times:?}"
        );
    }
    for line in lines.iter().filter(|line| line["offset"].is_u64()) {
        assert_eq!(line["offset"], end, "no hole, and nothing twice");
        let data = line["data"].as_str().expect("bytes");
        end += data_encoding::BASE64
            .decode(data.as_bytes())
            .expect("base64")
            .len();
    }
    // The last byte comes before the end, and the end has the outcome.
    let last = lines.last().expect("an end");
    assert_eq!(last["outcome"]["kind"], "succeeded", "{last}");
}
