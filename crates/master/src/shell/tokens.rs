//! Join tokens: one that is asked for again, because the first answer was lost, is the same token.

use jobyard_core::{Caller, ControlError, NewToken};
use jobyard_pki::{JoinToken, TOKEN_ENTROPY_BYTES, TokenError};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::shared::Shared;

impl Shared {
    /// A token for this call. The same call gives the same token as long as this program runs: it is made from the call
    /// and a secret that never leaves the memory. A call without an id is never repeated, and gets a fresh one.
    pub(super) fn mint(
        &self,
        caller: &Caller,
        terms: &NewToken,
    ) -> Result<JoinToken, ControlError> {
        let pins = self.config.pins.clone();
        let minted = match token_request(caller, terms) {
            None => JoinToken::mint(pins),
            Some(request) => self
                .entropy(&request)
                .and_then(|entropy| JoinToken::from_entropy(pins, &entropy)),
        };
        minted.map_err(|problem| ControlError::Internal {
            problem: problem.to_string(),
        })
    }

    fn entropy(&self, request: &str) -> Result<Zeroizing<[u8; TOKEN_ENTROPY_BYTES]>, TokenError> {
        let seed = if let Some(seed) = self.token_seed.get() {
            seed
        } else {
            // The secret of a token that nobody gets: as random as any, and wiped at the end.
            let fresh = JoinToken::mint(self.config.pins.clone())?.secret().clone();
            self.token_seed.get_or_init(|| fresh)
        };
        // The inner hash has one length for all requests, so that none continues another.
        let what = Sha256::digest(request.as_bytes());
        let mut entropy = Zeroizing::new([0; TOKEN_ENTROPY_BYTES]);
        for (number, part) in (0_u8..).zip(entropy.chunks_mut(32)) {
            let mut hash = Sha256::new();
            hash.update(seed.expose());
            hash.update([number]);
            hash.update(what);
            let block = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
            part.copy_from_slice(&block[..part.len()]);
        }
        Ok(entropy)
    }
}

/// How a token's record names the call that made it: by its id, and a hash of who asked for what.
pub(super) fn token_request(caller: &Caller, terms: &NewToken) -> Option<String> {
    let request = caller.request?;
    let mut hash = Sha256::new();
    hash.update(caller.name.as_bytes());
    hash.update([0]);
    hash.update(terms.uses.to_be_bytes());
    hash.update(terms.ttl.as_micros().to_be_bytes());
    for tag in &terms.tags {
        hash.update(tag.to_string());
        hash.update([0]);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let hash = u128::from_be_bytes(*hash.first_chunk().expect("it is longer"));
    Some(format!("{request} {hash:032x}"))
}
