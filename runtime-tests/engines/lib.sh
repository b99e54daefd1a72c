# shellcheck shell=bash
# To be read by `.` from the scripts beside this file, as their first step: runs the script again
# in private namespaces, where everything it starts dies with it, and counts what it finds.
#
#   RT      the runtime under test (default dist/rt); a bare name is looked up in the tree
#   SUITE   the Debian suite whose engines are used, in a root file system made by `tree`
#   VIEW    host: the cgroups as they are; v2: cgroup2 over /sys/fs/cgroup; v1: nothing but v1 there;
#           systemd: as they are, and the systemd of this (virtual) machine makes those of containers
#   RT_TEST_SLOW  how many times slower than usual this machine is: waits are longer (default 1)
#   TAG     names every cgroup that a script makes; they are removed at the end
#   SCRATCH a directory which is removed at the end
#   rt      a command: RT with a --root of its own

set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
RT=${RT:-$TOP/dist/rt}
VIEW=${VIEW:-host}
SLOW=${RT_TEST_SLOW:-1}
export PATH="$PATH:/usr/sbin:/sbin"

# give_up WORD REASON: ends a script that cannot start; WORD is skip or "not ok"
give_up() {
	echo "$1 - $2"
	if [ "$1" = skip ]; then
		echo "0 passed, 0 failed, 1 skipped"
		[ -z "${RT_TEST_NO_SKIP:-}" ]
	else
		echo "0 passed, 1 failed, 0 skipped"
		false
	fi
	exit
}

need_root() {
	[ "$(id -u)" = 0 ] || RT_TEST_NO_SKIP='' give_up skip "engines are started as root only"
}

# need_runtime: RT becomes an absolute path
need_runtime() {
	[ -x "$RT" ] || give_up "not ok" "no runtime $RT; make release builds dist/rt"
	RT=$(realpath "$RT")
}

# outside PROGRAM...: what a script with programs of this host needs
outside() {
	need_root
	need_runtime
	need unshare python3 "$@"
	enter
}

