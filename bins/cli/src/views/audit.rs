//! Who did what.

use jobyard_core::AuditEntry;
use serde::Serialize;

use super::time::time;

/// Somebody did something.
#[derive(Debug, Serialize)]
pub(crate) struct AuditView<'a> {
    seq: u64,
    time: String,
    who: &'a str,
    action: &'a str,
    subject: &'a str,
    result: &'a str,
}

impl<'a> From<&'a AuditEntry> for AuditView<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            time: time(entry.at),
            who: &entry.who,
            action: &entry.action,
            subject: &entry.subject,
            result: &entry.result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::time::tests::at;

    #[test]
    fn an_entry_has_its_keys() {
        let mut entry = AuditEntry::new(at(1), "ada", "token.create", "abc", "ok");
        entry.seq = 9;
        insta::assert_json_snapshot!(AuditView::from(&entry));
    }
}
