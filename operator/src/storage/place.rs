//! Places of data: from a class, or as they were recorded in a status.

use roost_crds::{Storage, StorageLocation};

/// Where a bucket is and which Secrets open it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Bucket.
    pub bucket: String,
    /// Prefix without slashes at its ends; empty for none.
    pub prefix: String,
    /// Endpoint; none for AWS.
    pub endpoint: Option<String>,
    /// Region.
    pub region: String,
    /// Bucket in the path.
    pub path_style: bool,
    /// Secret with the credentials.
    pub credentials_secret: String,
    /// Secret with the private CA.
    pub ca_secret: Option<String>,
}

impl From<&Storage> for Place {
    fn from(storage: &Storage) -> Self {
        Self {
            bucket: storage.bucket.clone(),
            prefix: storage.prefix().to_owned(),
            endpoint: storage.endpoint.clone(),
            region: storage.region().to_owned(),
            path_style: storage.path_style(),
            credentials_secret: storage.credentials_secret().unwrap_or_default().to_owned(),
            ca_secret: storage.ca_secret().map(str::to_owned),
        }
    }
}

impl From<&StorageLocation> for Place {
    fn from(location: &StorageLocation) -> Self {
        Self {
            bucket: location.bucket.clone(),
            prefix: location.prefix.clone(),
            endpoint: location.endpoint.clone(),
            region: location.region.clone().unwrap_or_else(|| roost_crds::resolve::REGION.to_owned()),
            path_style: location.path_style,
            credentials_secret: location.credentials_secret.clone(),
            ca_secret: location.ca_secret.clone(),
        }
    }
}
