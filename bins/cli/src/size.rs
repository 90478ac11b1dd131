//! Sizes as people write them.

use bytesize::ByteSize;

/// Reads `100`, `64MiB`, `2GiB`, `10MB`: bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| format!("{text:?} is no size: write it as in 500KiB, 64MiB or 2GiB"))?;
    Ok(size.as_u64())
}

/// Bytes for people, with two digits.
pub(crate) fn show_size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_units() {
        let cases = [
            ("0", 0),
            ("100", 100),
            ("64MiB", 64 << 20),
            ("2GiB", 2 << 30),
            ("10MB", 10_000_000),
            ("1.5KiB", 1536),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "10 lightyears"] {
            let error = parse_size(text).expect_err(text);
            assert!(error.contains("no size"), "{error}");
        }
    }
}
