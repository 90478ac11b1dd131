//! Random bytes from the operating system.

/// The operating system gave no random bytes, so nothing secret can be made. Nobody's fault but the machine's;
/// trying again later may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
#[non_exhaustive]
pub struct NoRandomness;

/// Fills an array with random bytes that are fit for keys.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
