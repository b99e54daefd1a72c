# shellcheck shell=bash
# To be read by `.` after `inside`: containerd with its configuration at the real places, its images
# and containers on the disk of SCRATCH (overlays do not go on top of overlays), and our drop-in.

# containerd_config DISABLED-PLUGIN...: $version is that of the configuration, 2 or 3. Whatever is on
# standard input comes behind the drop-in, in the same file.
containerd_config() {
	local plugin disabled=""
	engine="containerd $(containerd --version | awk '{ print $3 }' | sed 's/[~+].*//')"
	version=2
	[[ "$engine" != "containerd "2.* ]] || version=3
	for plugin in "$@" aufs btrfs devmapper zfs; do
		case $plugin in
		aufs | btrfs | devmapper | zfs) plugin=io.containerd.snapshotter.v1.$plugin ;;
		esac
		disabled+="\"$plugin\", "
	done
	mkdir -p /etc/containerd/conf.d /var/lib/containerd "$SCRATCH/var"
	mount --bind "$SCRATCH/var" /var/lib/containerd || exit 1
	cat >/etc/containerd/config.toml <<-TEXT
		version = $version
		disabled_plugins = [$disabled]
		imports = ["/etc/containerd/conf.d/*.toml"]
	TEXT
	{
		drop_in "containerd/$((version - 1)).x.toml"
		cat
	} >/etc/containerd/conf.d/rt.toml
}

# start_containerd: ends the script when it does not
start_containerd() {
	daemon containerd containerd -l warn
	containerd_pid=$!
	if ! until_ok 30 ctr version; then
		fail "containerd starts" "$SCRATCH/containerd.log"
		exit 1
	fi
	pass "$engine starts"
}

# restart_containerd: its containers go on
restart_containerd() {
	kill "$containerd_pid"
	timeout $((20 * SLOW)) tail --pid="$containerd_pid" -f /dev/null
	daemon containerd containerd -l warn
	containerd_pid=$!
	check "containerd starts again" until_ok 30 ctr version
}

# The cgroups of containers and pods, without those which are only their parents. A kubelet does not
# know the hierarchy of version 2 beside those of version 1, and leaves the parents that its pods had.
cgroups_left() {
	local left
	left=$(find /sys/fs/cgroup -type d -path "*$TAG*/*" ! -name '*.slice' \
		! -regex '.*/\(kubepods\|burstable\|besteffort\)' ! -regex '.*/unified/.*/pod[^/]*' 2>/dev/null)
	[ -z "$left" ] || { echo "$left"; false; }
}

# nothing_left NAMESPACE: no shim, no cgroup, no mount, no state of containers
nothing_left() {
	check "no shim is left" until_ok 10 bash -c '! pgrep -f "^/usr/bin/containerd-shim"'
	check "no cgroup is left" eval 'until_ok 5 cgroups_left || cgroups_left'
	check "no mount is left" bash -c "! grep -E '/(rootfs|shm) ' /proc/self/mountinfo | grep /run/containerd/"
	check "no bundle is left" until_ok 10 bash -c "! ls -A /run/containerd/io.containerd.runtime.v2.task/$1 | grep ."
	check "no state of the runtime is left" bash -c "[ -z \"\$('$RT' --root /run/containerd/runc/$1 list -q)\" ]"
}
