//! What comes out, whatever comes in and however it is cut.

use bytes::BytesMut;
use jobyard_core::{MASK, SecretText};
use proptest::prelude::*;

use super::forms::Forms;
use super::*;

mod wrapped;

fn masks(secrets: &[&str]) -> Masks {
    let secrets: Vec<SecretText> = secrets.iter().map(|text| SecretText::new(*text)).collect();
    Masks::new(&secrets)
}

/// The pieces, masked one after the other.
fn masked<'a>(masks: &Masks, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut stream, mut out) = (StreamMasker::new(masks), BytesMut::new());
    for piece in pieces {
        stream.push(piece, &mut out);
    }
    stream.finish(&mut out);
    out.to_vec()
}

fn text(masks: &Masks, text: &str) -> String {
    let out = masked(masks, [text.as_bytes()]);
    String::from_utf8(out).expect("still text")
}

#[test]
fn every_form_of_a_secret_is_masked_xl3() {
    let masks = masks(&["s3cr\"t/ v\u{e9}lue+"]);
    for shown in [
        "s3cr\"t/ v\u{e9}lue+",
        r#"s3cr\"t/ vélue+"#,
        r#"s3cr\"t\/ v\u00e9lue+"#,
        "s3cr%22t%2F%20v%C3%A9lue%2B",
        "s3cr%22t%2f+v%c3%a9lue%2b",
        "czNjciJ0LyB2w6lsdWUr",
        "czNjciJ0LyB2w6lsdWUrCg==",
    ] {
        assert_eq!(text(&masks, &format!("<{shown}>")), "<***>", "{shown}");
    }
}

#[test]
fn a_secret_is_masked_wherever_the_output_is_cut_xl3() {
    let masks = masks(&["hunter2", "correct horse\nbattery staple\n"]);
    let output =
        "a hunter2, aHVudGVyMg==, correct horse\r\nbattery staple\r\nhunter3 correct horse.";
    let expected = "a ***, ***, ***hunter3 ***.";
    for first in 0..output.len() {
        for second in first..output.len() {
            let bytes = output.as_bytes();
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(
                String::from_utf8_lossy(&masked(&masks, pieces)),
                expected,
                "cut at {first} and {second}"
            );
        }
    }
}

#[test]
fn lines_of_a_secret_are_masked_one_by_one_xl3() {
    let masks = masks(&["-----BEGIN-----\nQUJDREVGRw\nab\n-----END-----\n"]);
    assert_eq!(text(&masks, "1: QUJDREVGRw\n2: ab\n"), "1: ***\n2: ab\n");
    assert_eq!(
        text(&masks, "-----BEGIN-----\r\nQUJDREVGRw\r\n"),
        "***\r\n***\r\n"
    );
}

#[test]
fn nothing_of_secrets_that_overlap_is_seen() {
    let masks = masks(&["abcdefgh", "efghijkl", "cde"]);
    assert_eq!(text(&masks, "-abcdefghijkl-"), "-***-");
    assert_eq!(text(&masks, "-abcdefg-"), "-ab***fg-");
    assert_eq!(text(&masks, "-abcdefghabcdefgh-"), "-***-", "they touch");
    assert_eq!(text(&masks, "cdecde cde"), "*** ***");
}

#[test]
fn a_beginning_is_held_back_until_it_is_certain() {
    let masks = masks(&["hunter2"]);
    let (mut stream, mut out) = (StreamMasker::new(&masks), BytesMut::new());
    stream.push(b"password: hunter", &mut out);
    assert_eq!(out.split(), "password: ");
    stream.push(b"s", &mut out);
    assert_eq!(out.split(), "hunters");
    stream.push(b"hun", &mut out);
    assert_eq!(out.split(), "");
    stream.finish(&mut out);
    assert_eq!(out.split(), "hun");
    stream.push(b"ter2", &mut out);
    assert_eq!(out, "ter2", "nothing is left of what was finished");
}

#[test]
fn a_long_secret_is_covered_and_little_of_it_is_held_back() {
    let secret: String = (0..3_000_u32)
        .map(|number| char::from(b'!' + u8::try_from(number * number % 89).expect("small")))
        .filter(|character| *character != '*')
        .collect();
    let masks = masks(&[&secret]);
    let (mut stream, mut out) = (StreamMasker::new(&masks), BytesMut::new());
    stream.push(b"x ", &mut out);
    for byte in secret.bytes() {
        stream.push(&[byte], &mut out);
        assert!(stream.held_bytes() < PIECE_BYTES);
    }
    stream.push(b" y", &mut out);
    stream.finish(&mut out);
    assert_eq!(out, "x *** y");
}

