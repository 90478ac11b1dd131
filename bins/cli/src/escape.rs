//! Output of jobs made harmless for terminals.

use std::fmt::Write;

/// Shows bytes that somebody else's program printed without letting them steer the terminal: control characters but
/// line end and tab, invalid UTF-8, and the characters that change the direction of text become visible escapes.
///
/// It keeps up to three bytes of a character that a chunk cuts in two. One value per stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Escaper {
    held: Vec<u8>,
}

impl Escaper {
    /// What to print for these bytes.
    pub(crate) fn escape(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.held);
        let mut shown = String::with_capacity(input.len());
        let mut rest = input.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    self.push_text(&mut shown, text, b"");
                    return shown;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    let good = std::str::from_utf8(good).unwrap_or_default();
                    let Some(length) = error.error_len() else {
                        self.push_text(&mut shown, good, bad);
                        return shown;
                    };
                    push_escaped(&mut shown, good);
                    let (bad, after) = bad.split_at(length);
                    push_bytes(&mut shown, bad);
                    rest = after;
                }
            }
        }
    }

    /// What is left at the end: the beginning of a character that never came.
    pub(crate) fn finish(&mut self) -> String {
        let mut shown = String::new();
        push_bytes(&mut shown, &std::mem::take(&mut self.held));
        shown
    }

    /// Text up to the end of the chunk; a carriage return at the very end waits for a line end, `cut` for the rest of
    /// its character.
    fn push_text(&mut self, shown: &mut String, text: &str, cut: &[u8]) {
        match text.strip_suffix('\r').filter(|_| cut.is_empty()) {
            Some(text) => {
                push_escaped(shown, text);
                self.held.push(b'\r');
            }
            None => push_escaped(shown, text),
        }
        self.held.extend_from_slice(cut);
    }
}

/// Text that came from elsewhere, line by line.
pub(crate) fn escape_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push_escaped(&mut shown, text);
    shown
}

/// Text that came from elsewhere, on one line.
pub(crate) fn escape_line(text: &str) -> String {
    escape_text(text).replace('\n', "\\n")
}

/// JSON that means the same and steers nothing. JSON itself escapes only some of it.
pub(crate) fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        // All of these stand within strings, and have four digits at most.
        if steers(character) {
            let _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

fn push_escaped(shown: &mut String, text: &str) {
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\t' => shown.push(character),
            // The line end of other systems.
            '\r' if characters.peek() == Some(&'\n') => {}
            character if steers(character) => {
                let _ = write!(shown, "{}", character.escape_unicode());
            }
            character => shown.push(character),
        }
    }
}

fn push_bytes(shown: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(shown, "\\x{byte:02x}");
    }
}

/// Control characters, marks that turn the direction of text, and line ends that only some programs see.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&[u8]]) -> String {
        let mut escaper = Escaper::default();
        let mut shown: String = chunks.iter().map(|chunk| escaper.escape(chunk)).collect();
        shown.push_str(&escaper.finish());
        shown
    }

    #[test]
    fn text_stays_as_it_is() {
        assert_eq!(
            all(&["grün\tok\n✓ done\n".as_bytes()]),
            "grün\tok\n✓ done\n"
        );
        assert_eq!(all(&[b"dos\r\n", b"split\r", b"\n"]), "dos\nsplit\n");
    }

    #[test]
    fn escape_what_steers_the_terminal_xl2() {
        assert_eq!(all(&[b"\x1b[2Jx"]), "\\u{1b}[2Jx");
        assert_eq!(all(&[b"\x1b]0;title\x07"]), "\\u{1b}]0;title\\u{7}");
        assert_eq!(all(&[b"good\rbad", b"\r"]), "good\\u{d}bad\\x0d");
        assert_eq!(all(&["a\u{202e}b\u{9b}".as_bytes()]), "a\\u{202e}b\\u{9b}");
        // C1 controls as single bytes are no UTF-8; some terminals obey them all the same.
        assert_eq!(all(&[b"\x9b31m\x90q\x9c"]), "\\x9b31m\\x90q\\x9c");
        // A sequence that chunks cut in pieces is no more obeyed than a whole one.
        assert_eq!(all(&[b"\x1b", b"[", b"2J"]), "\\u{1b}[2J");
        assert_eq!(all(&[b"a\xc2", b"\x9b2J"]), "a\\u{9b}2J");
        assert_eq!(all(&[b"\0\x7f\x08"]), "\\u{0}\\u{7f}\\u{8}");
    }

    #[test]
    fn characters_cut_by_a_chunk_are_put_together() {
        let text = "✓".as_bytes();
        assert_eq!(all(&[&text[..1], &text[1..2], &text[2..]]), "✓");
        assert_eq!(all(&[b"a", &text[..2]]), "a\\xe2\\x9c");
        assert_eq!(all(&[b"a\xff\xfeb"]), "a\\xff\\xfeb");
        assert_eq!(all(&[b"\r", &text[..1], &text[1..]]), "\\u{d}✓");
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(escape_line("a\nb\x1b"), "a\\nb\\u{1b}");
    }
}