# outside_with_tree: for a script whose programs come from the tree of SUITE
outside_with_tree() {
	need_root
	[[ "$RT" != */* ]] || need_runtime
	SUITE=${SUITE:-bookworm}
	need unshare pivot_root
	TREE=$("$HERE/tree" "$SUITE") || give_up skip "the engines of Debian $SUITE could not be fetched"
	export SUITE TREE
	enter
}

need() {
	local need missing=""
	for need; do
		command -v "$need" >/dev/null || missing="$missing $need"
	done
	[ -z "$missing" ] || give_up skip "not installed:$missing (.ci/install-deps engines)"
}

enter() {
	SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/rte.XXXXXX")
	# No dash: systemd would read a slice of that name as one within another.
	TAG=rte${SCRATCH##*.}
	export RT VIEW SCRATCH TAG
	trap after EXIT
	trap 'kill "$inside" 2>/dev/null; exit 130' INT TERM HUP
	# systemd is told of processes by their number, which has to be that of its own namespace.
	local pids="-p -f --kill-child --mount-proc"
	[ "$VIEW" != systemd ] || pids=""
	# No terminal from outside: what a test needs of one it makes itself.
	# shellcheck disable=SC2086 # words
	RT_ENGINES_INSIDE=1 unshare -m -n -i -u $pids --propagation private bash "$0" </dev/null &
	inside=$!
	wait "$inside"
	exit
}

# Nothing lives in there any more. The kernel removes dead processes from a cgroup a little late.
after() {
	local rc=$? try left
	for try in 1 2 3 4 5 6 7 8 9 10; do
		left=$(find /sys/fs/cgroup -depth -type d -path "*$TAG*" ! -exec rmdir {} \; -print 2>/dev/null)
		[ -n "$left" ] || break
		sleep "0.$try"
	done
	rm -rf --one-file-system "$SCRATCH"
	if [ -n "$left" ]; then
		printf 'cgroups are left:\n%s\n' "$left" >&2
		rc=1
	fi
	exit "$rc"
}

# The tree becomes the root, with a tmpfs over it that takes what is written, and the script starts a
# third time in there. A chroot would not do: the kernel makes no user namespaces for processes in one.
change_root() {
	local over=$SCRATCH/over root=$SCRATCH/root dir bind
	mkdir "$over" "$root" && mount -t tmpfs -o mode=755 tmpfs "$over" && mkdir "$over/upper" "$over/work" &&
		mount -t overlay -o "lowerdir=$TREE,upperdir=$over/upper,workdir=$over/work" overlay "$root" || exit 1
	# sysfs shows the devices of the network namespace that it was mounted in.
	mount --rbind /dev "$root/dev" && mount --rbind /proc "$root/proc" && mount -t sysfs sysfs "$root/sys" &&
		mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup" || exit 1
	mount -t tmpfs -o mode=755 tmpfs "$root/run" && mount -t tmpfs -o mode=1777 tmpfs "$root/tmp" || exit 1
	# What is outside stays at its place. RT comes where an administrator would put it.
	for dir in "$TOP" "${RT_CACHE:-}" "$SCRATCH"; do
		[ -d "$dir" ] || continue
		# With what is mounted below it, as the tree of a virtual machine; the new root is below SCRATCH.
		bind=--rbind
		[ "$dir" != "$SCRATCH" ] || bind=--bind
		mkdir -p "$root$dir" && mount $bind "$dir" "$root$dir" || exit 1
		[ "$dir" = "$SCRATCH" ] || mount -o remount,bind,ro "$root$dir" || exit 1
	done
	if [ "$VIEW" = systemd ]; then
		mkdir "$root/run/systemd" "$root/run/dbus"
		mount --rbind /run/systemd "$root/run/systemd" && mount --rbind /run/dbus "$root/run/dbus" || exit 1
	fi
	case $RT in
	*/*) cp "$RT" "$root/usr/local/bin/" && RT=/usr/local/bin/$(basename "$RT") ;;
	*) RT=$(chroot "$root" sh -c 'command -v "$0"' "$RT") || give_up "not ok" "no $RT in the tree" ;;
	esac
	cd "$root" && pivot_root . . && umount -l . && cd / || exit 1
	RT_ENGINES_INSIDE=tree exec bash "$HERE/$(basename "$0")"
}

# The hierarchies of v1 as if there were no v2, which crun wants; RT finds v2 where it is then.
only_v1() {
	local dir
	mkdir /run/cgroup2 /run/cgroup1 && mount -t cgroup2 cgroup2 /run/cgroup2 &&
		mount -t tmpfs -o mode=755 tmpfs /run/cgroup1 || return
	for dir in /sys/fs/cgroup/*; do
		if [ -L "$dir" ]; then
			cp -P "$dir" /run/cgroup1/
		elif [ -e "$dir/tasks" ]; then
			mkdir "/run/cgroup1/${dir##*/}" && mount --bind "$dir" "/run/cgroup1/${dir##*/}" || return
		fi
	done
	umount -R -l /sys/fs/cgroup && mount --move /run/cgroup1 /sys/fs/cgroup
}

