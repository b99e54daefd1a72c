#!/bin/sh
# A container from nothing but this host: a rootfs of the host's own programs, a config.json, and
# one `rt run`. As root, or as an ordinary user in a user namespace. Needs no network.
#
# RT=PATH runs another runtime. What is made lies below one temporary directory and goes with it.
set -eu
cd "$(dirname "$0")/.."

RT=${RT:-dist/rt}
case $RT in
/*) ;;
*/*) RT=$PWD/$RT ;;
esac
name=rt-demo-$$
work=$(mktemp -d)
state=$work/state
bundle=$work/bundle

clean() {
	# There is one only after an interrupt.
	for left in "$state"/*/; do
		[ ! -d "$left" ] || "$RT" --root "$state" delete --force "$(basename "$left")" >&2 || true
	done
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# Milliseconds. Where date(1) knows no nanoseconds, the up-time in steps of 10 ms has to do.
now_ms() {
	ns=$(date +%s%N)
	case $ns in
	*[!0-9]* | ??????????) awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime ;;
	*) echo "$((ns / 1000000))" ;;
	esac
}

# Each insertion is a line of JSON behind a line of demo/config.json.
edit() { sed -i "$1" "$bundle/config.json"; }

# The limits which this host's cgroup v2 can enforce; without a v2 controller, only rlimits.
limits() {
	mount=/sys/fs/cgroup
	# The last mount is on top of the others. Mounts that it hides can't be read.
	for mount in $(awk '$3 == "cgroup2" { print $2 }' /proc/self/mounts | tac); do
		[ ! -r "$mount/cgroup.controllers" ] || break
	done
	controllers=" $(cat "$mount/cgroup.controllers" 2>/dev/null || true) "
	case $controllers in
	*" memory "*" pids "*)
		echo "cgroup v2 at $mount: 64 MiB of memory, 32 processes"
		resources='"memory": { "limit": 67108864 }, "pids": { "limit": 32 }'
		edit 's|"type": "network" }|&, { "type": "cgroup" }|'
		cgroups='{ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"] }'
		edit "s|^    { \"destination\": \"/tmp\"|    $cgroups,\n&|"
		;;
	*" hugetlb "*)
		kilobytes=$(ls /sys/kernel/mm/hugepages | sed -n 's/^hugepages-\(.*\)kB$/\1/p' | sort -n | head -n 1)
		page=$((kilobytes / 1024))MB
		echo "memory and pids are not in this host's cgroup v2: limiting $page pages and rlimits"
		resources="\"hugepageLimits\": [{ \"pageSize\": \"$page\", \"limit\": 0 }]"
		;;
	*)
		echo "no controllers in this host's cgroup v2: limiting by rlimits only"
		return
		;;
	esac
	edit "s|^  \"linux\": {|&\n    \"cgroupsPath\": \"/$name\", \"resources\": { $resources },|"
}

# What keeps an ordinary user from user namespaces, if anything does.
check_user_namespaces() {
	for setting in kernel/unprivileged_userns_clone=0 user/max_user_namespaces=0 \
		kernel/apparmor_restrict_unprivileged_userns=1; do
		file=${setting%=*}
		if [ "$(cat "/proc/sys/$file" 2>/dev/null)" = "${setting#*=}" ]; then
			echo "user namespaces may be refused here: sysctl $(echo "$file" | tr / .) is ${setting#*=}" >&2
		fi
	done
}

programs="sh cat ls grep sed true"
for program in id ps mount; do
	! command -v "$program" >/dev/null || programs="$programs $program"
done

mkdir "$bundle"
begin=$(now_ms)
# shellcheck disable=SC2086 # the words are the programs
dist/bundles rootfs --from-host $programs "$bundle/rootfs"
echo "rootfs of $(echo "$programs" | wc -w) programs, $(find "$bundle/rootfs" -type f | wc -l) files: $(($(now_ms) - begin)) ms"
cp demo/inside.sh "$bundle/rootfs/inside.sh"
cp demo/config.json "$bundle/config.json"

if [ "$(id -u)" = 0 ]; then
	limits
else
	echo "not root: a user namespace with uid $(id -u) as its root, rlimits only"
	check_user_namespaces
	mapping() { echo "[{ \"containerID\": 0, \"hostID\": $1, \"size\": 1 }]"; }
	edit "s|^  \"linux\": {|&\n    \"uidMappings\": $(mapping "$(id -u)"), \"gidMappings\": $(mapping "$(id -g)"),|"
	edit 's|"type": "network" }|&, { "type": "user" }|'
fi

echo "running $RT"
begin=$(now_ms)
"$RT" --root "$state" run --bundle "$bundle" "$name" </dev/null
took=$(($(now_ms) - begin))

runs=10
edit 's|"args": .*|"args": ["/bin/true"],|'
begin=$(now_ms)
for run in $(seq $runs); do
	"$RT" --root "$state" run --bundle "$bundle" "$name-$run" </dev/null
done
all=$(($(now_ms) - begin))
printf '\n--- time\nthe container above: %s ms; /bin/true in a new container, mean of %s runs: %s.%s ms\n' \
	"$took" "$runs" "$((all / runs))" "$((all % runs * 10 / runs))"
