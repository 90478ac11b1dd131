//! XL2: on a terminal, other people's output steers nothing.

use std::process::Command;

use jobyard_tests::{Ran, Site, assert_once};

use crate::reader::file_with;

const EVIL: &[u8] = b"\x1b]0;title\x07\x1b[2Jgood\rbad \xe2\x80\xae\xc2\x9b31m\x9b\xff\n";
const HARMLESS: &str = "\\u{1b}]0;title\\u{7}\\u{1b}[2Jgood\\u{d}bad \\u{202e}\\u{9b}31m\\x9b\\xff";

/// What a command prints to a terminal of its own.
fn on_a_terminal(command: &Command) -> Vec<u8> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words
        .map(|word| format!("'{}'", word.to_str().expect("UTF-8")))
        .collect();
    let mut script = Command::new("script");
    script.args(["-qec", &line.join(" "), "/dev/null"]);
    Ran::of(&mut script).ok().stdout
}

#[test]
fn xl2_terminals_get_escapes_and_pipes_get_bytes() {
    let site = Site::with(&[]);
    let _worker = site.worker("w", &[]);
    let file = file_with(&site.cluster.path("evil"), EVIL);
    // The sequence is also cut in the middle, by two writes with time between them.
    let script = format!("cat {file}; printf '\\033'; sleep 0.1; printf '[31mred\\n'");
    let job = site.cluster.submit(&[], &script);
    assert_once(&site.end(&job));
    let piped = site.cluster.cli(&["logs", &job]).ok();
    assert_eq!(piped.stdout, [EVIL, b"\x1b[31mred\n"].concat());

    for options in [
        &["logs"][..],
        &["logs", "--timestamps"],
        &["logs", "--follow"],
        &["logs", "--json"],
    ] {
        let arguments = [options, &[job.as_str()]].concat();
        let shown = on_a_terminal(&site.cluster.command(&arguments));
        let text = String::from_utf8(shown).expect("UTF-8");
        let steers =
            |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
        assert!(
            !text.contains(steers) && !text.contains('\u{202e}'),
            "{text:?}"
        );
        // The terminal itself makes a carriage return of each line end, and nothing else may.
        assert_eq!(
            text.matches('\r').count(),
            text.matches('\n').count(),
            "{text:?}"
        );
        if options.last() != Some(&"--json") {
            assert!(
                text.contains(HARMLESS) && text.contains("\\u{1b}[31mred"),
                "{text:?}"
            );
        }
    }
    let raw = on_a_terminal(&site.cluster.command(&["logs", "--raw", &job]));
    assert!(raw.starts_with(b"\x1b]0;title\x07\x1b[2J"), "{raw:?}");

    let words = ["run", "--", "sh", "-c", &format!("cat {file}")];
    let run = site.cluster.command(&words);
    let shown = String::from_utf8(on_a_terminal(&run)).expect("UTF-8");
    assert!(shown.contains(HARMLESS), "{shown:?}");
}
