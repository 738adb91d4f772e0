//! S3 and what speaks like it: Cloudflare R2, MinIO, SeaweedFS.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use bytes::{Bytes, BytesMut};
use jiff::SignedDuration;
use roost_protocol::{grant::StorageLocation, secret::Secret};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::clock::BucketClock;
use super::{
    Changed, Condition, ETag, Listed, Listing, MAX_LIST_PAGE, MAX_PUT_BYTES, Object, ObjectError,
    ObjectStore, check_key,
};

/// A bucket key. Never shown by `Debug`; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    /// Access key id.
    #[serde(rename = "accessKeyID")]
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token of temporary credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<String>,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Credentials(..)")
    }
}

/// Where a bucket is and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// URL of the endpoint; none for AWS's own of the region.
    pub endpoint: Option<String>,
    /// Region; `auto` for R2.
    pub region: String,
    /// Whether the bucket is part of the path instead of the host name.
    pub path_style: bool,
    /// PEM certificates trusted besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// The key.
    pub credentials: S3Credentials,
    /// Bound of one request from its start to the first byte of its answer.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
}

impl S3Config {
    /// The configuration of a place that a grant names, with [`DEFAULT_TIMEOUT`].
    pub fn of(location: &StorageLocation) -> Self {
        let secret = |secret: &Secret| secret.expose().to_owned();
        Self {
            bucket: location.bucket.clone(),
            endpoint: location.endpoint.clone(),
            region: location.region.clone(),
            path_style: location.path_style,
            ca_pem: location.ca_pem.clone(),
            credentials: S3Credentials {
                access_key_id: secret(&location.access_key_id),
                secret_access_key: secret(&location.secret_access_key),
                session_token: location.session_token.as_ref().map(secret),
            },
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// [`S3Config::timeout`] where nothing else is known.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

/// A configuration that no client can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3ConfigError {
    /// The certificates do not parse, or there are none.
    #[error("the CA certificates cannot be used: {0}; expected PEM")]
    BadCertificates(String),
    /// A field that cannot be right.
    #[error("{field} of the storage configuration is not valid: {why}")]
    BadField {
        /// The field.
        field: &'static str,
        /// Reason why it cannot be right.
        why: String,
    },
}

/// Bound of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A body may take [`S3Config::timeout`] and one second for each of these many bytes.
const SLOWEST_BYTES_PER_SECOND: u64 = 1024 * 1024;

/// Pages without a key that are followed one after another before a listing is given up.
const MAX_EMPTY_PAGES: usize = 1_000;

/// A bucket behind the S3 API.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    bucket: String,
    timeout: Duration,
    clock: BucketClock,
}

/// One answer of a LIST.
struct Page {
    listing: Listing,
    /// Token that asks for the next one; none after the last.
    next: Option<String>,
}

impl S3Store {
    /// Makes a client. Sends nothing. Reads the system's certificates: not for an async thread.
    pub fn new(config: &S3Config) -> Result<Self, S3ConfigError> {
        check(config)?;
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let key = Credentials::new(
            config.credentials.access_key_id.as_str(),
            config.credentials.secret_access_key.as_str(),
            config.credentials.session_token.clone(),
            None,
            "roost",
        );
        let clock = BucketClock::default();
        let mut builder = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(config.region.clone()))
            .credentials_provider(key)
            .force_path_style(config.path_style)
            .http_client(http_client(config)?)
            // Retries are ours alone: one of the SDK's own could turn an answer lost into a failed condition.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .interceptor(clock.clone())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // R2 and SeaweedFS lack the newer checksum headers; every object carries its own hash.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        let client = Client::from_conf(builder.build());
        Ok(Self { client, bucket: config.bucket.clone(), timeout: config.timeout, clock })
    }

    /// Creates the bucket. Only for tests: Roost never creates buckets.
    #[doc(hidden)]
    pub async fn create_bucket_for_tests(&self) -> Result<(), ObjectError> {
        self.send("", 0, self.client.create_bucket().bucket(&self.bucket).send()).await.map(drop)
    }

    /// Sends one request and gives it the time that `bytes` of body may take.
    async fn send<T, E>(
        &self,
        key: &str,
        bytes: u64,
        request: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, ObjectError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let bound = self.timeout + Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
        match tokio::time::timeout(bound, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(classify(key, &self.bucket, &error)),
            Err(_elapsed) => Err(late(key, bound)),
        }
    }

