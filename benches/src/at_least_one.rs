//! Numbers on the command line that are never 0.

/// Reads a number of things of which there has to be one.
///
/// # Errors
///
/// What is no number, or 0, in words for whoever typed it.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}
