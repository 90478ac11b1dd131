//! Output of jobs on the way to the reader.

use std::io;

use data_encoding::BASE64;
use jobyard_core::{
    AttemptId, LogChunk, LogCut, LogRemoval, LogState, LogStatus, Outcome, OutputStream,
};

use crate::console::Console;
use crate::escape::Escaper;
use crate::views::{LogLine, OutcomeView, time};

/// How output is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct PrintOptions {
    /// One JSON object a line.
    pub(crate) json: bool,
    /// Standard error goes to standard output, too.
    pub(crate) merge: bool,
    /// Escape nothing, even on a terminal.
    pub(crate) raw: bool,
    /// Begin each line with its time.
    pub(crate) timestamps: bool,
    /// Leave the other stream out.
    pub(crate) only: Option<OutputStream>,
}

/// Prints the output of a job: bytes as they came to a pipe or a file, harmless text to a terminal.
pub(crate) struct Printer<'a> {
    console: &'a mut Console,
    options: PrintOptions,
    stdout: Lane,
    stderr: Lane,
}

/// What is kept of one stream between two chunks.
#[derive(Default)]
struct Lane {
    escaper: Escaper,
    within_line: bool,
}

impl<'a> Printer<'a> {
    /// Prints to this console.
    pub(crate) fn new(console: &'a mut Console, options: PrintOptions) -> Self {
        Self {
            console,
            options,
            stdout: Lane::default(),
            stderr: Lane::default(),
        }
    }

    /// A piece of output.
    pub(crate) async fn chunk(&mut self, attempt: AttemptId, chunk: &LogChunk) -> io::Result<()> {
        if self.options.only.is_some_and(|only| only != chunk.stream) {
            return Ok(());
        }
        if self.options.json {
            return self.console.json(&output_line(attempt, chunk)).await;
        }
        let to_stderr = chunk.stream == OutputStream::Stderr && !self.options.merge;
        let (lane, terminal) = if to_stderr {
            (&mut self.stderr, self.console.err_is_terminal)
        } else {
            (&mut self.stdout, self.console.out_is_terminal)
        };
        let escaped;
        let mut bytes: &[u8] = &chunk.bytes;
        if terminal && !self.options.raw {
            escaped = lane.escaper.escape(bytes);
            bytes = escaped.as_bytes();
        }
        let stamped;
        if self.options.timestamps {
            stamped = lane.stamp(bytes, &time(chunk.at));
            bytes = &stamped;
        }
        if to_stderr {
            self.console.err(bytes).await
        } else {
            self.console.out(bytes).await
        }
    }

    /// The output of an attempt is over; says so where something is missing. `limit`: how many bytes of it were to be
    /// kept, if that is known.
    pub(crate) async fn attempt_end(
        &mut self,
        attempt: AttemptId,
        log: &LogStatus,
        limit: Option<u64>,
    ) -> io::Result<()> {
        let number = attempt.number.get();
        if self.options.json {
            let line = LogLine::attempt_end(number, log, limit);
            return self.console.json(&line).await;
        }
        let (left_out, left_err) = (self.stdout.escaper.finish(), self.stderr.escaper.finish());
        self.console.out(left_out.as_bytes()).await?;
        self.console.err(left_err.as_bytes()).await?;
        self.stdout.within_line = false;
        self.stderr.within_line = false;
        if let Some(note) = missing(number, log, limit) {
            self.console.note(&note).await;
        }
        Ok(())
    }

    /// Nothing follows.
    pub(crate) async fn end(&mut self, outcome: Option<&Outcome>) -> io::Result<()> {
        if self.options.json {
            let outcome = outcome.map(OutcomeView::from);
            return self.console.json(&LogLine::End { outcome }).await;
        }
        Ok(())
    }

    /// A remark beside the output.
    pub(crate) async fn note(&mut self, text: &str) {
        self.console.note(text).await;
    }
}

impl Lane {
    /// Puts the time before each line that begins in these bytes.
    fn stamp(&mut self, bytes: &[u8], time: &str) -> Vec<u8> {
        let mut stamped = Vec::with_capacity(bytes.len() + time.len() + 1);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.within_line {
                stamped.extend_from_slice(time.as_bytes());
                stamped.push(b' ');
            }
            stamped.extend_from_slice(line);
            self.within_line = line.last() != Some(&b'\n');
        }
        stamped
    }
}

fn output_line(attempt: AttemptId, chunk: &LogChunk) -> LogLine {
    LogLine::Output {
        attempt: attempt.number.get(),
        offset: chunk.offset,
        stream: match chunk.stream {
            OutputStream::Stdout => "stdout",
            OutputStream::Stderr => "stderr",
        },
        time: time(chunk.at),
        data: BASE64.encode(&chunk.bytes),
        text: std::str::from_utf8(&chunk.bytes).ok().map(str::to_owned),
    }
}

