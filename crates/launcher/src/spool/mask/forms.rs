//! How programs print what they are given.

use std::collections::BTreeSet;
use std::fmt::Write;

/// The shortest line of a secret that is masked for itself, and the shortest text that is looked for in other forms, in
/// bytes. What is shorter is found everywhere: a brace, or four letters of base64.
pub const MIN_PART_BYTES: usize = 5;

/// The longest pattern, in bytes. A longer text is found by its pieces, each of which begins with the last byte of the one
/// before: so no line end between two of them is left over.
pub const PIECE_BYTES: usize = 256;

/// The shortest piece of base64 that is looked for: what [`MIN_PART_BYTES`] make at any position.
const MIN_BASE64_BYTES: usize = 6;

/// The widths at which programs break base64 into lines: MIME, and PEM.
const BASE64_WIDTHS: [usize; 2] = [76, 64];

/// All patterns of some secrets.
#[derive(Default)]
pub(super) struct Forms {
    /// Those that are looked for as they are.
    pub(super) patterns: BTreeSet<Vec<u8>>,
    /// Those of them that are base64, and are looked for with line ends among their letters too.
    pub(super) base64: BTreeSet<Vec<u8>>,
}

impl Forms {
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut texts = BTreeSet::new();
        for secret in secrets {
            add_texts(secret, &mut texts);
        }
        let mut all = Self::default();
        for text in texts {
            if text.len() >= MIN_PART_BYTES {
                for form in base64_forms(&text, &mut all.patterns) {
                    add_pieces(&form, &mut all.base64);
                }
                for form in escaped_forms(&text) {
                    add_pieces(&form, &mut all.patterns);
                }
            }
            add_pieces(text.as_bytes(), &mut all.patterns);
        }
        all.patterns.extend(all.base64.iter().cloned());
        all
    }
}

/// What counts as a secret of its own: the whole, without the white space around it, with either kind of line ends, and
/// each line.
fn add_texts(secret: &str, texts: &mut BTreeSet<String>) {
    let unix = secret.replace("\r\n", "\n");
    let windows = unix.replace('\n', "\r\n");
    for whole in [secret, &unix, &windows] {
        texts.insert(whole.to_owned());
        texts.insert(whole.trim().to_owned());
    }
    let lines = unix.lines().map(str::trim);
    texts.extend(
        lines
            .filter(|line| line.len() >= MIN_PART_BYTES)
            .map(str::to_owned),
    );
}

/// Cut where it is too long. The last two pieces overlap by what the last one would lack.
fn add_pieces(text: &[u8], patterns: &mut BTreeSet<Vec<u8>>) {
    let pieces = text.windows(PIECE_BYTES).step_by(PIECE_BYTES - 1);
    patterns.extend(pieces.map(<[u8]>::to_vec));
    let last = text.len().saturating_sub(PIECE_BYTES);
    if !text.is_empty() {
        patterns.insert(text[last..].to_vec());
    }
}

/// A text in base64. Adds the lines that it has if it stands alone and is broken as usual.
fn base64_forms(text: &str, lines: &mut BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    // As `echo "$SECRET" | base64` has it.
    let line = format!("{text}\n");
    for alphabet in [STANDARD, URL] {
        for bytes in [text.as_bytes(), line.as_bytes()] {
            let alone = add_base64(bytes, alphabet, &mut forms);
            add_lines(&alone, lines);
        }
    }
    forms
}

/// A text with what programs escape in it.
fn escaped_forms(text: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    if text.bytes().all(is_never_escaped) {
        return forms;
    }
    let mut add = |form: String| {
        forms.insert(form.into_bytes());
    };
    let has_space = text.contains(' ');
    for kept in KEPT_IN_URLS {
        for upper in [true, false] {
            add(percent(text, kept, upper, false));
            if has_space {
                add(percent(text, kept, upper, true));
            }
        }
    }
    for json in JSON {
        add(json.escape(text));
    }
    for quote in [r"'\''", r#"'"'"'"#] {
        add(text.replace('\'', quote));
    }
    let xml = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    for apostrophe in ["&#39;", "&#x27;", "&apos;"] {
        add(xml.replace('"', "&quot;").replace('\'', apostrophe));
    }
    add(xml);
    forms
}