inside() {
	if [ -n "${TREE:-}" ] && [ "$RT_ENGINES_INSIDE" != tree ]; then change_root; fi
	passed=0 failed=0 skipped=0 started=$SECONDS
	ip link set lo up 2>/dev/null
	hostname rt-engines
	case $VIEW in
	v2) mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 1 ;;
	v1) only_v1 || exit 1 ;;
	esac
	if [ -z "${TREE:-}" ]; then
		mount -t tmpfs -o mode=755 tmpfs /run
		# Whatever a script or an engine gets wrong, the host's files stay as they are: an absolute
		# link in an image, followed from outside, has overwritten one before.
		# /tmp stays writable: runc makes directories there, and removes them.
		mount --bind /tmp /tmp && mount --bind "$SCRATCH" "$SCRATCH" &&
			mount -o remount,bind,ro / || exit 1
	fi
	mkdir -p /run/lock
	cd "$SCRATCH" || exit 1
	mkdir -p bin home tmp
	export HOME=$SCRATCH/home TMPDIR=$SCRATCH/tmp
	export TERM=dumb # no escape sequences from shells
	export SYSTEMD_IGNORE_CHROOT=1 # our root is another than that of process 1
	printf '#!/bin/sh\nexec "%s" --root "%s" "$@"\n' "$RT" "$SCRATCH/state" >bin/rt
	chmod 755 bin/rt
	PATH=$SCRATCH/bin:$PATH
	# An engine gets a chance to end its own processes; the namespace takes the rest.
	trap finish EXIT
}

# drop_in FILE: a file of contrib/, naming the runtime under test
drop_in() {
	sed "s|/usr/local/bin/rt|$RT|g" "$TOP/contrib/$1"
}

pass() {
	passed=$((passed + 1))
	echo "ok - $1"
}

# fail NAME [FILE...]: with the ends of the files that tell why
fail() {
	failed=$((failed + 1))
	echo "not ok - $1"
	shift
	local file
	for file in "$@"; do
		[ -s "$file" ] && tail -n "${LINES_OF_LOG:-15}" "$file" | sed 's/^/    /'
	done
	return 0
}

skip() {
	skipped=$((skipped + 1))
	echo "skip - $1: $2"
}

# check NAME COMMAND...: passes when the command does; its output tells why not
check() {
	local name=$1
	shift
	if "$@" >"$SCRATCH/check.log" 2>&1; then
		pass "$name"
	else
		echo "(status $?: ${1##*/} ${2-} ...)" >>"$SCRATCH/check.log"
		fail "$name" "$SCRATCH/check.log"
	fi
}

# try COMMAND...: output into $out, errors into $err, status into $rc; at most 30 s
try() {
	timeout -k 5 $((30 * SLOW)) "$@" >"$SCRATCH/try.out" 2>"$SCRATCH/try.err" </dev/null
	rc=$?
	out=$(tr -d '\r' <"$SCRATCH/try.out")
	err=$(cat "$SCRATCH/try.err")
	last="$*"
}

