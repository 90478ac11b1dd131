//! One line of the journal.

use crate::agent::JournalEntry;

/// Digits of the checksum and the space after it.
const PREFIX: usize = 9;

/// The entry as a line, with its newline.
pub(super) fn encode(entry: &JournalEntry) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(entry)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())))
}

/// The entry of a line without its newline; `None` if the line is not what was written.
pub(super) fn decode(line: &[u8]) -> Option<JournalEntry> {
    let (prefix, json) = line.split_at_checked(PREFIX)?;
    let digits = std::str::from_utf8(prefix).ok()?.strip_suffix(' ')?;
    let crc = u32::from_str_radix(digits, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok())?
}
