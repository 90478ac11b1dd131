//! One certificate authority: its certificate and the key that signs.

use jobyard_core::{ClusterId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::{Zeroize, Zeroizing};

use super::lifetime::{AUTHORITY_LIFETIME, ROOT_LIFETIME, Validity};
use crate::chain::Purpose;
use crate::csr::{CsrKey, Subject};
use crate::{identity, pem, random, spiffe};

/// An authority that can sign.
pub(super) struct CaIssuer {
    certificate: CertificateDer<'static>,
    not_after: OffsetDateTime,
    issuer: Issuer<'static, KeyPair>,
}

/// What is in a leaf besides its key.
pub(super) struct LeafSpec<'a> {
    /// The only name.
    pub(super) uri: &'a str,
    /// For people who look at the certificate; nothing reads it.
    pub(super) common_name: &'a str,
    /// The only purpose.
    pub(super) purpose: Purpose,
    /// The serial number, big-endian.
    pub(super) serial: &'a [u8],
    pub(super) validity: Validity,
}

impl CaIssuer {
    /// Makes a root that may have authorities below it, but no authorities below those. Returns it with its PEM.
    pub(super) fn new_root(
        cluster: ClusterId,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<String>), Problem> {
        let mut params = authority_params(cluster, "root", 1)?;
        set_validity(
            &mut params,
            Validity::starting(now, ROOT_LIFETIME, None).ok_or(CLOCK)?,
        );
        let uri = spiffe::cluster_uri(cluster)
            .try_into()
            .map_err(|_| UNWRITABLE)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        let key = generate_key()?;
        let certificate = params.self_signed(&key).map_err(|_| UNWRITABLE)?;
        Self::finish(certificate.into(), key)
    }

    /// Makes an authority below this one that signs leaves of one purpose only. Returns it with its PEM.
    pub(super) fn new_intermediate(
        &self,
        cluster: ClusterId,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<(Self, Zeroizing<String>), Problem> {
        let mut params = authority_params(cluster, label(purpose), 0)?;
        let validity =
            Validity::starting(now, AUTHORITY_LIFETIME, Some(self.not_after)).ok_or(CLOCK)?;
        set_validity(&mut params, validity);
        params.extended_key_usages = vec![usage(purpose)];
        params.use_authority_key_identifier_extension = true;
        let key = generate_key()?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|_| UNWRITABLE)?;
        Self::finish(certificate.into(), key)
    }

    /// Reads back what was made.
    pub(super) fn from_pem(text: &str) -> Result<Self, Problem> {
        let bundle = pem::decode(text)?;
        let key = bundle.key.ok_or("it has no private key")?;
        let [certificate] = <[_; 1]>::try_from(bundle.certificates)
            .map_err(|_| "it does not have exactly one certificate")?;
        let der = PrivatePkcs8KeyDer::from(key.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_| "its private key is not an ECDSA P-256 key")?;
        Self::from_parts(certificate, key)
    }

    /// Signs a leaf. Fails only if the crypto library does.
    pub(super) fn sign(
        &self,
        key: &CsrKey,
        spec: &LeafSpec<'_>,
    ) -> Result<CertificateDer<'static>, Problem> {
        let mut params = CertificateParams::default();
        set_validity(&mut params, spec.validity);
        params.serial_number = Some(SerialNumber::from_slice(spec.serial));
        params.distinguished_name = common_name(spec.common_name);
        params.subject_alt_names = vec![SanType::URI(
            spec.uri.to_owned().try_into().map_err(|_| UNWRITABLE)?,
        )];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage(spec.purpose)];
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&Subject(key), &self.issuer)
            .map_err(|_| "signing failed")?;
        Ok(certificate.into())
    }

    /// Whether it signs leaves of this purpose and can do nothing else.
    pub(super) fn is_bound_to(&self, wanted: Purpose) -> bool {
        X509Certificate::from_der(&self.certificate).is_ok_and(|(_, certificate)| {
            let constraints = certificate.basic_constraints().ok().flatten();
            constraints.is_some_and(|found| found.value.path_len_constraint == Some(0))
                && identity::purpose(&certificate) == Ok(wanted)
        })
    }

    pub(super) const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Beyond this moment nothing that it signs holds.
    pub(super) const fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    fn finish(
        certificate: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<(Self, Zeroizing<String>), Problem> {
        let text = pem::encode(std::slice::from_ref(&certificate), key.serialized_der());
        Ok((Self::from_parts(certificate, key)?, text))
    }

    fn from_parts(certificate: CertificateDer<'static>, mut key: KeyPair) -> Result<Self, Problem> {
        // The serialised copy is not needed to sign; the library's own key stays.
        key.zeroize();
        let (rest, parsed) =
            X509Certificate::from_der(&certificate).map_err(|_| "its certificate is malformed")?;
        if !rest.is_empty() || parsed.public_key().raw != key.subject_public_key_info() {
            return Err("its private key is not the one that its certificate is for");
        }
        let not_after = parsed.validity().not_after.to_datetime();
        let not_after = OffsetDateTime::from_unix_timestamp(not_after.unix_timestamp())
            .map_err(|_| "its certificate is malformed")?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|_| "its certificate is not that of an authority")?;
        Ok(Self {
            certificate,
            not_after,
            issuer,
        })
    }
}

/// What is wrong with an authority, as a fragment for an error message.
pub(super) type Problem = &'static str;

fn authority_params(
    cluster: ClusterId,
    label: &str,
    path_length: u8,
) -> Result<CertificateParams, Problem> {
    let serial: [u8; SERIAL_BYTES] =
        random::bytes().map_err(|_| "the system gave no random bytes")?;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = common_name(&format!("Jobyard {cluster} {label}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn generate_key() -> Result<KeyPair, Problem> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| "no key could be made")
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
}

fn common_name(name: &str) -> DistinguishedName {
    let mut dn = DistinguishedName::new();
    dn.push(DnType::CommonName, name);
    dn
}

const fn usage(purpose: Purpose) -> ExtendedKeyUsagePurpose {
    match purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }
}

const fn label(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Server => "servers",
        Purpose::Client => "clients",
    }
}

/// 128 random bits: no serial comes twice, and none can be foretold.
pub(super) const SERIAL_BYTES: usize = 16;
const CLOCK: Problem = "this machine's time leaves no certificate any life";
const UNWRITABLE: Problem = "its certificate could not be written";
