//! `jobyard simulate`

use std::path::PathBuf;

use clap::Args;

use crate::console::Console;
use crate::failure::Failure;
use crate::simulate::{Plan, SimulationView, text};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    jobyard simulate examples/loads/two_teams.toml\n  \
    jobyard jobs --limit 100000 --json > jobs.json      then `jobs_from = \"jobs.json\"` in the file\n\n\
    The file is TOML, YAML or JSON. Its keys, of which all but `workers` may be missing:\n  \
    policy     placement (spread, pack, warm), patience, reserve_after, ageing (a duration, or \"never\")\n  \
    workers    list: name, count, tags, exclusive_tags, slots, cpu, memory, resources, holds, joins_at, leaves_at\n  \
    queues     list: name, weight, class, max_running\n  \
    jobs       list: at, duration, count, every, expected, tags, prefer, worker, queue, priority, group, slots, cpu, \
    memory, resources, warm\n  \
    jobs_from  a recorded load, as `jobyard jobs --json` prints it; a relative path begins at the file\n\
    An entry with a count stands for so many workers that are alike, or for a series of jobs, one after each `every`. \
    Times count from the beginning. A recorded job takes as long as its last attempt did; one that never ran is left \
    out.\n\n\
    Keys with --json: jobs, finished, skipped, makespan_ms, jobs_per_hour, peak_queued; queues: queue, jobs, started, \
    never_started (null, or jobs, example, explanation), wait_ms (mean, p50, p90, p99, max), share; workers: worker, \
    jobs, present_ms, used (of each resource, from 0 to 1).")]
pub(crate) struct SimulateArgs {
    /// The fleet and its load
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Prints how a load would go.
pub(crate) async fn simulate(
    mut console: Console,
    json: bool,
    args: SimulateArgs,
) -> Result<u8, Failure> {
    let plan = Plan::read(&args.file)?;
    let report = plan.run()?;
    if json {
        console.json(&SimulationView::new(&plan, &report)).await?;
        return Ok(0);
    }
    console.line(&text(&plan, &report)).await?;
    if let Some(recording) = plan.recording.as_ref().filter(|_| plan.skipped > 0) {
        let note = format!(
            "jobs of {} that were left out, because they never ran or still do: {}",
            recording.display(),
            plan.skipped
        );
        console.note(&note).await;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::captured;
    use std::path::Path;

    /// What is printed, and what is noted beside it; or the refusal.
    async fn simulated(file: &Path, json: bool) -> Result<(String, String), String> {
        let (console, out, err) = captured();
        let args = SimulateArgs {
            file: file.to_owned(),
        };
        match simulate(console, json, args).await {
            Ok(0) => Ok((out.text(), err.text())),
            other => Err(other.expect_err("an exit code").to_string()),
        }
    }

    async fn refusal(name: &str, text: &str) -> String {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(name);
        std::fs::write(&file, text).expect("written");
        simulated(&file, false).await.expect_err(text)
    }

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/loads/two_teams.toml")
    }

    #[tokio::test]
    async fn the_example_has_a_report_for_people() {
        let (out, err) = simulated(&example(), false).await.expect("a report");
        insta::assert_snapshot!(out);
        assert_eq!(err, "");
    }

    #[tokio::test]
    async fn the_example_has_the_keys_that_programs_rely_on() {
        let (out, _) = simulated(&example(), true).await.expect("a report");
        let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        insta::assert_json_snapshot!(report);
    }

    #[tokio::test]
    async fn a_recorded_load_runs_on_another_fleet() {
        let dir = tempfile::tempdir().expect("a directory");
        let job = |number: u32, ran: bool| {
            let end = if ran {
                "\"2027-01-15T08:01:01Z\""
            } else {
                "null"
            };
            format!(
                r#"{{"job_id":"0190a0b0-0000-7000-8000-00000000000{number}","submitted_at":"2027-01-15T08:00:00Z",
                "queue":"team","tags":["os=linux"],"slots":1,"sequence":{number},
                "attempts":[{{"number":1,"started_at":"2027-01-15T08:00:01Z","finished_at":{end}}}]}}"#
            )
        };
        let jobs = [job(1, true), job(2, true), job(3, false)];
        let recording = dir.path().join("jobs.json");
        std::fs::write(&recording, format!("[{}]", jobs.join(","))).expect("written");
        let file = dir.path().join("load.yaml");
        let load = "jobs_from: jobs.json\nworkers:\n- {name: forge, tags: [os=linux]}\n";
        std::fs::write(&file, load).expect("written");

