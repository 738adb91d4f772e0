# Settings and functions shared by every script here. To be sourced: source env.sh [NAME].
# With NAME (dev, demo or test) it also sets what belongs to that one cluster.
# shellcheck shell=bash disable=SC2034
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

KUBE_VERSION=v1.34.4
ETCD_TAG=3.6.5-0    # what this kubeadm expects; modules/etcd pins the same version
COREDNS_TAG=v1.12.1 # likewise, modules/coredns
PAUSE_TAG=3.10.1
HELM_VERSION=v4.3.1
WEED_VERSION=4.48
REGISTRY=registry.k8s.io # only a name: nothing is ever pulled
TOOLBOX_IMAGE=localhost/toolbox:1
WEED_IMAGE=localhost/seaweedfs:$WEED_VERSION

# What is costly to make, kept between clusters and checkouts: safe to delete while none runs.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/roost/cluster

# Everything that the running clusters write, and what is to be put back when the last one ends.
STATE_ROOT=/var/tmp/roost-cluster
MACHINE_STATE=$STATE_ROOT/.machine

# 198.18.0.0/15 is reserved for tests inside one machine or lab (RFC 2544): no route of the
# machine leads there, and a node's namespace has no default route at all.
TEST_NET=198.18.0.0/15

# The places that a node's programs write to. On the node each is a folder of $STATE; on the
# machine it stays an empty mount point while a cluster runs.
STATE_DIRS=(/etc/kubernetes /etc/cni/net.d /opt/containerd /usr/libexec/kubernetes /var/lib/cni
	/var/lib/containerd /var/lib/kubelet /var/lib/etcd /var/log/pods /var/log/containers)

# The machine-wide settings that `up` and the kubelet change, for the last `down` to put back.
SYSCTLS=(fs.inotify.max_user_instances kernel.panic kernel.panic_on_oops vm.overcommit_memory)

log() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
die() { log "$*"; exit 1; }

# Polls until a command succeeds: wait_for SECONDS COMMAND...
wait_for() {
	local deadline=$((SECONDS + $1)); shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < deadline)) || { log "timed out: $*"; return 1; }
		sleep 0.1
	done
}

# The Go build flags of a module, one a line.
build_flags() {
	local ldflags="-s -w" v=k8s.io/component-base/version
	case $1 in
	kube) ldflags+=" -X $v.gitVersion=$KUBE_VERSION -X $v.gitMajor=1 -X $v.gitMinor=34 -X $v.gitTreeState=clean" ;;
	helm) ldflags+=" -X helm.sh/helm/v4/internal/version.version=$HELM_VERSION" ;;
	esac
	printf '%s\n' -mod=readonly -trimpath -buildvcs=false -ldflags "$ldflags"
}

# The cache folder of a module's binaries. It exists only when it is complete.
bin_dir() {
	local key
	key=$({ cat "$HERE/modules/$1/go.mod" "$HERE/modules/$1/go.sum"; build_flags "$1"; uname -m; } | sha256sum)
	echo "$CACHE/bin/$1-${key:0:16}"
}

# The cache folder of the SeaweedFS binary, named after its pinned checksums.
weed_dir() {
	local key; key=$(sha256sum <"$HERE/s3/requirements.txt")
	echo "$CACHE/bin/weed-${key:0:16}"
}

# The cache folder of the image archives. It exists only when it is complete.
images_dir() {
	local key
	key=$({ for m in kube etcd coredns; do bin_dir $m; done; weed_dir
		cat "$HERE/config/pause.c" "$HERE/config/protocols" "$HERE/build-images"; } | sha256sum)
	echo "$CACHE/images-${key:0:16}"
}

# Sets what belongs to the cluster NAME: the number apart is what keeps clusters apart.
use_cluster() {
	NAME=$1
	local n
	case $NAME in
	demo) n=1 ;;
	test) n=2 ;;
	dev) n=3 ;;
	*) die "unknown cluster '$NAME': dev, demo or test" ;;
	esac
	HOST_IP=198.18.$n.1
	NODE_IP=198.18.$n.2
	POD_CIDR=198.18.$((64 + 4 * n)).0/22
	SERVICE_CIDR=198.19.$((16 * n)).0/20
	NODE_NAME=roost-$NAME
	CGROUP=roost-$NAME
	LINK=roost-$NAME # the machine's end of the veth pair: at most 15 characters
	STATE=$STATE_ROOT/$NAME
	PID_FILE=$STATE/node.pid
	KUBECONFIG=$STATE/etc/kubernetes/admin.conf
}

# The PID of the node's PID 1 as the machine sees it; fails when no node runs.
node_pid() {
	local pid
	pid=$(cat "$PID_FILE" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" |
		grep -q "node-init $NAME \$" && echo "$pid"
}

# Runs a command as a shell on the node would: node_exec COMMAND...
node_exec() {
	local pid
	pid=$(node_pid) || die "cluster $NAME does not run: $HERE/up $NAME"
	nsenter --target "$pid" --mount --net --pid --uts --ipc --cgroup -- \
		env -i PATH="$(bin_dir kube):/usr/sbin:/usr/bin:/sbin:/bin" HOME=/root "$@"
}

# Prints a file with each @SETTING@ replaced: render FILE
render() {
	local s script=
	for s in NAME NODE_NAME NODE_IP POD_CIDR SERVICE_CIDR KUBE_VERSION ETCD_TAG COREDNS_TAG PAUSE_TAG \
		REGISTRY TOOLBOX_IMAGE WEED_IMAGE STATE; do
		script+="s|@$s@|${!s}|g;"
	done
	sed "$script" "$1"
}

if [ $# -gt 0 ]; then use_cluster "$1"; fi
