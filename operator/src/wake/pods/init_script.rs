//! The init script that a pod gets: the bucket knows it before the pod does.

use roost_protocol::problem::Problem;

use crate::{
    context::Context, reasons::problem_of_step, runtime::grant::DataAccess, storage::StepError,
    tenant::inputs,
};

/// Writes down what a tenant's data is about to come from.
/// Errors: `storage-unreachable`, `storage-denied`, `data-corrupted`, `data-missing`, `data-owned-elsewhere`,
/// `tenant-not-ready`.
pub async fn note(context: &Context, access: &DataAccess, script: &str) -> Result<(), Problem> {
    let noted = async {
        let store = context.buckets.tenant_in(&access.storage, &access.identity).await?;
        Ok(store.note_script(&inputs::script_hash(script)).await?)
    };
    noted.await.map_err(|error: StepError| problem_of_step(&error))
}