/// What to say about output that is not there.
fn missing(attempt: u32, log: &LogStatus, limit: Option<u64>) -> Option<String> {
    let (end, dropped) = (log.end, log.dropped);
    if let LogState::LostFrom(offset) = log.state {
        return Some(format!(
            "output of attempt {attempt} lost from byte {offset} on: what followed never reached the master"
        ));
    }
    if let LogState::Corrupt(offset) = log.state {
        return Some(format!(
            "output of attempt {attempt} is corrupt: its worker later sent other bytes than before; what came first is \
             kept, up to byte {offset}"
        ));
    }
    if let LogState::Removed { at, why } = log.state {
        let why = match why {
            LogRemoval::Age => "it was older than output is kept (--retain-logs of the master)",
            _ => "newer output needed its room (--log-budget of the master)",
        };
        let at = time(at);
        return Some(format!(
            "output of attempt {attempt} was removed by retention at {at}: {why}"
        ));
    }
    let cut = format!(
        "output of attempt {attempt} truncated at {end} bytes: {dropped} bytes were dropped"
    );
    let Some(limit) = limit else {
        return (dropped > 0).then_some(cut);
    };
    Some(match LogCut::of(end, dropped, limit)? {
        LogCut::Limit => format!("{cut} (limit {limit} bytes, see --log-limit)"),
        _ => format!("{cut} (its worker could not keep them: its disk may be full)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::captured;
    use crate::testing::{attempt, piece};
    use jobyard_core::{LogEnd, LogItem};

    fn chunk(stream: OutputStream, offset: u64, bytes: &[u8]) -> LogChunk {
        match piece(1, offset, stream, bytes) {
            Ok(LogItem::Chunk { chunk, .. }) => chunk,
            other => panic!("no chunk: {other:?}"),
        }
    }

    #[tokio::test]
    async fn piped_bytes_are_exactly_those_of_the_job() {
        let (mut console, out, err) = captured();
        let bytes: Vec<u8> = (0..=255).collect();
        let mut printer = Printer::new(&mut console, PrintOptions::default());
        let piped = chunk(OutputStream::Stdout, 0, &bytes);
        printer.chunk(attempt(1), &piped).await.expect("printed");
        let other = chunk(OutputStream::Stderr, 256, b"\x1b[31m");
        printer.chunk(attempt(1), &other).await.expect("printed");
        assert_eq!(out.bytes(), bytes);
        assert_eq!(err.bytes(), b"\x1b[31m");
    }

    #[tokio::test]
    async fn a_terminal_gets_escapes_unless_raw_xl2() {
        for (raw, shown) in [(false, "\\u{1b}[2Jx\n"), (true, "\x1b[2Jx\n")] {
            let (mut console, out, _) = captured();
            console.out_is_terminal = true;
            let options = PrintOptions {
                raw,
                ..PrintOptions::default()
            };
            let mut printer = Printer::new(&mut console, options);
            let piece = chunk(OutputStream::Stdout, 0, b"\x1b[2Jx\n");
            printer.chunk(attempt(1), &piece).await.expect("printed");
            assert_eq!(out.text(), shown);
        }
    }

    #[tokio::test]
    async fn streams_can_be_merged_chosen_and_stamped() {
        let (mut console, out, err) = captured();
        let options = PrintOptions {
            merge: true,
            timestamps: true,
            ..PrintOptions::default()
        };
        let mut printer = Printer::new(&mut console, options);
        for (offset, bytes) in [(0, b"a\nb"), (3, b"c\nd")] {
            let piece = chunk(OutputStream::Stderr, offset, bytes);
            printer.chunk(attempt(1), &piece).await.expect("printed");
        }
        let stamp = "2027-01-15T08:00:00Z";
        assert_eq!(out.text(), format!("{stamp} a\n{stamp} bc\n{stamp} d"));
        assert_eq!(err.text(), "");

        let (mut console, out, err) = captured();
        let options = PrintOptions {
            only: Some(OutputStream::Stdout),
            ..PrintOptions::default()
        };
        let mut printer = Printer::new(&mut console, options);
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let piece = chunk(stream, 0, b"x");
            printer.chunk(attempt(1), &piece).await.expect("printed");
        }
        assert_eq!((out.text().as_str(), err.text().as_str()), ("x", ""));
    }

    #[tokio::test]
    async fn json_lines_carry_bytes_and_text() {
        let (mut console, out, _) = captured();
        let options = PrintOptions {
            json: true,
            ..PrintOptions::default()
        };
        let mut printer = Printer::new(&mut console, options);
        for bytes in [b"hi\n".as_slice(), b"\xff"] {
            let piece = chunk(OutputStream::Stdout, 0, bytes);
            printer.chunk(attempt(1), &piece).await.expect("printed");
        }
        printer
            .end(Some(&Outcome::Succeeded))
            .await
            .expect("printed");
        insta::assert_snapshot!(out.text());
    }

    #[test]
    fn say_what_is_missing() {
        assert_eq!(missing(1, &LogStatus::open(5), Some(5)), None);
        let end = LogEnd {
            bytes: 5,
            dropped: 9,
        };
        let log = LogStatus::sealed(5, end);
        let cut = missing(1, &log, Some(5)).expect("a note");
        assert!(
            cut.contains("at 5 bytes: 9 bytes") && cut.contains("(limit 5 bytes, see --log-limit)"),
            "{cut}"
        );
        for limit in [None, Some(6)] {
            let short = missing(1, &log, limit).expect("a note");
            assert!(
                short.contains("9 bytes") && !short.contains("limit"),
                "{short}"
            );
            assert_eq!(short.contains("could not keep"), limit.is_some(), "{short}");
        }
        let lost = missing(2, &LogStatus::sealed(3, end), Some(5)).expect("a note");
        assert!(lost.contains("byte 3"), "{lost}");
    }
}