# want NAME RC [OUTPUT [ERROR]]: what the last `try` has to have given, the texts as shell patterns
want() {
	# shellcheck disable=SC2053,SC2254 # patterns are wanted
	if [ "$rc" = "$2" ] && { [ $# -lt 3 ] || [[ "$out" == $3 ]]; } && { [ $# -lt 4 ] || [[ "$err" == $4 ]]; }; then
		pass "$1"
	else
		{
			echo "command: $last"
			echo "wanted: status $2${3+, output $3}${4+, error $4}"
			echo "status: $rc"
			echo "output: $out"
			echo "error: $err"
		} >"$SCRATCH/want.log"
		fail "$1" "$SCRATCH/want.log"
	fi
}

# until_ok SECONDS COMMAND...: asks again until it works
until_ok() {
	local end=$((SECONDS + $1 * SLOW))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# console ROWSxCOLUMNS SCRIPT COMMAND...: the command on a terminal of its own, see console.py
console() {
	timeout -k 5 $((60 * SLOW)) python3 "$HERE/console.py" "$@"
}

# shell_session COMMAND...: a shell of the command on a new terminal knows it and its size, also a new
# one, and its exit code comes back. Docker tells it the size first and listens for a new one a little
# later: a slow machine gets time between.
shell_session() {
	console 24x80 '
		expect [#$] 
		send tty\n
		expect ^/dev/(pts/0|console)
		send until [ "$(stty size)" = "24 80" ]; do sleep 0.1; done; sleep '"$((SLOW - 1))"'; stty size\n
		expect ^24 80\r
		resize 35x99
		send until [ "$(stty size)" = "35 99" ]; do sleep 0.1; done; stty size\n
		expect ^35 99\r
		send exit 6\n
		exit 6' "$@"
}

# asking URL: prints what a container runs to get it, for some seconds: the engine's name server learns of
# a container when it starts, and for a moment answers nobody
asking() {
	echo "for try in 1 2 3 4 5; do wget -q -O - $1 2>/dev/null && exit; sleep 1; done; wget -O - $1"
}

finish() {
	local rc=$?
	trap - EXIT
	if command -v stop_engine >/dev/null; then stop_engine; fi
	if [ $((passed + failed + skipped)) = 0 ] || { [ "$rc" != 0 ] && [ "$failed" = 0 ]; }; then
		echo "not ok - the script ended early, with status $rc"
		failed=$((failed + 1))
	fi
	# For `table`: what was run on what, the counts, the seconds.
	if [ -n "${TREE:-}" ]; then
		printf 'result\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(basename "$0" .sh)" "$SUITE" "${PLACE:-$VIEW}" \
			"$(basename "$RT")" "${engine:-}" "$passed" "$failed" "$skipped" $((SECONDS - started))
	fi
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ]
	exit
}

# debian_rootfs [NAME PACKAGE,...]: the path of a Debian root file system in $rootfs, made once and
# kept. To be called outside, where the network is.
debian_rootfs() {
	local name=${1:-debian-1} packages=${2:-apt,bash,nginx-light,procps}
	local cache=${RT_CACHE:-${CARGO_TARGET_DIR:-$TOP/target}/engines}
	rootfs=$cache/$name
	export rootfs
	[ ! -d "$rootfs" ] || return 0
	if ! command -v mmdebstrap >/dev/null; then
		echo "mmdebstrap is not installed (.ci/install-deps engines)" >&2
		return 1
	fi
	mkdir -p "$cache"
	rm -rf "$cache/new.$$"
	echo "making a Debian root file system in $rootfs" >&2
	if mmdebstrap --quiet --variant=minbase --include="$packages" \
		"${DEBIAN_SUITE:-bookworm}" "$cache/new.$$" >"$cache/mmdebstrap.log" 2>&1; then
		# Whole or not at all; somebody else may have made it at the same time.
		mv -T "$cache/new.$$" "$rootfs" 2>/dev/null || rm -rf "$cache/new.$$"
	else
		tail -n 5 "$cache/mmdebstrap.log" >&2
		rm -rf "$cache/new.$$"
		return 1
	fi
}

# box_image ARCHIVE: an image localhost/box:1 of busybox alone, a /data directory and some files
# that cannot be run, for error texts.
box_image() {
	local root=$SCRATCH/box
	mkdir -p "$root"/{bin,etc,tmp,data,proc,sys,dev}
	cp "$(command -v busybox)" "$root/bin/busybox"
	local applet
	for applet in $("$root/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -sf busybox "$root/bin/$applet"
	done
	echo "root:x:0:0:root:/:/bin/sh" >"$root/etc/passwd"
	echo "app:x:1000:1000:app:/data:/bin/sh" >>"$root/etc/passwd"
	printf 'root:x:0:\napp:x:1000:\n' >"$root/etc/group"
	echo "not to be run" >"$root/bin/plain-file"
	chmod 644 "$root/bin/plain-file"
	python3 "$HERE/image.py" "$root" localhost/box:1 "$1" sh -c 'echo default command'
}

# daemon NAME COMMAND...: in the background, with its output in NAME.log
daemon() {
	local name=$1
	shift
	"$@" >"$SCRATCH/$name.log" 2>&1 </dev/null &
	daemons="${daemons:-} $!"
}

stop_daemons() {
	local pid
	for pid in ${daemons:-}; do kill "$pid" 2>/dev/null; done
	for pid in ${daemons:-}; do timeout 10 tail --pid="$pid" -f /dev/null; done
}
