//! Reads and changes the world around a TenantClass.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{NetworkPolicy, NetworkPolicySpec},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference},
};
use kube::{
    Api, Resource as _, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
};
use roost_crds::{
    TenantClass,
    names::{CLASS_LABEL, CLASS_MANAGER, EGRESS_LABEL, EGRESS_OF_CLASS, MANAGED_BY, MANAGED_BY_LABEL},
};

use super::plan::Observed;
use crate::{
    context::Context,
    kubernetes::is_absent,
    pods::names,
    reasons::{Fault, of_open, of_probe},
    reconcile::{Elected, ReconcileError},
    storage::Place,
};

/// Reads.
pub async fn observe(elected: &Elected, class: TenantClass) -> Result<Observed, ReconcileError> {
    let place = Place::from(&class.spec.storage);
    let buckets = &elected.context.buckets;
    let opened = async {
        let (location, secrets) = buckets.resolve(&place).await?;
        let keys = buckets.class_keys(class.spec.encryption.as_ref()).await?;
        Ok((
            location,
            format!("{place:?} {secrets} {}", keys.map(|(_, version)| version).unwrap_or_default()),
        ))
    };
    let storage = match opened.await {
        Ok((location, depends_on)) => {
            Ok((location, blake3::hash(depends_on.as_bytes()).to_hex().to_string()))
        }
        Err(error) => Err(of_open(error)?),
    };
    Ok(Observed { users: elected.index.users_of(&class.name_any()), class, storage })
}

/// Probes the bucket.
pub async fn probe(context: &Context, observed: &Observed) -> Result<(), Fault> {
    let (location, _hash) = observed.storage.as_ref().map_err(Clone::clone)?;
    let invalid = |error: std::sync::Arc<roost_store::S3ConfigError>| {
        Fault::new(roost_crds::Reason::CredentialsInvalid, error.to_string())
    };
    let bucket = context.buckets.client(location).await.map_err(invalid)?;
    roost_store::probe(&*bucket, &location.prefix, &context.environment)
        .await
        .map_err(|error| of_probe(&error))
}

/// Keeps the NetworkPolicy of a class that has egress rules of its own.
pub async fn apply_egress(context: &Context, class: &TenantClass) -> Result<(), ReconcileError> {
    let name = class.name_any();
    let Some(rules) = &class.spec.storage.egress else { return remove_egress(context, &name).await };
    let hash = names::class_hash(&name);
    let labels = BTreeMap::from([
        (CLASS_LABEL.to_owned(), hash.clone()),
        (EGRESS_LABEL.to_owned(), EGRESS_OF_CLASS.to_owned()),
    ]);
    let policy = NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(names::egress_policy(&hash)),
            labels: Some([(MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned())].into()),
            owner_references: Some(vec![OwnerReference {
                api_version: TenantClass::api_version(&()).into_owned(),
                kind: TenantClass::kind(&()).into_owned(),
                name,
                uid: class.uid().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(false),
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }),
            policy_types: Some(vec!["Egress".into()]),
            egress: Some(rules.iter().map(Into::into).collect()),
            ..NetworkPolicySpec::default()
        }),
    };
    let params = PatchParams::apply(CLASS_MANAGER).force();
    api(context).patch(&names::egress_policy(&hash), &params, &Patch::Apply(&policy)).await?;
    Ok(())
}

/// Removes it.
pub async fn remove_egress(context: &Context, class: &str) -> Result<(), ReconcileError> {
    let (api, name) = (api(context), names::egress_policy(&names::class_hash(class)));
    if api.get_metadata_opt(&name).await?.is_some() {
        match api.delete(&name, &DeleteParams::default()).await {
            Err(error) if is_absent(&error) => {}
            other => drop(other?),
        }
    }
    Ok(())
}

fn api(context: &Context) -> Api<NetworkPolicy> {
    Api::namespaced(context.client.clone(), &context.config.runtime_namespace)
}