    async fn collect(&self, key: &str, mut body: ByteStream, limit: u64) -> Result<Bytes, ObjectError> {
        let mut bytes = BytesMut::new();
        loop {
            match tokio::time::timeout(self.timeout, body.next()).await {
                Ok(None) => return Ok(bytes.freeze()),
                Ok(Some(Ok(part))) if (bytes.len() + part.len()) as u64 <= limit => {
                    bytes.extend_from_slice(&part);
                }
                Ok(Some(Ok(_))) => return Err(ObjectError::TooLarge { key: key.into(), limit }),
                Ok(Some(Err(error))) => {
                    return Err(ObjectError::Undecided { key: key.into(), message: error.to_string() });
                }
                Err(_elapsed) => return Err(late(key, self.timeout)),
            }
        }
    }

    async fn whole(&self, key: &str, answer: GetObjectOutput, limit: u64) -> Result<Object, ObjectError> {
        let etag = etag(key, answer.e_tag)?;
        let bytes = self.collect(key, answer.body, limit).await?;
        let expected = answer.content_length.and_then(|length| usize::try_from(length).ok());
        if expected.is_some_and(|length| length != bytes.len()) {
            let message = format!("the answer ended after {} bytes", bytes.len());
            return Err(ObjectError::Undecided { key: key.into(), message });
        }
        Ok(Object { bytes, etag })
    }

