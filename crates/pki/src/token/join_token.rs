//! The token as one printable word.

use std::fmt;

use zeroize::Zeroizing;

use super::{JoinSecret, RootPin, TokenId};
use crate::random::{self, NoRandomness};
use crate::{base32, digest};

/// The most pins in a token. During a rotation there are two roots; the rest is room for overlapping ones.
pub const MAX_PINS: usize = 4;

/// The longest token word, in characters: a longer text is refused before it is looked at.
pub const MAX_TOKEN_CHARS: usize = 512;

/// How many random bytes one token takes.
pub const TOKEN_ENTROPY_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// What a newcomer needs to join: the token's id, the pins of the roots that the master may show, and a secret.
///
/// As text it is one word, `jyt1.ID.PIN[-PIN..].SECRET.CHECKSUM`: the version is part of the prefix, pins and
/// secret are lower-case base 32, and the checksum (40 bits of SHA-256 over what precedes it) finds typing and
/// pasting mistakes before any connection is made. Only [`expose`](Self::expose) gives that word; `Debug` and
/// `Display` print `jyt1.ID.***`.
#[derive(Clone)]
pub struct JoinToken {
    id: TokenId,
    pins: Vec<RootPin>,
    secret: JoinSecret,
}

impl JoinToken {
    /// Makes a new token for a master whose roots have these pins.
    pub fn mint(pins: Vec<RootPin>) -> Result<Self, TokenError> {
        let entropy = Zeroizing::new(random::bytes().map_err(TokenError::Random)?);
        Self::from_entropy(pins, &entropy)
    }

    /// Makes the token that these random bytes determine: pure, for callers that have their own randomness.
    pub fn from_entropy(
        pins: Vec<RootPin>,
        entropy: &[u8; TOKEN_ENTROPY_BYTES],
    ) -> Result<Self, TokenError> {
        check_pin_count(pins.len())?;
        let (id, secret) = entropy.split_at(ID_BYTES);
        let id = base32::encode(id).parse().map_err(|_| TokenError::Id)?;
        let secret = JoinSecret::from_slice(secret).ok_or(TokenError::Secret)?;
        Ok(Self { id, pins, secret })
    }

    /// Reads a token's word. Space around it is ignored, since it comes from files and terminals.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_CHARS {
            return Err(TokenError::TooLong);
        }
        let body = text.strip_prefix(PREFIX).ok_or(TokenError::Version)?;
        let fields: Vec<&str> = body.split('.').collect();
        let [id, pins, secret, _] = fields[..] else {
            return Err(TokenError::Fields {
                found: fields.len(),
            });
        };
        check_checksum(text)?;
        Ok(Self {
            id: id.parse().map_err(|_| TokenError::Id)?,
            pins: parse_pins(pins)?,
            secret: base32::decode(secret)
                .map(|bytes| JoinSecret::from_array(Zeroizing::new(bytes)))
                .ok_or(TokenError::Secret)?,
        })
    }

    /// The printable word, secret included: for the operator who asked for the token, once.
    pub fn expose(&self) -> Zeroizing<String> {
        let pins: Vec<String> = self.pins.iter().map(RootPin::to_string).collect();
        let secret = Zeroizing::new(base32::encode(self.secret.expose()));
        // Reserved in full, so that no half-written copy of the secret is left behind by growing.
        let mut word = Zeroizing::new(String::with_capacity(MAX_TOKEN_CHARS));
        for part in [PREFIX, self.id.as_str(), ".", &pins.join("-"), ".", &secret] {
            word.push_str(part);
        }
        let checksum = checksum(&word);
        word.push('.');
        word.push_str(&checksum);
        word
    }

    /// The public name of the token.
    pub const fn id(&self) -> &TokenId {
        &self.id
    }

    /// The roots of which the master must show one. Never empty.
    pub fn pins(&self) -> &[RootPin] {
        &self.pins
    }

    /// The secret, for the master's record and for the request to join.
    pub const fn secret(&self) -> &JoinSecret {
        &self.secret
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.***", self.id)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a token could not be made or read. Found without any connection; the same text will fail again. No part
/// of the text is repeated, since it may be most of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than any token.
    #[error("longer than any join token ({MAX_TOKEN_CHARS} characters)")]
    TooLong,
    /// Not a join token, or one of a version that this program does not know.
    #[error("not a join token of a known version: it must begin with \"jyt1.\"")]
    Version,
    /// A part is missing or there is one too many: probably cut while it was copied.
    #[error(
        "a join token has 4 parts after its prefix, this one has {found}: was it copied whole?"
    )]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// A character was changed or lost.
    #[error("the join token's checksum is wrong: was it copied whole?")]
    Checksum,
    /// The id breaks the rules of [`TokenId`].
    #[error("the join token's id is not valid")]
    Id,
    /// Without a pin the master's identity could not be checked, so such a token is never used.
    #[error("the join token has no pin of the master's root")]
    NoPin,
    /// More pins than [`MAX_PINS`].
    #[error("the join token has more than {MAX_PINS} pins")]
    TooManyPins,
    /// A pin of the wrong length or alphabet.
    #[error("a pin in the join token is not valid")]
    Pin,
    /// A secret of the wrong length or alphabet.
    #[error("the secret in the join token is not valid")]
    Secret,
    /// The machine has no random bytes to make a token of.
    #[error("no join token can be made")]
    Random(#[source] NoRandomness),
}

