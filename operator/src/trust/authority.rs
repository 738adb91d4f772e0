//! The internal certificate authority: makes itself, and a certificate for each process's name.

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ED25519,
};

/// Days for which the authority is valid. Replacing it means deleting its Secret and restarting.
const AUTHORITY_DAYS: i64 = 3650;
/// Days for which a leaf is valid: longer than any pod lives; pods are thrown away.
const LEAF_DAYS: i64 = 365;
/// Certificates are valid from the day before, for clocks that lag.
const SKEW_DAYS: i64 = 1;

/// Making or reading a certificate failed.
#[derive(Debug, thiserror::Error)]
#[error("the internal certificate authority failed to {step}: {source}")]
pub struct AuthorityError {
    step: &'static str,
    source: rcgen::Error,
}

fn failed(step: &'static str) -> impl FnOnce(rcgen::Error) -> AuthorityError {
    move |source| AuthorityError { step, source }
}

/// Certificate and private key, both PEM.
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key, PKCS#8.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Makes a new authority.
pub fn new_authority(now: Timestamp) -> Result<Identity, AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed("make its key"))?;
    let certificate = authority_parameters(now)?.self_signed(&key).map_err(failed("sign itself"))?;
    Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn authority_parameters(now: Timestamp) -> Result<CertificateParams, AuthorityError> {
    let mut params = parameters(Vec::new(), "Roost internal CA", now, AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// Signs leaves.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// Reads what `new_authority` made.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(key).map_err(failed("read its key"))?;
        // A leaf takes its issuer's name and key id from here; both are the same as when the authority was made.
        let params = authority_parameters(Timestamp::UNIX_EPOCH)?;
        Ok(Self { issuer: Issuer::new(params, key), certificate: certificate.to_owned() })
    }

    /// Its own certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A fresh key and a certificate for `name`, as a server.
    pub fn issue(&self, name: &str, now: Timestamp) -> Result<Identity, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed("make a leaf's key"))?;
        let mut params = parameters(vec![name.to_owned()], "Roost", now, LEAF_DAYS)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed("sign a leaf"))?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn parameters(
    names: Vec<String>,
    common_name: &str,
    now: Timestamp,
    days: i64,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(names).map_err(failed("take a name"))?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let today = now.to_zoned(TimeZone::UTC).date();
    let date = |date: jiff::civil::Date| {
        rcgen::date_time_ymd(
            i32::from(date.year()),
            u8::try_from(date.month()).unwrap_or(1),
            u8::try_from(date.day()).unwrap_or(1),
        )
    };
    params.not_before = date(today.saturating_sub(SKEW_DAYS.days()));
    params.not_after = date(today.saturating_add(days.days()));
    Ok(params)
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}
