#!/bin/bash
# podman.sh: Podman and conmon as root, with their storage in a scratch directory, and RT as their
# runtime.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/podman-options.sh"
. "$(dirname "$0")/podman-life.sh"
. "$(dirname "$0")/podman-pods.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then outside_with_tree; fi
inside

engine="Podman $(podman --version | awk '{ print $3 }')"
version_of_rt=$("$RT" --version)
# It ignores what it does not know.
old_runc() { [[ "$version_of_rt" == "runc version 1.1."*go:* ]]; }
box=localhost/box:1
# Of a build Podman takes it for the cgroup itself.
case $VIEW in
systemd) parent=$TAG.slice build=$TAG.slice:build:1 ;;
*) parent=/$TAG build=/$TAG/build ;;
esac

configure() {
	# The native overlay does not go on top of an overlay, and runc makes directories in TMPDIR
	# that a mapped root has to reach.
	mkdir -p /var/lib/containers /etc/containers/containers.conf.d
	mount -t tmpfs -o mode=755 tmpfs /var/lib/containers
	export TMPDIR=/tmp PODMAN_IGNORE_CGROUPSV1_WARNING=1
	drop_in podman/rt.conf >/etc/containers/containers.conf.d/rt.conf
	local processes firewall=''
	processes=$(ulimit -Hu | sed s/unlimited/-1/)
	command -v nft >/dev/null || firewall='firewall_driver = "iptables"'
	# Podman would raise the limits, which root without CAP_SYS_RESOURCE may not.
	cat >/etc/containers/containers.conf.d/test.conf <<-TEXT
		[engine]
		events_logger = "file"
		$([ "$VIEW" = systemd ] || echo 'cgroup_manager = "cgroupfs"')
		[containers]
		$([ "$VIEW" != v2 ] || echo 'pids_limit = 0')
		default_ulimits = ["nofile=1024:1024", "nproc=$processes:$processes"]
		[network]
		$firewall
	TEXT
	ln -s "$(command -v podman)" bin/p
	printf '#!/bin/sh\nverb=$1; shift\nexec podman "$verb" --cgroup-parent "%s" --network none "$@"\n' "$parent" >bin/new
	chmod 755 bin/new
}

stop_engine() {
	p pod rm -fat 0 >/dev/null 2>&1
	p rm -fat 0 >/dev/null 2>&1
	umount -l /var/lib/containers/storage/overlay 2>/dev/null
	# Of pods that were not told where.
	find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} \; 2>/dev/null
}

state() { p inspect -f '{{.State.Status}}' "$1"; }
is() { [ "$(state "$1")" = "$2" ]; }

one_shot() {
	try new run --rm $box sh -c 'echo out; echo err >&2; exit 5'
	want "run: output, errors and exit code" 5 out err
	try new run --rm $box
	want "the image's command" 0 "default command"
	try new run --rm -e A=b -w /data -u app -h box $box sh -c 'echo $FROM_IMAGE $A $PWD $(id -u) $(hostname)'
	want "env, cwd, user, host name" 0 "yes b /data 1000 box"
	try new run --rm -v "$SCRATCH/box:/mnt:ro" $box sh -c 'ls /mnt; touch /mnt/x'
	want "a read-only volume" 1 "bin*" "*Read-only file system*"
	try new run --rm --read-only --tmpfs /tmp $box sh -c 'touch /tmp/x && touch /x'
	want "read-only root and a tmpfs" 1 "" "*/x: Read-only file system*"
	try new run --rm $box sh -c 'grep -E "^(Seccomp|NoNewPrivs|CapEff):" /proc/self/status'
	want "default seccomp and capabilities" 0 $'CapEff:\t00000000*Seccomp:\t2*'
	try new run --rm --privileged $box sh -c 'mount -t tmpfs t /tmp && echo mounted'
	want "privileged" 0 mounted
	try new run --rm --ipc host --pid host $box sh -c '[ $$ != 1 ] && echo shared'
	want "the host's pid and ipc namespaces" 0 shared
	head -c 300000 /dev/urandom | base64 >box/data.in
	timeout 30 new run --rm -v "$SCRATCH/box:/mnt:ro" $box cat /mnt/data.in >data.out
	check "a large output is whole" cmp data.out box/data.in
	echo "through standard input" | timeout 30 new run --rm -i $box cat >data.out
	check "standard input" grep -qx "through standard input" data.out
}

failing() {
	try new run --rm $box nowhere
	want "a missing program: 127" 127 "" '*executable file*not found*'
	try new run --rm $box /no/where
	want "a missing path: 127" 127 "" '*[Nn]o such file or directory*'
	try new run --rm $box /bin/plain-file
	want "a file that is not executable: 126" 126 "" '*permission denied*'
	try new run --rm $box /bin
	want "a directory: 126" 126 "" "*"
	try new run --rm --no-such-option $box true
	want "Podman's own failure: 125" 125
	try new run --rm -w /no/where/at/all $box true
	[ "$rc" = 126 ] || [ "$rc" = 127 ] && rc=126
	want "a missing working directory" 126 "" "*"
	try p ps -aq
	want "nothing of them is left" 0 ""
}

terminal() {
	check "run -it: a terminal, its size, exit code" shell_session new run --rm -it $box sh
}

box_image box.tar
configure
try p load -i box.tar
want "podman loads an image" 0 "*localhost/box:1*"
[ "$rc" = 0 ] || exit 1
try p info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}} {{.Host.OCIRuntime.Version}}'
want "info names the runtime and its version" 0 "rt $RT $version_of_rt*"
make_hook
ranges
for part in ${PARTS:-one_shot failing security devices id_maps no_cgroups lasting secrets volumes limits terminal detached health updating \
	checkpoint files builds pods kube networks systemd_mounts systemd_inside debian many}; do
	$part
done
try p ps -aq
want "no container is left" 0 ""
check "no conmon is left" until_ok 5 bash -c '! pgrep -x conmon'
