//! Inputs of a Tenant in its own namespace that its spec refers to, read by GET when they are needed.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use roost_crds::{InitScript, Reason, names::TENANT_INPUTS_ROLE};

use crate::{context::Context, reasons::Fault};

/// Longest init script, in bytes.
const MAX_SCRIPT_BYTES: usize = 32 * 1024;
/// Name of the operator's ServiceAccount.
const SERVICE_ACCOUNT: &str = "roost-operator";

/// BLAKE3 of an init script, in hexadecimal: what the bucket and status know it by.
pub fn script_hash(script: &str) -> String {
    blake3::hash(script.as_bytes()).to_hex().to_string()
}

/// The text of an init script. The outer error is a passing failure of the API server.
pub async fn init_script(
    context: &Context,
    namespace: &str,
    script: &InitScript,
) -> Result<Result<String, Fault>, kube::Error> {
    if let Some(sql) = &script.sql {
        return Ok(checked(sql.clone()));
    }
    let Some(reference) = &script.config_map_ref else {
        return Ok(Err(Fault::new(Reason::InvalidSpec, "initScript has neither sql nor configMapRef")));
    };
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let map = match api.get_opt(&reference.name).await {
        Ok(map) => map,
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Ok(Err(not_permitted(namespace, &reference.name, &context.config.namespace)));
        }
        Err(error) => return Err(error),
    };
    let value = map.and_then(|map| map.data?.remove(&reference.key));
    Ok(match value {
        None => Err(Fault::new(
            Reason::InputsNotFound,
            format!("waits for ConfigMap {} with the key {}", reference.name, reference.key),
        )),
        Some(sql) if sql.len() > MAX_SCRIPT_BYTES => Err(Fault::new(
            Reason::InvalidSpec,
            format!("the init script has {} bytes, at most {MAX_SCRIPT_BYTES} are accepted", sql.len()),
        )),
        Some(sql) => checked(sql),
    })
}

/// The script, if DuckDB would read it to its end.
fn checked(sql: String) -> Result<String, Fault> {
    let Some((before, _)) = sql.split_once('\0') else { return Ok(sql) };
    let line = before.matches('\n').count() + 1;
    let message = format!(
        "the init script holds a NUL byte, at byte {} in line {line}: take it out, or write chr(0) in a text",
        before.len()
    );
    Err(Fault::new(Reason::InvalidSpec, message))
}

fn not_permitted(namespace: &str, name: &str, operator_namespace: &str) -> Fault {
    let command = format!(
        "kubectl create rolebinding {TENANT_INPUTS_ROLE} --namespace={namespace} \
         --clusterrole={TENANT_INPUTS_ROLE} --serviceaccount={operator_namespace}:{SERVICE_ACCOUNT}"
    );
    Fault::new(
        Reason::InputsNotPermitted,
        format!("Roost may not read ConfigMap {name}; allow it with: {command}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_duckdb_would_not_read_to_its_end_is_refused() {
        assert_eq!(checked("CREATE TABLE t (i INT);".into()).unwrap(), "CREATE TABLE t (i INT);");
        let fault = checked("DELETE FROM t;\nDELETE FROM u\0 WHERE i = 3".into()).unwrap_err();
        assert_eq!(fault.reason, Reason::InvalidSpec);
        assert!(fault.message.contains("NUL byte, at byte 28 in line 2"), "{}", fault.message);
    }

    #[test]
    fn the_refusal_shows_the_command_that_ends_it() {
        let fault = not_permitted("shop", "init", "roost-system");
        assert!(fault.message.ends_with(
            "kubectl create rolebinding roost-tenant-inputs --namespace=shop --clusterrole=roost-tenant-inputs \
             --serviceaccount=roost-system:roost-operator"
        ));
    }
}