#[test]
fn wrapped_base64_is_masked() {
    let secret = "0123456789".repeat(12);
    let masks = masks(&[&secret]);
    let line = format!("{secret}\n");
    let encoded = base64(line.as_bytes());
    for width in [64, 76] {
        let lines: Vec<&str> = (0..encoded.len())
            .step_by(width)
            .map(|start| &encoded[start..encoded.len().min(start + width)])
            .collect();
        assert_eq!(text(&masks, &lines.join("\n")), "***", "width {width}");
        assert_eq!(text(&masks, lines[0]), "***", "width {width}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = bytes.chunks(3).flat_map(|group| {
        let word = group
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        let letter = move |index: usize| char::from(LETTERS[word >> (18 - 6 * index) & 63]);
        let length = group.len();
        (0..4).map(move |index| if index <= length { letter(index) } else { '=' })
    });
    letters.collect()
}

#[test]
fn what_is_no_secret_is_not_looked_for() {
    let masks = masks(&["", "x", "***"]);
    assert!(masks.is_empty());
    assert_eq!(text(&masks, "x***x"), "x***x");
}

/// What has to come out, by looking at every place for every pattern.
fn expected(secrets: &[String], output: &[u8]) -> Vec<u8> {
    let forms = Forms::new(secrets.iter().map(String::as_str));
    let mut is_masked = vec![false; output.len()];
    for start in 0..output.len() {
        for pattern in &forms.patterns {
            if output[start..].starts_with(pattern) {
                is_masked[start..start + pattern.len()].fill(true);
            }
        }
        for pattern in &forms.base64 {
            if let Some(end) = wrapped::end_of(pattern, output, start) {
                is_masked[start..end].fill(true);
            }
        }
    }
    let mut expected = Vec::new();
    for (index, byte) in output.iter().enumerate() {
        if !is_masked[index] {
            expected.push(*byte);
        } else if index == 0 || !is_masked[index - 1] {
            expected.extend(MASK.as_bytes());
        }
    }
    expected
}

/// Secrets of few letters, so that they overlap, and output that is made of parts of them.
fn secrets_and_output() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    let secrets = prop::collection::vec("[ab]{2,4}|[a-c%/\"\n \u{e9}]{2,12}|[ab]{5,9}", 1..5);
    secrets.prop_flat_map(|secrets| {
        let secrets: Vec<String> = secrets
            .into_iter()
            .filter(|text| SecretText::new(text).check().is_ok())
            .collect();
        let patterns: Vec<Vec<u8>> = Forms::new(secrets.iter().map(String::as_str))
            .patterns
            .into_iter()
            .chain([b"ab".to_vec()])
            .collect();
        let part = (prop::sample::select(patterns), 0..12_usize, any::<bool>()).prop_map(
            |(pattern, cut, whole)| {
                let end = if whole {
                    pattern.len()
                } else {
                    cut.min(pattern.len())
                };
                pattern[..end].to_vec()
            },
        );
        let any = prop::collection::vec(prop::sample::select(&b"ab%\n\0\xff"[..]), 0..6);
        let output = prop::collection::vec(prop_oneof![3 => part, 2 => any], 0..12);
        (Just(secrets), output.prop_map(|parts| parts.concat()))
    })
}

/// Cut wherever these lengths say.
fn cut<'a>(mut rest: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, after) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #[test]
    fn exactly_the_occurrences_are_masked_however_it_is_cut(
        (secrets, output) in secrets_and_output(),
        lengths in prop::collection::vec(0..9_usize, 0..20),
    ) {
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let masks = masks(&names);
        let out = masked(&masks, cut(&output, &lengths));
        let expected = expected(&secrets, &output);
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
        for pattern in Forms::new(names.iter().copied()).patterns {
            prop_assert!(!out.windows(pattern.len()).any(|window| window == pattern));
        }
    }

    #[test]
    fn output_without_secrets_is_not_changed(
        output in prop::collection::vec(0..0x80_u8, 0..600),
        lengths in prop::collection::vec(0..80_usize, 0..20),
    ) {
        // None of its letters are in the output.
        let output: Vec<u8> = output.iter().map(|byte| byte | 0x80).collect();
        let masks = masks(&["hunter2", "secret\nof several lines"]);
        prop_assert_eq!(masked(&masks, cut(&output, &lengths)), output);
    }
}
