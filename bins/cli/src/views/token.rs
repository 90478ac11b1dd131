//! Join tokens.

use jobyard_core::{CreatedToken, Tag, TokenInfo};
use serde::Serialize;

use super::time::time;

/// A join token. The word itself is there only when it was just made and went nowhere else.
#[derive(Serialize)]
pub(crate) struct TokenView {
    token_id: String,
    created_at: String,
    expires_at: String,
    uses_left: u32,
    revoked: bool,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl TokenView {
    /// A token with its word, to be shown this once.
    pub(crate) fn with_word(created: &CreatedToken) -> Self {
        Self {
            token: Some(created.token.expose().to_owned()),
            ..Self::from(&created.info)
        }
    }
}

impl From<&TokenInfo> for TokenView {
    fn from(token: &TokenInfo) -> Self {
        Self {
            token_id: token.id.clone(),
            created_at: time(token.created_at),
            expires_at: time(token.expires_at),
            uses_left: token.uses_left,
            revoked: token.revoked,
            tags: token.tags.iter().map(Tag::to_string).collect(),
            token: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::time::tests::at;
    use jobyard_core::SecretText;

    #[test]
    fn token_shows_its_word_once() {
        let info = TokenInfo::new("abc".to_owned(), at(0), at(3600), 10);
        let listed = serde_json::to_string(&TokenView::from(&info)).expect("JSON");
        assert!(!listed.contains("\"token\""), "{listed}");
        let created = CreatedToken::new(info, SecretText::new("jyt1.word"));
        insta::assert_json_snapshot!(TokenView::with_word(&created));
    }
}
