//! Options of `roost-operator fsck`.

use anyhow::Context as _;
use clap::Args;

use crate::command_output::Output;

/// Verifies what a class's bucket holds. Read-only.
///
/// Follows HEADs, the past within the class's recoveryWindow, pins and snapshots, reads every chunk and every piece of
/// WAL that they refer to, and checks it. Prints for each tenant how many objects are reachable, and lists the others:
/// what is to be collected, what a writer may still refer to, and what Roost does not know. Ends with status 0 if nothing
/// is missing, damaged or unknown, with 1 otherwise, and with 2 if the bucket could not be read.
///
/// With --replay it tries instead how far a branch of a tenant opens, in a pod that replays its WAL and keeps nothing: for
/// a Tenant or Branch with the reason ReplayFailed. Prints the last commit that opens and the first that does not, and ends
/// with status 0 if everything opens.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  kubectl -n roost-system exec deploy/roost-operator -- \
    roost-operator fsck standard --tenant shop/acme")]
pub struct Options {
    /// The TenantClass whose bucket is read.
    pub class: String,
    /// Only this tenant, as NAMESPACE/NAME.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub tenant: Option<String>,
    /// Look only whether everything is there: read no data. For a first look at a large bucket.
    #[arg(long)]
    pub names_only: bool,
    /// Try how far a branch of this tenant can be replayed.
    #[arg(long, requires = "tenant", conflicts_with = "names_only")]
    pub replay: bool,
    /// With --replay: the branch.
    #[arg(long, requires = "replay", default_value = "main")]
    pub branch: String,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Namespace of the operator, where the class's Secrets are.
    #[arg(long, env = "ROOST_NAMESPACE", default_value = "roost-system")]
    pub namespace: String,
}

/// Namespace and name.
pub(super) fn names(tenant: &str) -> anyhow::Result<(&str, &str)> {
    let names = tenant.split_once('/');
    names.with_context(|| format!("{tenant:?} is no tenant's name; write NAMESPACE/NAME, such as shop/acme"))
}