fn parse_pins(text: &str) -> Result<Vec<RootPin>, TokenError> {
    if text.is_empty() {
        return Err(TokenError::NoPin);
    }
    let pins: Vec<RootPin> = text
        .split('-')
        .map(RootPin::parse)
        .collect::<Option<_>>()
        .ok_or(TokenError::Pin)?;
    check_pin_count(pins.len())?;
    Ok(pins)
}

const fn check_pin_count(count: usize) -> Result<(), TokenError> {
    match count {
        0 => Err(TokenError::NoPin),
        1..=MAX_PINS => Ok(()),
        _ => Err(TokenError::TooManyPins),
    }
}

fn check_checksum(word: &str) -> Result<(), TokenError> {
    let (rest, found) = word.rsplit_once('.').ok_or(TokenError::Checksum)?;
    if checksum(rest) == found {
        Ok(())
    } else {
        Err(TokenError::Checksum)
    }
}

/// Over everything before the last dot. It finds mistakes, not attacks: whoever can change the word can change it.
fn checksum(rest: &str) -> String {
    base32::encode(&digest::sha256(rest.as_bytes())[..CHECKSUM_BYTES])
}

/// Kind and version. Also what secret scanners look for.
const PREFIX: &str = "jyt1.";
/// 80 random bits: no two tokens of a cluster share an id by chance.
const ID_BYTES: usize = 10;
const SECRET_BYTES: usize = 32;
/// One wrong word in 2^40 passes.
const CHECKSUM_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PIN: RootPin = RootPin::from_bytes([3; 32]);

    fn token() -> JoinToken {
        JoinToken::from_entropy(vec![PIN], &[9; TOKEN_ENTROPY_BYTES]).unwrap()
    }

    /// A word with these parts and a right checksum.
    fn word(rest: &str) -> String {
        format!("{rest}.{}", checksum(rest))
    }

    #[test]
    fn word_reads_back() {
        let token = JoinToken::mint(vec![PIN, RootPin::from_bytes([4; 32])]).unwrap();
        let word = token.expose();
        assert!(!word.contains(char::is_whitespace));
        let read = JoinToken::parse(&format!(" {}\n", *word)).unwrap();
        assert_eq!(read.id(), token.id());
        assert_eq!(read.pins(), token.pins());
        assert_eq!(read.secret().hash(), token.secret().hash());
        assert_eq!(read.expose(), word);
    }

    #[test]
    fn longest_token_is_within_the_limit() {
        let token = JoinToken::mint(vec![PIN; MAX_PINS]).unwrap();
        let longest_id = token.expose().len() - token.id().as_str().len() + TokenId::MAX_CHARS;
        assert!(longest_id <= MAX_TOKEN_CHARS, "{longest_id}");
    }

    #[test]
    fn two_tokens_share_nothing() {
        let (one, two) = (
            JoinToken::mint(vec![PIN]).unwrap(),
            JoinToken::mint(vec![PIN]).unwrap(),
        );
        assert_ne!(one.id(), two.id());
        assert_ne!(one.secret().hash(), two.secret().hash());
    }

    #[test]
    fn xe3_refuse_a_token_without_a_pin_or_with_a_wrong_one() {
        let secret = base32::encode(&[9; 32]);
        let pin = PIN.to_string();
        let parse = |rest: String| JoinToken::parse(&word(&rest)).map(drop);
        assert_eq!(parse(format!("jyt1.id..{secret}")), Err(TokenError::NoPin));
        assert_eq!(
            parse(format!("jyt1.id.{}.{secret}", &pin[1..])),
            Err(TokenError::Pin)
        );
        assert_eq!(
            parse(format!("jyt1.id.{pin}a.{secret}")),
            Err(TokenError::Pin)
        );
        assert_eq!(
            parse(format!("jyt1.id.{pin}-.{secret}")),
            Err(TokenError::Pin)
        );
        let pins = [pin.as_str(); MAX_PINS + 1].join("-");
        assert_eq!(
            parse(format!("jyt1.id.{pins}.{secret}")),
            Err(TokenError::TooManyPins)
        );
        assert_eq!(
            parse(format!("jyt1.id.{pin}.{}", &secret[1..])),
            Err(TokenError::Secret)
        );
        assert_eq!(
            parse(format!("jyt1.ID.{pin}.{secret}")),
            Err(TokenError::Id)
        );
        assert_eq!(
            parse(format!("jyt1.id.{pin}.{secret}.x")),
            Err(TokenError::Fields { found: 5 })
        );
        assert_eq!(
            parse(format!("jyt2.id.{pin}.{secret}")),
            Err(TokenError::Version)
        );
        assert_eq!(parse(format!("jyt1.id.{pin}.{secret}")), Ok(()));
        assert!(matches!(
            JoinToken::mint(Vec::new()),
            Err(TokenError::NoPin)
        ));
    }

    #[test]
    fn xe3_refuse_a_wrong_checksum() {
        let word = token().expose();
        let cut = &word[..word.len() - 1];
        assert!(matches!(JoinToken::parse(cut), Err(TokenError::Checksum)));
        assert!(matches!(
            JoinToken::parse(&"x".repeat(1000)),
            Err(TokenError::TooLong)
        ));
    }

    #[test]
    fn xe20_debug_and_display_hide_the_secret() {
        let token = token();
        let secret = base32::encode(token.secret().expose());
        let shown = format!(
            "{token:?} {token} {:#?} {:?}",
            token.secret(),
            token.secret().hash()
        );
        assert!(
            shown.starts_with(&format!("jyt1.{}.*** ", token.id())),
            "{shown}"
        );
        assert!(
            !shown.contains(&secret) && !shown.contains("9, 9"),
            "{shown}"
        );
    }

    #[test]
    fn errors_repeat_nothing_of_the_text() {
        for text in [
            "jyt1.SECRETSECRET",
            "SECRETSECRET",
            "jyt1.a.b.SECRETSECRET.c",
        ] {
            let error = JoinToken::parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("SECRET"));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,600}") {
            let _ = JoinToken::parse(&text);
            let _ = JoinToken::parse(&format!("jyt1.{text}"));
            let _ = JoinToken::parse(&word(&format!("jyt1.{text}")));
        }

        #[test]
        fn one_changed_character_is_noticed(at in 0_usize..200, to in "[a-z2-7.]") {
            let word = token().expose();
            let at = at % word.len();
            let mut changed = word.to_string();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != *word);
            prop_assert!(JoinToken::parse(&changed).is_err());
        }
    }
}