/// Whether it stands for itself in all forms but base64.
const fn is_never_escaped(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// RFC 4648, section 5.
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// How many bits of a text belong to a letter that its neighbour has a part in, when this many bytes stand before it in a
/// group of three.
const SHARED_BITS: [usize; 3] = [0, 4, 2];

/// The letters that depend on these bytes alone, wherever they stand; and with the letter that ends them where nothing
/// follows, with padding and without. Says what they are where nothing else stands before or behind them.
fn add_base64(bytes: &[u8], alphabet: &[u8; 64], forms: &mut BTreeSet<Vec<u8>>) -> Vec<u8> {
    let mut alone = Vec::new();
    for (before, shared) in SHARED_BITS.into_iter().enumerate() {
        let (mut letters, rest) = letters(bytes, shared, alphabet);
        if letters.len() < MIN_BASE64_BYTES {
            continue;
        }
        forms.insert(letters.clone());
        if let Some(rest) = rest {
            letters.push(rest);
            forms.insert(letters.clone());
            letters.resize(letters.len() + 3 - (before + bytes.len()) % 3, b'=');
            forms.insert(letters.clone());
        }
        if before == 0 {
            alone = letters;
        }
    }
    alone
}

/// Each line for itself: where they are indented, or one of them is cut out.
fn add_lines(letters: &[u8], lines: &mut BTreeSet<Vec<u8>>) {
    for width in BASE64_WIDTHS {
        if letters.len() > width {
            let long = letters.chunks(width);
            let long = long.filter(|line| line.len() >= MIN_BASE64_BYTES);
            lines.extend(long.map(<[u8]>::to_vec));
        }
    }
}

/// The letters of what comes after so many bits, and the one that ends with bits that are not there.
fn letters(bytes: &[u8], skipped_bits: usize, alphabet: &[u8; 64]) -> (Vec<u8>, Option<u8>) {
    let bits = bytes.len() * 8;
    let letter = |start: usize| {
        let pair = u16::from(bytes[start / 8]) << 8
            | bytes.get(start / 8 + 1).copied().map_or(0, u16::from);
        alphabet[usize::from(pair << (start % 8) >> 10)]
    };
    let starts = (skipped_bits..bits).step_by(6);
    let whole = starts.clone().filter(|start| start + 6 <= bits);
    let rest = starts.clone().find(|start| start + 6 > bits);
    (whole.map(letter).collect(), rest.map(letter))
}

/// What is not encoded beside letters and digits.
const KEPT_IN_URLS: [&str; 16] = [
    // RFC 3986: what is never encoded; segments, paths, and queries as well as fragments.
    "-_.~",
    "-_.~!$&'()*+,;=:@",
    "-_.~!$&'()*+,;=:@/",
    "-_.~!$&'()*+,;=:@/?",
    // Python, for paths.
    "-_.~/",
    // ECMAScript: `encodeURIComponent`, which is components of the WHATWG too, and `encodeURI`.
    "-_.!~*'()",
    "-_.!~*'();/?:@&=+$,#",
    // Go: segments, paths, names and passwords.
    "-_.~$&+:=@",
    "-_.~$&+:=@/,;",
    "-_.~$&+,;=",
    // The URLs of the WHATWG: forms; names and passwords; paths, since 2023 without the circumflex; queries.
    "*-._",
    "-_.~!$&'()*+,%",
    "-_.~!$&'()*+,%/:;=@[\\]|",
    "-_.~!$&'()*+,%/:;=@[\\]|^",
    "-_.~!$&()*+,%/:;=@[\\]|^?`{}",
    "-_.~!$&'()*+,%/:;=@[\\]|^?`{}",
];

fn percent(text: &str, kept: &str, upper: bool, plus: bool) -> String {
    let digits: &[u8; 16] = if upper {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let digit = |value: u8| char::from(digits[usize::from(value)]);
    let mut is_kept = [false; 256];
    for byte in kept.bytes() {
        is_kept[usize::from(byte)] = true;
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b' ' if plus => encoded.push('+'),
            _ if byte.is_ascii_alphanumeric() || is_kept[usize::from(byte)] => {
                encoded.push(char::from(byte));
            }
            _ => encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    encoded
}

/// How a program escapes texts for JSON.
#[derive(Clone, Copy)]
struct Json {
    /// Characters that are escaped by number, even if they need not be escaped or there is a shorter way.
    by_number: &'static str,
    /// All but ASCII is escaped by number.
    ascii: bool,
    /// Numbers are in capitals.
    upper: bool,
    /// Slashes are escaped.
    slash: bool,
}

/// What all texts of JSON escape, and nothing else.
const PLAIN_JSON: Json = Json {
    by_number: "",
    ascii: false,
    upper: false,
    slash: false,
};

const JSON: [Json; 9] = [
    // Most, serde and JavaScript among them; and Jackson.
    PLAIN_JSON,
    Json {
        upper: true,
        ..PLAIN_JSON
    },
    // Python; and others in ASCII.
    Json {
        ascii: true,
        ..PLAIN_JSON
    },
    Json {
        ascii: true,
        upper: true,
        ..PLAIN_JSON
    },
    // PHP, and when it is told to keep what is not ASCII.
    Json {
        ascii: true,
        slash: true,
        ..PLAIN_JSON
    },
    Json {
        slash: true,
        ..PLAIN_JSON
    },
    // Go, for use in HTML.
    Json {
        by_number: "<>&\u{2028}\u{2029}",
        ..PLAIN_JSON
    },
    // Gson.
    Json {
        by_number: "<>&='\u{2028}\u{2029}",
        ..PLAIN_JSON
    },
    // System.Text.Json.
    Json {
        by_number: "\"<>&'+`\u{7f}",
        ascii: true,
        upper: true,
        slash: false,
    },
];

impl Json {
    fn escape(self, text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            let short = match character {
                _ if self.by_number.contains(character) => None,
                '"' | '\\' => Some(character),
                '/' if self.slash => Some('/'),
                '\u{8}' => Some('b'),
                '\u{c}' => Some('f'),
                '\n' => Some('n'),
                '\r' => Some('r'),
                '\t' => Some('t'),
                _ => None,
            };
            if let Some(short) = short {
                escaped.extend(['\\', short]);
            } else if character < ' '
                || self.by_number.contains(character)
                || self.ascii && !character.is_ascii()
            {
                self.escape_by_number(character, &mut escaped);
            } else {
                escaped.push(character);
            }
        }
        escaped
    }

    fn escape_by_number(self, character: char, escaped: &mut String) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing into a text cannot fail.
            let _ = if self.upper {
                write!(escaped, "\\u{unit:04X}")
            } else {
                write!(escaped, "\\u{unit:04x}")
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(bytes: &[u8]) -> String {
        let (mut all, rest) = letters(bytes, 0, STANDARD);
        all.extend(rest);
        while all.len() % 4 > 0 {
            all.push(b'=');
        }
        String::from_utf8(all).expect("ASCII")
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648, section 10.
        for (text, encoded) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn base64_is_found_wherever_the_secret_stands() {
        let secret = "hunter2?>";
        let mut forms = BTreeSet::new();
        add_base64(secret.as_bytes(), STANDARD, &mut forms);
        for before in ["", "a", "ab", "abc", "abcd"] {
            for after in ["", "\n", "xy", "xyz"] {
                let text = base64(format!("{before}{secret}{after}").as_bytes());
                let found = forms
                    .iter()
                    .map(|form| std::str::from_utf8(form).expect("ASCII"))
                    .filter(|form| text.contains(form))
                    .map(str::len)
                    .max()
                    .expect("it is found");
                assert!(found * 6 + 8 > secret.len() * 8, "{text}: {found}");
            }
        }
    }

    #[test]
    fn other_forms_are_those_of_the_programs() {
        let forms = escaped_forms("a b/\"é'\\\n~\u{1f600}<");
        for expected in [
            "a%20b%2F%22%C3%A9%27%5C%0A~%F0%9F%98%80%3C",
            "a%20b%2f%22%c3%a9%27%5c%0a~%f0%9f%98%80%3c",
            "a+b%2F%22%C3%A9%27%5C%0A%7E%F0%9F%98%80%3C",
            "a%20b/%22%C3%A9'%5C%0A~%F0%9F%98%80%3C",
            r#"a b/\"é'\\\n~😀<"#,
            r#"a b/\"\u00e9'\\\n~\ud83d\ude00<"#,
            r#"a b/\"\u00E9'\\\n~\uD83D\uDE00<"#,
            r#"a b\/\"\u00e9'\\\n~\ud83d\ude00<"#,
            r#"a b/\"é'\\\n~😀\u003c"#,
            "a b/\"é'\\''\\\n~😀<",
            "a b/&quot;é&#39;\\\n~😀&lt;",
        ] {
            assert!(forms.contains(expected.as_bytes()), "{expected}");
        }
    }

    #[test]
    fn urls_and_json_of_languages_and_libraries_are_looked_for() {
        let key = "Eby8vdM02xNO/K1SZFCDIRqu+GtKdA==";
        let name = "p:a@s;s,w/o?r[d]^|%'!~";
        let text = "\"<a>&'+`=\u{e9}\u{2028}\u{7f}\u{1f}/";
        for (secret, expected) in [
            // url.PathEscape of Go, and segments of RFC 3986.
            (key, "Eby8vdM02xNO%2FK1SZFCDIRqu+GtKdA=="),
            // `new URL(..).password` of Node.js.
            (key, "Eby8vdM02xNO%2FK1SZFCDIRqu+GtKdA%3D%3D"),
            (key, r"Eby8vdM02xNO/K1SZFCDIRqu+GtKdA\u003d\u003d"),
            (key, r"Eby8vdM02xNO/K1SZFCDIRqu\u002BGtKdA=="),
            (name, "p:a@s%3Bs%2Cw%2Fo%3Fr%5Bd%5D%5E%7C%25%27%21~"),
            (name, "p:a@s;s,w/o%3Fr%5Bd%5D%5E%7C%25%27%21~"),
            (name, "p%3Aa%40s;s,w%2Fo%3Fr%5Bd%5D%5E%7C%25%27%21~"),
            (name, "p:a@s;s,w%2Fo%3Fr%5Bd%5D%5E%7C%25'!~"),
            (name, "p:a@s;s,w/o?r%5Bd%5D%5E%7C%25'!~"),
            (name, "p%3Aa%40s%3Bs,w%2Fo%3Fr%5Bd%5D%5E%7C%'!~"),
            (name, "p:a@s;s,w/o%3Fr[d]^|%'!~"),
            (name, "p:a@s;s,w/o%3Fr[d]%5E|%'!~"),
            (name, "p:a@s;s,w/o?r[d]^|%%27!~"),
            // Go, Gson and System.Text.Json.
            (
                text,
                "\\\"\\u003ca\\u003e\\u0026'+`=\u{e9}\\u2028\u{7f}\\u001f/",
            ),
            (
                text,
                "\\\"\\u003ca\\u003e\\u0026\\u0027+`\\u003d\u{e9}\\u2028\u{7f}\\u001f/",
            ),
            (
                text,
                r"\u0022\u003Ca\u003E\u0026\u0027\u002B\u0060=\u00E9\u2028\u007F\u001F/",
            ),
        ] {
            let forms = escaped_forms(secret);
            assert!(forms.contains(expected.as_bytes()), "{expected}");
        }
    }

    #[test]
    fn short_lines_and_short_texts_have_no_patterns_of_their_own() {
        let patterns = Forms::new(["{\nkey: \"value\"\n}\n"].into_iter()).patterns;
        assert!(patterns.contains(&b"key: \"value\""[..]));
        assert!(!patterns.contains(&b"{"[..]) && !patterns.contains(&b"}"[..]));
        assert_eq!(Forms::new(["1 3"].into_iter()).patterns.len(), 1);
    }

    #[test]
    fn no_pattern_is_longer_than_a_piece() {
        let secret: String = (0..2_000_u32)
            .map(|number| char::from(b'!' + u8::try_from(number * number % 90).expect("small")))
            .collect();
        let patterns = Forms::new([secret.as_str()].into_iter()).patterns;
        assert!(patterns.iter().all(|pattern| pattern.len() <= PIECE_BYTES));
        assert!(patterns.contains(&secret.as_bytes()[..PIECE_BYTES]));
        assert!(patterns.contains(&secret.as_bytes()[2_000 - PIECE_BYTES..]));
    }
}