        let (out, err) = simulated(&file, false).await.expect("a report");
        assert!(out.contains("makespan       2m00s"), "{out}");
        assert!(
            err.contains("jobs.json that") && err.contains(": 1"),
            "{err}"
        );
        let (out, _) = simulated(&file, true).await.expect("a report");
        let report: serde_json::Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(report["skipped"], 1);
        assert_eq!(report["queues"][0]["wait_ms"]["max"], 60_000);
    }

    #[tokio::test]
    async fn what_never_starts_is_explained() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("load.json");
        let load = r#"{"workers": [{"name": "a", "count": 2, "tags": ["os=linux"]}],
            "jobs": [{"duration": "1m"}, {"at": "1s", "duration": "5s", "count": 3, "tags": ["gpu"]}]}"#;
        std::fs::write(&file, load).expect("written");
        let (out, _) = simulated(&file, false).await.expect("a report");
        insta::assert_snapshot!(out);
    }

    #[tokio::test]
    async fn mistakes_are_refused_by_name() {
        let worker = "[[workers]]\nname = \"a\"\n";
        let job = "[[jobs]]\nduration = \"1s\"\n";
        let wrong = [
            (
                format!("{worker}{job}colour = 1\n"),
                "line 5",
                "`colour` is not known",
            ),
            (
                format!("{worker}slot = 1\n{job}"),
                "line 3",
                "`slot` is not known",
            ),
            (
                format!("[policy]\nplace = 1\n{worker}{job}"),
                "line 2",
                "`place` is not known",
            ),
            (
                format!("[[queues]]\nname = \"q\"\ncap = 1\n{worker}{job}"),
                "line 3",
                "`cap` is not known",
            ),
            (
                format!("loads = 1\n{worker}{job}"),
                "line 1",
                "`loads` is not known",
            ),
            (format!("{worker}{job}slots = 0\n"), "job 1", "slots: 0"),
            (format!("{worker}{job}at = \"10\"\n"), "line 5", "units"),
            (
                format!("{worker}{job}tags = [\"os=li nux\"]\n"),
                "line 5",
                "position 6",
            ),
            (format!("{worker}{job}count = 0\n"), "job 1", "count: 0"),
            (
                format!("{worker}{job}count = 9\nevery = \"100d\"\n"),
                "job 1",
                "later than a year",
            ),
            (
                format!("{worker}count = 100001\n{job}"),
                "worker \"a\"",
                "count",
            ),
            (
                format!("{worker}{worker}{job}"),
                "load.toml",
                "two workers have the name \"a\"",
            ),
            (
                format!("{worker}leaves_at = \"1s\"\njoins_at = \"2s\"\n{job}"),
                "worker \"a\"",
                "before it joins",
            ),
            (
                format!("[[queues]]\nname = \"q\"\nweight = 0\n{worker}{job}"),
                "queue \"q\"",
                "weight",
            ),
            (
                format!("[policy]\nplacement = \"best\"\n{worker}{job}"),
                "line 2",
                "best",
            ),
            (
                format!("[policy]\npatience = \"1s\"\n{worker}{job}"),
                "load.toml",
                "warm",
            ),
            (
                format!("[policy]\nageing = \"often\"\n{worker}{job}"),
                "line 2",
                "never",
            ),
            (job.to_owned(), "load.toml", "no worker"),
            (worker.to_owned(), "load.toml", "no job"),
            (
                format!("jobs_from = \"none.json\"\n{worker}"),
                "cannot read",
                "none.json",
            ),
        ];
        for (text, place, what) in wrong {
            let error = refusal("load.toml", &text).await;
            assert!(
                error.contains(place) && error.contains(what),
                "{text}{error}"
            );
        }
    }

    #[tokio::test]
    async fn every_form_is_refused_with_its_place() {
        assert!(
            refusal("load.yaml", "workers: [a\n")
                .await
                .contains("load.yaml, line")
        );
        assert!(
            refusal("load.json", "{\"jobs\": 7}")
                .await
                .contains("line 1")
        );
    }
}
