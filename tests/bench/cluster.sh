# shellcheck shell=bash
# For scripts that measure on the cluster "dev", from the root of the checkout: brings it up, with its S3 server, and sets
# what reaches both. The cluster goes when the script ends, if it was not up before and KEEP is not set.

began=''
finish() {
	local status=$?
	if [ -n "$began" ] && [ -z "${KEEP:-}" ]; then
		((status == 0)) || deploy/cluster/diagnose dev >&2 || true
		deploy/cluster/down dev
	fi
}
trap finish EXIT

if [ ! -f "$(deploy/cluster/state dev)/up" ]; then began=1; fi
deploy/cluster/up dev
deploy/cluster/s3-up dev
eval "$(deploy/cluster/kube dev)"
set -a
source "$(deploy/cluster/state dev)/s3/env"
ROOST_AUDIT_LOG=$(deploy/cluster/state dev)/etc/kubernetes/audit/log
set +a
