//! `jobyard submit`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use jobyard_core::Submitted;

use crate::context::Context;
use crate::failure::Failure;
use crate::job_file::{FileJob, Format, MAX_FILE_BYTES, parse};
use crate::job_options::JobOptions;
use crate::submission::submit_all;
use crate::views::SubmittedView;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    jobyard submit --name build --timeout 10m -- make\n  \
    jobyard submit --tag 'cores>=8' --queue nightly --priority -5 --queue-timeout 8h -- make bench\n  \
    jobyard submit -f jobs.toml\n  \
    generate-jobs | jobyard submit -f - --format json\n\n\
    A file holds one job, a list, or `jobs = [...]`, in TOML, YAML or JSON, or one JSON object a line. Its keys: \
    id, name, command or script, env, secret_env, dir, stdin, tags, prefer, worker, queue, priority, group, slots, cpu, memory, \
    resources, queue_timeout, timeout, grace, infra_retries, retries, retry_on, repeatable, on_disconnect, \
    labels, log_limit, merge, executor.")]
pub(crate) struct SubmitArgs {
    /// A file of jobs; - for standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = [
        "id", "name", "tags", "prefer", "worker", "queue", "priority", "group", "queue_timeout", "slots", "cpu",
        "memory", "resources", "env", "secret_env", "dir", "timeout", "grace", "infra_retries", "retries", "retry_on",
        "on_disconnect", "not_repeatable", "label", "log_limit", "merge", "executor", "stdin", "command",
    ])]
    file: Option<PathBuf>,

    /// How the file is written [default: by its extension or its first line]
    #[arg(long, requires = "file")]
    format: Option<Format>,

    /// Send nothing: check the jobs, give them ids, and print them as JSON lines that `submit -f` takes
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    job: JobOptions,
}

/// Submits jobs and prints their ids.
pub(crate) async fn submit(context: &mut Context, args: SubmitArgs) -> Result<u8, Failure> {
    let from_file = args.file.is_some();
    let jobs = match &args.file {
        Some(path) => read_file(path, args.format)?,
        None => vec![args.job.job()?],
    };
    if args.dry_run {
        for job in &jobs {
            context.console.json(&job.draft).await?;
        }
        return Ok(0);
    }
    let jobs = jobs.into_iter().map(|job| job.job).collect();
    let mut views = Vec::new();
    submit_all(context, jobs, async |context, submitted| {
        if context.json {
            views.extend(submitted.iter().copied().map(SubmittedView::from));
            return Ok(());
        }
        Ok(context.console.out(ids(submitted).as_bytes()).await?)
    })
    .await?;
    match views.as_slice() {
        [] => {}
        [one] if !from_file => context.console.json(one).await?,
        all => context.console.json(&all).await?,
    }
    Ok(0)
}

fn ids(submitted: &[Submitted]) -> String {
    let mut lines = String::new();
    for job in submitted {
        lines.push_str(&job.id.to_string());
        lines.push('\n');
    }
    lines
}

fn read_file(path: &Path, format: Option<Format>) -> Result<Vec<FileJob>, Failure> {
    let stdin = path == Path::new("-");
    let limit = MAX_FILE_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = if stdin {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let name = if stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    read.map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(
            Failure::usage(format!("{name} is larger than {MAX_FILE_BYTES} bytes"))
                .with_hint("submit it in parts"),
        );
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{name} is not text (UTF-8)")))?;
    let path = (!stdin).then_some(path);
    parse(path, format, &text).map_err(|error| Failure::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::scripted;

    fn args(file: &Path) -> SubmitArgs {
        SubmitArgs {
            file: Some(file.to_owned()),
            format: None,
            dry_run: false,
            job: JobOptions::default(),
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_of_a_file_with_one_mistake() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("jobs.jsonl");
        std::fs::write(&file, "{\"command\":[\"a\"]}\n{\"command\":[]}\n").expect("written");
        let (mut context, control, out, _) = scripted();
        let error = submit(&mut context, args(&file))
            .await
            .expect_err("a mistake");
        assert_eq!(error.code(), "usage");
        assert!(error.to_string().contains("jobs.jsonl, line 2"), "{error}");
        assert!(control.submitted().is_empty());
        assert_eq!(out.text(), "");
    }

    #[tokio::test]
    async fn ids_are_printed_one_a_line_and_a_dry_run_can_be_submitted() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("jobs.yaml");
        std::fs::write(&file, "- command: [a]\n- command: [b]\n").expect("written");
        let (mut context, control, out, _) = scripted();
        let mut dry = args(&file);
        dry.dry_run = true;
        assert_eq!(submit(&mut context, dry).await, Ok(0));
        assert!(control.submitted().is_empty());

        let fixed = dir.path().join("fixed");
        std::fs::write(&fixed, out.bytes()).expect("written");
        for _ in 0..2 {
            let (mut context, again, out, _) = scripted();
            assert_eq!(submit(&mut context, args(&fixed)).await, Ok(0));
            let ids: Vec<_> = again
                .submitted()
                .concat()
                .iter()
                .map(|job| job.id.to_string())
                .collect();
            assert_eq!(out.text().lines().collect::<Vec<_>>(), ids);
            assert_eq!(ids.len(), 2);
        }
    }
}
