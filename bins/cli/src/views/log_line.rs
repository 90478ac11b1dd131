//! Output, line by line.

use jobyard_core::{JobId, LogCut, LogState, LogStatus};
use serde::Serialize;

use super::outcome::OutcomeView;

/// One line of `logs --json` and `run --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum LogLine {
    /// `run` alone: the job was accepted.
    Submitted {
        /// Its id.
        job_id: JobId,
    },
    /// A piece of output.
    Output {
        attempt: u32,
        /// Of its first byte, in the one byte sequence of the attempt.
        offset: u64,
        stream: &'static str,
        time: String,
        /// The bytes, as base 64.
        data: String,
        /// The same as text, where the piece is valid UTF-8. A piece may end within a character.
        text: Option<String>,
    },
    /// The output of one attempt is over.
    AttemptEnd {
        attempt: u32,
        log_bytes: u64,
        log: &'static str,
        log_dropped: u64,
        /// By what it was cut: `limit`, or `room` where its worker could not keep more; `null` if it was not, or if the
        /// limit is not known.
        log_truncated_by: Option<LogCut>,
    },
    /// Nothing follows.
    End {
        /// `null` if the job is not finished.
        outcome: Option<OutcomeView>,
    },
}

impl LogLine {
    /// The end of an attempt's output, of which so many bytes were to be kept.
    pub(crate) fn attempt_end(attempt: u32, log: &LogStatus, limit: Option<u64>) -> Self {
        Self::AttemptEnd {
            attempt,
            log_bytes: log.end,
            log: log_state(log.state),
            log_dropped: log.dropped,
            log_truncated_by: limit.and_then(|limit| LogCut::of(log.end, log.dropped, limit)),
        }
    }
}

/// Whether the output has arrived, as one word.
pub(crate) const fn log_state(log: LogState) -> &'static str {
    match log {
        LogState::Uploading => "uploading",
        LogState::Complete => "complete",
        LogState::Corrupt(_) => "corrupt",
        LogState::Removed { .. } => "removed",
        _ => "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::job_id;

    #[test]
    fn log_lines_say_what_they_are() {
        let mut log = LogStatus::open(5);
        log.dropped = 3;
        let lines = [
            LogLine::Submitted { job_id: job_id() },
            LogLine::attempt_end(1, &log, Some(5)),
            LogLine::attempt_end(2, &log, Some(6)),
            LogLine::End { outcome: None },
        ];
        let lines: Vec<_> = lines
            .iter()
            .map(|line| serde_json::to_string(line).expect("JSON"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
