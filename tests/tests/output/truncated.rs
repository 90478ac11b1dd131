//! XL7, as its reader sees it: what was cut is said, and changes no exit code.

use jobyard_tests::Site;

#[test]
fn o5_a_log_over_its_limit_is_cut_and_says_so_beside_the_output() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let script = "seq 1 20000; exit 3";
    let ran = site
        .cluster
        .cli(&["run", "--log-limit", "1000", "--", "sh", "-c", script]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert_eq!(ran.stdout.len(), 1_000);
    assert!(
        ran.stderr
            .contains("truncated at 1000 bytes: 107894 bytes were dropped (limit 1000 bytes"),
        "{}",
        ran.stderr
    );
}
