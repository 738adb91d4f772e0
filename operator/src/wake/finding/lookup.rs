//! Finding at the API server.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kube::{Api, ResourceExt as _};
use roost_crds::{OperatingMode, Tenant, TenantClass};
use roost_protocol::{
    BranchKey,
    problem::{ErrorCode, Problem},
};

use super::{
    facts::{Facts, may_try},
    objects::{branch, tenant},
    target::{Target, TargetState, Targets},
};
use crate::{
    pods::names,
    runtime::settings,
    storage::location::identity,
    tenant::inputs,
    wake::cluster::{RealCluster, api_failed},
};

/// Longest wait of a wake for the first reconcile of an object that was made a moment ago.
const FIRST_RECONCILE: Duration = Duration::from_secs(10);
/// Pause between two looks at such an object.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

impl RealCluster {
    async fn look(&self, key: &BranchKey) -> Result<Target, Problem> {
        let tenant = tenant(&self.0, key).await?;
        let branch = branch(&self.0, key).await?;
        let suspended = OperatingMode::Suspended;
        if tenant.spec.operating_mode() == suspended
            || branch.as_ref().is_some_and(|branch| branch.spec.operating_mode() == suspended)
        {
            return Err(Problem::new(
                ErrorCode::Suspended,
                format!("{key} is suspended by its operatingMode"),
            ));
        }
        let facts = branch.as_ref().map_or_else(|| Facts::from(&tenant), Facts::from);
        may_try(key, &facts)?;
        let (Some(location), Some(class)) = (&facts.location, &facts.class) else {
            return Err(Problem::new(ErrorCode::TenantNotReady, format!("{key} has no class yet")));
        };
        let classes: Api<TenantClass> = Api::all(self.0.client.clone());
        let class = classes.get_opt(class).await.map_err(api_failed)?.ok_or_else(|| {
            Problem::new(
                ErrorCode::TenantNotReady,
                format!("the TenantClass {class} of {key} does not exist"),
            )
        })?;
        let uid = tenant.uid().unwrap_or_default();
        let branch_generation =
            branch.as_ref().and_then(|branch| branch.metadata.generation).unwrap_or_default();
        let state = TargetState {
            identity: identity(location),
            idle_timeout: class.spec.idle_timeout(tenant.spec.idle_timeout.as_ref()),
            durability: settings::terms(&class.spec, &tenant.spec),
            init_script: self.init_script(key, &tenant, &facts).await?,
            encryption_key: tenant.status.as_ref().and_then(|status| status.encryption_key.clone()),
            class: Arc::new(class),
        };
        Ok(Target {
            key: key.clone(),
            pod: names::serving_pod(&uid, &key.branch),
            tenant_uid: uid,
            generation: tenant.metadata.generation.unwrap_or_default()
                + branch_generation
                + state.class.metadata.generation.unwrap_or_default(),
            statement_timeout: state.class.spec.statement_timeout(),
            termination_grace: state.class.spec.termination_grace(),
            idle_least: state.class.spec.idle_least(),
            failure_told: facts.wake_failure.is_some(),
            state: Some(state),
        })
    }

    /// The script, as long as nothing was published; the runtime decides by HEAD whether it runs.
    async fn init_script(
        &self,
        key: &BranchKey,
        tenant: &Tenant,
        facts: &Facts,
    ) -> Result<Option<String>, Problem> {
        let script = tenant.spec.source.as_ref().and_then(|source| source.init_script.as_ref());
        let (Some(script), true, Some(0)) = (script, key.is_main(), facts.manifest) else {
            return Ok(None);
        };
        match inputs::init_script(&self.0, &key.namespace, script).await.map_err(api_failed)? {
            Ok(script) => Ok(Some(script)),
            Err(fault) => Err(Problem::new(ErrorCode::TenantNotReady, fault.message)),
        }
    }
}

#[async_trait]
impl Targets for RealCluster {
    async fn target(&self, key: &BranchKey) -> Result<Target, Problem> {
        let start = tokio::time::Instant::now();
        loop {
            match self.look(key).await {
                Err(problem)
                    if problem.code == ErrorCode::TenantNotReady && start.elapsed() < FIRST_RECONCILE =>
                {
                    let fresh = tenant(&self.0, key).await?;
                    let looked_at = fresh.status.as_ref().is_some_and(|status| status.position.is_some());
                    // Only what is new may become ready by itself in a moment.
                    if looked_at && key.is_main() {
                        return Err(problem);
                    }
                    tokio::time::sleep(LOOK_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}