    async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        token: Option<String>,
    ) -> Result<Page, ObjectError> {
        let limit = i32::try_from(limit.min(MAX_LIST_PAGE)).unwrap_or(i32::MAX);
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .set_continuation_token(token)
            .max_keys(limit);
        let answer = self.send(prefix, 0, request.send()).await?;
        let incomplete =
            |why: &str| ObjectError::ListingIncomplete { key: prefix.to_owned(), message: why.to_owned() };
        let truncated =
            answer.is_truncated.ok_or_else(|| incomplete("a page does not say whether more follows"))?;
        let listed = answer.contents.unwrap_or_default().into_iter().map(|object| {
            let size = object.size.and_then(|size| u64::try_from(size).ok());
            match (object.key, size) {
                (Some(key), Some(size)) => Ok(Listed { key, size }),
                _ => Err(incomplete("an object in it has no key or no size")),
            }
        });
        let objects = listed.collect::<Result<_, _>>()?;
        Ok(Page { listing: Listing { objects, truncated }, next: answer.next_continuation_token })
    }

    async fn put_body(
        &self,
        key: &str,
        body: ByteStream,
        length: u64,
        condition: Condition,
    ) -> Result<ETag, ObjectError> {
        let request = self.client.put_object().bucket(&self.bucket).key(key).body(body);
        let replaces = matches!(condition, Condition::IfMatch(_));
        let request = match condition {
            Condition::IfAbsent => request.if_none_match("*"),
            Condition::IfMatch(ETag(etag)) => request.if_match(etag),
            Condition::Always => request,
        };
        match self.send(key, length, request.send()).await {
            Ok(answer) => etag(key, answer.e_tag),
            // Some endpoints answer If-Match on a missing object with 404 instead of 412.
            Err(ObjectError::NotFound { key }) if replaces => Err(ObjectError::PreconditionFailed { key }),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn get(&self, key: &str, limit: u64) -> Result<Object, ObjectError> {
        check_key(key)?;
        let answer = self.send(key, 0, self.client.get_object().bucket(&self.bucket).key(key).send()).await?;
        self.whole(key, answer, limit).await
    }

    async fn get_if_changed(&self, key: &str, etag: &ETag, limit: u64) -> Result<Changed, ObjectError> {
        check_key(key)?;
        let request = self.client.get_object().bucket(&self.bucket).key(key).if_none_match(&etag.0).send();
        match tokio::time::timeout(self.timeout, request).await {
            Ok(Ok(answer)) => {
                let object = self.whole(key, answer, limit).await?;
                // An endpoint may ignore the header.
                Ok(if object.etag == *etag { Changed::Same } else { Changed::Changed(object) })
            }
            Ok(Err(error)) if error.raw_response().is_some_and(|r| r.status().as_u16() == 304) => {
                Ok(Changed::Same)
            }
            Ok(Err(error)) => Err(classify(key, &self.bucket, &error)),
            Err(_elapsed) => Err(late(key, self.timeout)),
        }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        check_key(key)?;
        let length = range.end.saturating_sub(range.start);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let request = self.client.get_object().bucket(&self.bucket).key(key).range(header).send();
        let answer = self.send(key, 0, request).await?;
        let size = answer.content_range.as_deref().and_then(total);
        // The whole object instead of the range would be more than this limit, or of another length.
        let bytes = self.collect(key, answer.body, length).await?;
        if bytes.len() as u64 == length {
            return Ok(bytes);
        }
        // An object that is too short is damage; an answer that was cut is none.
        if size.is_some_and(|size| size < range.end) {
            return Err(ObjectError::TooShort { key: key.into() });
        }
        let message = format!("the answer ended after {} bytes", bytes.len());
        Err(ObjectError::Undecided { key: key.into(), message })
    }

    async fn put(&self, key: &str, bytes: Bytes, condition: Condition) -> Result<ETag, ObjectError> {
        check_key(key)?;
        let length = bytes.len() as u64;
        self.put_body(key, ByteStream::from(bytes), length, condition).await
    }

    async fn put_file(&self, key: &str, path: &Path, condition: Condition) -> Result<ETag, ObjectError> {
        check_key(key)?;
        let unreadable = |error: &dyn fmt::Display| ObjectError::Rejected {
            key: key.into(),
            message: format!("{} cannot be read: {error}", path.display()),
        };
        let length = tokio::fs::metadata(path).await.map_err(|e| unreadable(&e))?.len();
        if length > MAX_PUT_BYTES {
            return Err(ObjectError::TooLarge { key: key.into(), limit: MAX_PUT_BYTES });
        }
        let body = ByteStream::from_path(path).await.map_err(|e| unreadable(&e))?;
        self.put_body(key, body, length, condition).await
    }

    /// A page may be empty although more follows: an endpoint that skipped many deleted keys sends such ones.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Listing, ObjectError> {
        let incomplete = |why: &str| {
            Err(ObjectError::ListingIncomplete { key: prefix.to_owned(), message: why.to_owned() })
        };
        let mut tokens = BTreeSet::new();
        let mut token = None;
        while tokens.len() < MAX_EMPTY_PAGES {
            let Page { listing, next } = self.page(prefix, after, limit, token).await?;
            if !listing.truncated || !listing.objects.is_empty() {
                return listing.checked(prefix, after);
            }
            match next {
                Some(next) if tokens.insert(next.clone()) => token = Some(next),
                Some(_) => return incomplete("the endpoint sent a continuation token twice"),
                None => return incomplete("an empty page has no continuation token, and more is to follow"),
            }
        }
        incomplete(&format!("the endpoint sent {MAX_EMPTY_PAGES} empty pages"))
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        match self.send(key, 0, self.client.delete_object().bucket(&self.bucket).key(key).send()).await {
            Ok(_) | Err(ObjectError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn clock_ahead(&self) -> Option<SignedDuration> {
        self.clock.ahead()
    }
}

fn check(config: &S3Config) -> Result<(), S3ConfigError> {
    let bad = |field, why: &str| Err(S3ConfigError::BadField { field, why: why.to_owned() });
    if config.bucket.is_empty() || config.bucket.contains('/') {
        return bad("bucket", "expected the name of a bucket");
    }
    if config.region.is_empty() {
        return bad("region", "it is empty; use `auto` where there are no regions");
    }
    if config.credentials.access_key_id.is_empty() || config.credentials.secret_access_key.is_empty() {
        return bad("credentials", "a key is empty");
    }
    match &config.endpoint {
        Some(endpoint) if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") => {
            bad("endpoint", "expected a URL that begins with https:// or http://")
        }
        _ => Ok(()),
    }
}

/// HTTP with ring's TLS: the system's roots and the configured ones.
fn http_client(config: &S3Config) -> Result<SharedHttpClient, S3ConfigError> {
    let mut trust = TrustStore::default();
    if let Some(pem) = &config.ca_pem {
        check_certificates(pem)?;
        trust.add_pem_certificate(pem.as_bytes());
    }
    if config.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")) {
        return Ok(aws_smithy_http_client::Builder::new().build_http());
    }
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| S3ConfigError::BadCertificates(error.to_string()))?;
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    Ok(builder.tls_context(context).build_https())
}

/// The client library panics on certificates that it cannot use, so they are tried here first.
fn check_certificates(pem: &str) -> Result<(), S3ConfigError> {
    let bad = |why: String| S3ConfigError::BadCertificates(why);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() { Err(bad("there is no certificate in it".into())) } else { Ok(()) }
}

fn etag(key: &str, etag: Option<String>) -> Result<ETag, ObjectError> {
    let message = "the answer has no ETag".to_owned();
    etag.map(ETag).ok_or(ObjectError::Rejected { key: key.into(), message })
}

/// The whole object's size, as the Content-Range of a part says it (RFC 9110, 14.4).
fn total(content_range: &str) -> Option<u64> {
    content_range.strip_prefix("bytes ")?.split_once('/')?.1.parse().ok()
}

fn late(key: &str, bound: Duration) -> ObjectError {
    ObjectError::Undecided { key: key.into(), message: format!("no answer within {} s", bound.as_secs()) }
}

