//! `Debug` of the messages that hold a secret: everything but the secret.

use std::fmt;

use crate::generated::v1;

impl fmt::Debug for v1::EnrollRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollRequest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreateTokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateTokenResponse")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_do_not_print_their_tokens() {
        let request = v1::EnrollRequest {
            token: "hunter2".to_owned(),
            ..Default::default()
        };
        let response = v1::CreateTokenResponse {
            token: "hunter2".to_owned(),
            ..Default::default()
        };
        assert!(!format!("{request:?} {response:?}").contains("hunter2"));
    }
}
