//! Base64 that is broken into lines.

use super::*;

/// Where a pattern ends that begins here, when line ends behind enough letters are left out.
pub(super) fn end_of(pattern: &[u8], output: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for (index, letter) in pattern.iter().enumerate() {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
        let line = output[..at].last_chunk::<MIN_LINE_LETTERS>();
        if index > 0 && line.is_some_and(|line| line.iter().all(is_letter)) {
            let rest = &output[at..];
            let line_end = [&b"\r\n"[..], b"\n"].into_iter();
            at += line_end
                .filter(|end| rest.starts_with(end))
                .map(<[u8]>::len)
                .max()
                .unwrap_or(0);
        }
        if output.get(at) != Some(letter) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

fn broken(letters: &str, width: usize, line_end: &str) -> String {
    let lines: Vec<&str> = (0..letters.len())
        .step_by(width)
        .map(|start| &letters[start..letters.len().min(start + width)])
        .collect();
    lines.join(line_end)
}

/// A secret of so many bytes, all of them different from the next.
fn secret(length: usize) -> String {
    let character =
        |index: usize| char::from(b"!#$%&()+,-./:;<=>?@[]^_{|}0123456789abcdefgh"[index % 44]);
    (0..length).map(|index| character(index * 17 + 5)).collect()
}

fn other(length: usize) -> String {
    "Zyxwv utsrq ponml".chars().cycle().take(length).collect()
}

/// Output of base64, and what has to become of it.
struct Case {
    output: String,
    expected: String,
}

impl Case {
    fn new(before: usize, secret: &str, after: &str, width: usize, line_end: &str) -> Self {
        let letters = base64(format!("{}{secret}{after}", other(before)).as_bytes());
        let first = (before * 8).div_ceil(6);
        let end = (before + secret.len()) * 8 / 6;
        let is_masked = secret.len() >= MIN_PART_BYTES && end - first >= 6;
        // With the letter that the secret has alone at the end.
        let last = if after.is_empty() { letters.len() } else { end } - 1;
        let place = |letter: usize| letter + letter / width * line_end.len();
        let output = broken(&letters, width, line_end);
        let mut expected = output.clone();
        if is_masked {
            expected.replace_range(place(first)..=place(last), MASK);
        }
        Self { output, expected }
    }
}

const WIDTHS: [usize; 3] = [19, 64, 76];

#[test]
fn every_letter_of_a_secret_is_masked_wherever_it_stands_and_lines_end_xl3() {
    for length in 4..=60 {
        let secret = secret(length);
        let masks = masks(&[&secret]);
        for before in 0..=60 {
            for (width, line_end) in WIDTHS.into_iter().zip(["\n", "\r\n"].into_iter().cycle()) {
                for (line_end, after) in [(line_end, ""), ("\n", "~~~~"), ("\r\n", "~~")] {
                    let Case { output, expected } =
                        Case::new(before, &secret, after, width, line_end);
                    assert_eq!(text(&masks, &output), expected, "{before} {length} {width}");
                    let url = |letters: &str| letters.replace('+', "-").replace('/', "_");
                    assert_eq!(text(&masks, &url(&output)), url(&expected));
                }
            }
        }
    }
}

#[test]
fn wrapped_base64_is_masked_wherever_the_output_is_cut_xl3() {
    for length in [5, 20, 33, 47, 60] {
        let secret = secret(length);
        let masks = masks(&[&secret]);
        for before in [0, 14, 16, 29, 56] {
            for (width, line_end) in [(19, "\n"), (19, "\r\n"), (64, "\r\n"), (76, "\n")] {
                let Case { output, expected } = Case::new(before, &secret, "~", width, line_end);
                let bytes = output.as_bytes();
                for first in 0..=bytes.len() {
                    let second = bytes.len().min(first + 1 + first % 3);
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    let out = masked(&masks, pieces);
                    assert_eq!(String::from_utf8_lossy(&out), expected, "cut at {first}");
                }
                let out = masked(&masks, bytes.chunks(1));
                assert_eq!(String::from_utf8_lossy(&out), expected, "byte by byte");
            }
        }
    }
}

#[test]
fn a_token_behind_a_name_is_masked_xl3() {
    // printf 'x-access-token:%s' "$TOKEN" | base64
    let token = secret(44);
    let shown = broken(
        &base64(format!("x-access-token:{token}").as_bytes()),
        76,
        "\n",
    );
    assert_eq!(
        text(&masks(&[&token]), &format!("{shown}\n")),
        "eC1hY2Nlc3MtdG9rZW46***\n"
    );
}

#[test]
fn a_key_within_a_file_is_masked_xl3() {
    let body = broken(&base64(secret(1_200).as_bytes()), 64, "\n");
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let masks = masks(&[&key]);
    for before in 20..90 {
        let file = format!("{}{key}# end", other(before));
        let shown = text(&masks, &broken(&base64(file.as_bytes()), 76, "\n"));
        let (start, end) = shown.split_once(MASK).expect("it is masked");
        let place = before * 8 / 6;
        assert!(start.len() <= place + 1 + place / 76, "{start}");
        assert!(end.len() <= 10, "{end}");
    }
}

#[test]
fn the_end_of_a_line_is_held_back_only_if_it_looks_like_base64() {
    // Which begins with `aHVudGVyMg`.
    let masks = masks(&["hunter2"]);
    let (mut stream, mut out) = (StreamMasker::new(&masks), BytesMut::new());
    stream.push(b"this is a\n", &mut out);
    assert_eq!(out.split(), "this is a\n");
    stream.push(b"0123456789ABCDEFa\n", &mut out);
    assert_eq!(out.split(), "0123456789ABCDEF");
    stream.push(b"HVud", &mut out);
    assert_eq!(out.split(), "");
    stream.push(b"!\r", &mut out);
    assert_eq!(out.split(), "a\nHVud!\r");
    stream.push(b"0123456789ABCDEFaH\r", &mut out);
    assert_eq!(out.split(), "0123456789ABCDEF");
    stream.finish(&mut out);
    assert_eq!(out.split(), "aH\r");
}

#[test]
fn little_of_wrapped_base64_is_held_back() {
    let secret = secret(3_000);
    let masks = masks(&[&secret]);
    let (mut stream, mut out) = (StreamMasker::new(&masks), BytesMut::new());
    for byte in broken(&base64(secret.as_bytes()), MIN_LINE_LETTERS, "\r\n").bytes() {
        stream.push(&[byte], &mut out);
        let line_ends = PIECE_BYTES / MIN_LINE_LETTERS;
        assert!(stream.held_bytes() < PIECE_BYTES + 2 * line_ends);
    }
    stream.finish(&mut out);
    assert_eq!(out, MASK);
}

#[test]
fn lines_of_little_base64_are_no_part_of_it() {
    let masks = masks(&["hunter2"]);
    let all = "0123456789ABCDaHVudGVyMg";
    for width in 1..all.len() {
        let output = broken(all, width, "\n");
        let shown = text(&masks, &output);
        let place = all.len() - 10;
        let crosses =
            (1..=all.len() / width).any(|line| (place + 1..all.len()).contains(&(line * width)));
        if crosses && width < MIN_LINE_LETTERS {
            assert_eq!(shown, output, "width {width}");
        } else {
            assert!(shown.ends_with(MASK), "width {width}: {shown}");
        }
    }
    assert_eq!(
        text(&masks, "0123456789ABCDaHVu\n\ndGVyMg"),
        "0123456789ABCDaHVu\n\ndGVyMg"
    );
}

/// Parts of base64 of the secrets in lines, among letters and other bytes.
fn secrets_and_output() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    let secrets =
        prop::collection::vec("[ab]{5,12}|[a-z]{5,30}|[a~\\n]{12,40}|[a-d]{190,400}", 1..4);
    secrets.prop_flat_map(|secrets| {
        let secrets: Vec<String> = secrets
            .into_iter()
            .filter(|text| SecretText::new(text).check().is_ok())
            .collect();
        let patterns: Vec<Vec<u8>> = Forms::new(secrets.iter().map(String::as_str))
            .base64
            .into_iter()
            .chain([b"YWFhYWFh".to_vec()])
            .collect();
        let letters = prop_oneof![
            3 => (prop::sample::select(patterns), 0..300_usize, any::<bool>()).prop_map(
                |(mut pattern, cut, is_whole)| {
                    pattern.truncate(if is_whole { pattern.len() } else { cut });
                    pattern
                }
            ),
            1 => prop::collection::vec(prop::sample::select(&b"YWJhZ=-"[..]), 0..20),
        ];
        let letters = prop::collection::vec(letters, 0..5).prop_map(|parts| parts.concat());
        let line_end = prop::sample::select(vec!["\n", "\r\n", "\n\n", "\r", " ", ""]);
        let widths = prop::collection::vec((14..24_usize, line_end), 1..12);
        let lines = (letters, widths).prop_map(|(letters, widths)| {
            let (mut rest, mut output) = (&letters[..], Vec::new());
            for (width, line_end) in widths.iter().cycle() {
                let (line, after) = rest.split_at((*width).min(rest.len()));
                output.extend_from_slice(line);
                output.extend_from_slice(line_end.as_bytes());
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            output
        });
        let output = prop::collection::vec(lines, 0..4);
        (Just(secrets), output.prop_map(|parts| parts.concat()))
    })
}

proptest! {
    #[test]
    fn exactly_the_occurrences_across_lines_are_masked_however_it_is_cut(
        (secrets, output) in secrets_and_output(),
        lengths in prop::collection::vec(0..40_usize, 0..30),
    ) {
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let masks = masks(&names);
        let expected = expected(&secrets, &output);
        let expected = String::from_utf8_lossy(&expected);
        let whole = masked(&masks, [&output[..]]);
        prop_assert_eq!(String::from_utf8_lossy(&whole), &*expected);
        let pieces = masked(&masks, cut(&output, &lengths));
        prop_assert_eq!(String::from_utf8_lossy(&pieces), &*expected);
    }
}