/// An error in words, with its causes: each that says more than the one before.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !words.ends_with(&more) {
            words = format!("{words}: {more}");
        }
        next = cause.source();
    }
    words
}

/// Tells what an unsuccessful answer means. Whatever does not decide is undecided, never failed.
fn classify<E>(key: &str, bucket: &str, error: &SdkError<E>) -> ObjectError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let key = key.to_owned();
    let SdkError::ServiceError(service) = error else {
        let message = causes(error);
        return match error {
            SdkError::ConstructionFailure(_) => ObjectError::Rejected { key, message },
            _ => ObjectError::Undecided { key, message },
        };
    };
    let (status, code) = (service.raw().status().as_u16(), service.err().code().unwrap_or_default());
    let words = service.err().message().unwrap_or_default();
    let message = format!("{status} {code} {words}").trim().to_owned();
    decide(status, code, key, bucket, message)
}

fn decide(status: u16, code: &str, key: String, bucket: &str, message: String) -> ObjectError {
    match (status, code) {
        (404, "NoSuchBucket") => ObjectError::NoSuchBucket { bucket: bucket.to_owned(), message },
        (404, _) => ObjectError::NotFound { key },
        (412, _) => ObjectError::PreconditionFailed { key },
        // The range begins after its end.
        (416, _) => ObjectError::TooShort { key },
        (401 | 403, _) => ObjectError::Denied { key, message },
        (501, _) => ObjectError::Rejected { key, message },
        (408 | 409 | 429 | 500.., _) | (400, "RequestTimeout" | "SlowDown") => {
            ObjectError::Undecided { key, message }
        }
        _ => ObjectError::Rejected { key, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> S3Config {
        S3Config {
            bucket: "tenants".into(),
            endpoint: Some("http://localhost:1".into()),
            region: "auto".into(),
            path_style: true,
            ca_pem: None,
            credentials: S3Credentials {
                access_key_id: "id".into(),
                secret_access_key: "very-secret".into(),
                session_token: None,
            },
            timeout: DEFAULT_TIMEOUT,
        }
    }

    #[test]
    fn answers_are_classified() {
        type Check = fn(&ObjectError) -> bool;
        let table: [(u16, &str, Check); 13] = [
            (404, "NoSuchKey", |e| matches!(e, ObjectError::NotFound { .. })),
            (404, "NoSuchBucket", |e| matches!(e, ObjectError::NoSuchBucket { .. })),
            (412, "PreconditionFailed", |e| matches!(e, ObjectError::PreconditionFailed { .. })),
            (416, "InvalidRange", |e| matches!(e, ObjectError::TooShort { .. })),
            (403, "AccessDenied", |e| matches!(e, ObjectError::Denied { .. })),
            (401, "", |e| matches!(e, ObjectError::Denied { .. })),
            (409, "ConditionalRequestConflict", |e| matches!(e, ObjectError::Undecided { .. })),
            (429, "", |e| matches!(e, ObjectError::Undecided { .. })),
            (500, "InternalError", |e| matches!(e, ObjectError::Undecided { .. })),
            (503, "SlowDown", |e| matches!(e, ObjectError::Undecided { .. })),
            (400, "RequestTimeout", |e| matches!(e, ObjectError::Undecided { .. })),
            (501, "NotImplemented", |e| matches!(e, ObjectError::Rejected { .. })),
            (400, "InvalidArgument", |e| matches!(e, ObjectError::Rejected { .. })),
        ];
        for (status, code, check) in table {
            let error = decide(status, code, "k".into(), "b", String::new());
            assert!(check(&error), "{status} {code} became {error:?}");
        }
    }

    #[test]
    fn a_bad_configuration_is_named() {
        let field = |config: &S3Config| match S3Store::new(config) {
            Err(S3ConfigError::BadField { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(&S3Config { bucket: String::new(), ..config() }), "bucket");
        assert_eq!(field(&S3Config { region: String::new(), ..config() }), "region");
        assert_eq!(field(&S3Config { endpoint: Some("localhost".into()), ..config() }), "endpoint");
        for pem in ["", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let bad = S3Config { ca_pem: Some(pem.into()), ..config() };
            assert!(matches!(S3Store::new(&bad), Err(S3ConfigError::BadCertificates(_))), "{pem:?}");
        }
        assert!(S3Store::new(&config()).is_ok());
    }

    #[test]
    fn debug_shows_no_secret() {
        let store = S3Store::new(&config()).unwrap();
        assert!(!format!("{:?}{store:?}", config()).contains("very-secret"));
    }
}
