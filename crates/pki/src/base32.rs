//! Lower-case base 32 without padding (RFC 4648 alphabet): one word when double-clicked, and one text per value.

use data_encoding::BASE32_NOPAD;

/// The only text for these bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

/// `None` unless `text` is exactly what [`encode`] gives for some `N` bytes.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    BASE32_NOPAD
        .decode(text.to_ascii_uppercase().as_bytes())
        .ok()?
        .try_into()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_one_text() {
        let text = encode(&[0xff; 32]);
        assert_eq!(text.len(), 52);
        assert_eq!(decode::<32>(&text), Some([0xff; 32]));
        assert_eq!(decode::<32>(&text.to_uppercase()), None);
        // The last character carries one bit only; every other value of its low bits is refused.
        let mut sloppy = text;
        sloppy.pop();
        sloppy.push('7');
        assert_eq!(decode::<32>(&sloppy), None);
    }
}
