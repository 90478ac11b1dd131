//! Certificates and a key as PEM text (RFC 7468).

use data_encoding::BASE64;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

/// Any number of certificates, in order, and at most one PKCS#8 key.
pub(crate) struct Bundle {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) key: Option<Zeroizing<Vec<u8>>>,
}

/// The certificates, then the key.
pub(crate) fn encode(certificates: &[CertificateDer<'_>], key: &[u8]) -> Zeroizing<String> {
    let bytes: usize = certificates.iter().map(|der| der.len()).sum::<usize>() + key.len();
    // Base 64 with line ends and labels takes less than this, so the text never moves and leaves no copy.
    let mut text = Zeroizing::new(String::with_capacity(
        bytes * 3 / 2 + 100 * (certificates.len() + 1),
    ));
    for certificate in certificates {
        push(&mut text, "CERTIFICATE", certificate);
    }
    push(&mut text, "PRIVATE KEY", key);
    text
}

/// Why a text is no [`Bundle`].
pub(crate) fn decode(text: &str) -> Result<Bundle, &'static str> {
    let mut bundle = Bundle {
        certificates: Vec::new(),
        key: None,
    };
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match section.map_err(|_| "it is not valid PEM")? {
            (SectionKind::Certificate, der) => {
                if bundle.certificates.len() == MAX_CERTIFICATES {
                    return Err("it has too many certificates");
                }
                bundle.certificates.push(CertificateDer::from(der));
            }
            (SectionKind::PrivateKey, der) => {
                if bundle.key.replace(Zeroizing::new(der)).is_some() {
                    return Err("it has more than one private key");
                }
            }
            _ => return Err("it has a section that is neither a certificate nor a PKCS#8 key"),
        }
    }
    Ok(bundle)
}

fn push(text: &mut String, label: &str, der: &[u8]) {
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    for line in der.chunks(BYTES_PER_LINE) {
        text.push_str(&Zeroizing::new(BASE64.encode(line)));
        text.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
}

/// 64 characters, as RFC 7468 wants it.
const BYTES_PER_LINE: usize = 48;
/// A leaf, an intermediate and the roots of a rotation are 4; the rest is room.
const MAX_CERTIFICATES: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_reads_back() {
        let certificates = [
            CertificateDer::from(vec![1; 500]),
            CertificateDer::from(vec![2; 48]),
        ];
        let text = encode(&certificates, &[3; 138]);
        let capacity = text.capacity();
        assert!(text.len() <= capacity && text.lines().all(|line| line.len() <= 64));
        let bundle = decode(&text).unwrap();
        assert_eq!(bundle.certificates, certificates);
        assert_eq!(**bundle.key.as_ref().unwrap(), [3; 138]);
    }

    #[test]
    fn refuse_two_keys_and_foreign_sections() {
        let one = encode(&[], &[3; 10]);
        assert!(decode(&format!("{}{}", *one, *one)).is_err());
        assert!(decode(&one.replace("PRIVATE KEY", "RSA PRIVATE KEY")).is_err());
        assert!(decode(&one.replace("-----END", "----END")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = decode(&text);
            let _ = decode(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"));
        }
    }
}
