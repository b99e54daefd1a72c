# docker-limits.sh: what a container may do, what it has for itself, and how much; docker.sh calls these.
# shellcheck shell=bash disable=SC2016,SC2086,SC2154 # for shells inside; box, rc, out are docker.sh's

security() {
	try new run --rm --cap-drop ALL --cap-add NET_RAW --cap-add CHOWN $box grep CapBnd /proc/self/status
	want "--cap-drop ALL --cap-add" 0 $'CapBnd:\t0000000000002001'
	try new run --rm --cap-drop CHOWN $box chown app /etc/passwd
	want "--cap-drop CHOWN: no chown" 1 "" "*Operation not permitted*"
	try new run --rm -u app --security-opt no-new-privileges $box grep -E '^(NoNewPrivs|CapEff):' /proc/self/status
	want "no-new-privileges of a user" 0 $'CapEff:\t0000000000000000\nNoNewPrivs:\t1'
	try new run --rm --security-opt seccomp=unconfined $box grep Seccomp: /proc/self/status
	want "seccomp=unconfined" 0 $'Seccomp:\t0'
	echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],
		"action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}' >seccomp.json
	try new run --rm --security-opt seccomp=seccomp.json $box sh -c 'echo before; mkdir /new'
	want "seccomp=FILE" 1 before "*/new*: *not supported*"
	try new run --rm --privileged $box sh -c 'grep -E "^(CapEff|Seccomp):" /proc/self/status; ls /dev/kmsg'
	want_privileged "--privileged: all that there is" "$(every_capability)"$'\nSeccomp:\t0\n/dev/kmsg'
	try new run --rm $box sh -c 'ls /sys/firmware; cat /proc/timer_list /proc/keys; echo 1 >/proc/sys/vm/swappiness'
	want "masked and read-only paths" 1 "" "*Read-only file system*"
	try new run --rm --security-opt systempaths=unconfined $box grep -E " /proc/." /proc/mounts
	want "systempaths=unconfined" 1 ""
	try new run --rm --group-add 77 -u 1000:1000 $box id -G
	want "--group-add" 0 "1000 77"
}

namespaces() {
	local ns
	new run -d --name host1 -h first --ipc shareable --shm-size 2m $box sh -c 'echo shared >/dev/shm/word; exec sleep 1000' >/dev/null
	for ns in pid ipc network; do
		try new run --rm "--$ns" container:host1 $box readlink "/proc/self/ns/${ns/network/net}"
		[ "$ns" != network ] || try docker run --rm --network container:host1 $box readlink /proc/self/ns/net
		check "--$ns container:" test "$rc $out" = "0 $(readlink "/proc/$(inspect host1 .State.Pid)/ns/${ns/network/net}")"
	done
	try new run --rm --ipc container:host1 $box cat /dev/shm/word
	want "--ipc container: has its /dev/shm" 0 shared
	try new run --rm --pid container:host1 $box ps -o args
	want "--pid container: sees its processes" 0 "*sleep 1000*ps -o args*"
	try docker run --rm --network container:host1 $box hostname
	want "--network container: has its host name" 0 first
	try new run --rm --uts host $box hostname
	want "--uts host" 0 rt-engines
	try new run --rm --pid host $box sh -c '[ -e /proc/$0 ] && echo seen' $$
	want "--pid host" 0 seen
	try docker run --rm --network host $box readlink /proc/self/ns/net
	check "--network host" test "$rc $out" = "0 $(readlink /proc/self/ns/net)"
	try new run --rm --cgroupns host $box readlink /proc/self/ns/cgroup
	check "--cgroupns host" test "$rc $out" = "0 $(readlink /proc/self/ns/cgroup)"
	try new run --rm --cgroupns private $box sh -c 'readlink /proc/self/ns/cgroup; cat /proc/self/cgroup'
	check "--cgroupns private" test "$rc" = 0 -a "${out%%$'\n'*}" != "$(readlink /proc/self/ns/cgroup)"
	check "its cgroup is its root" bash -c '! sed 1d "$0" | grep -v ":/$"' "$SCRATCH/try.out"
	docker kill host1 >/dev/null
	remove host1
	try new run --rm --ipc none $box ls /dev/shm
	want "--ipc none" 1 "" "*No such file*"
	try new run --rm --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=4096 $box cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
	want "--sysctl of two namespaces" 0 $'1\n4096'
	try new run --rm --sysctl kernel.hostname=x $box true
	want "--sysctl of the host is refused" 125
}

devices() {
	try new run --rm --device /dev/fuse:/dev/other:r $box sh -c 'stat -c %t:%T /dev/other; : <>/dev/other'
	want "--device, to read only" 1 "a:e5" "*/dev/other: Operation not permitted*"
	try new run --rm --device /dev/fuse $box sh -c ': <>/dev/fuse && echo opened'
	want "--device" 0 opened
	try new run --rm $box sh -c 'mknod /dev/fuse c 10 229; : <>/dev/fuse'
	want "a device that is not given" 1 "" "*/dev/fuse: Operation not permitted*"
	try new run --rm --device-cgroup-rule 'c 10:229 rw' $box sh -c 'mknod /dev/fuse c 10 229; : <>/dev/fuse && echo opened'
	want "--device-cgroup-rule" 0 opened
	try new run --rm --device /no/device $box true
	# The client makes a status of the text, whoever wrote it.
	[ "$rc" = 127 ] && rc=125
	want "a device that is not there" 125 "" "*/no/device*no such file*"
}

# limit V1 V2: the file of a limit in its own cgroup, as the container sees it
limit() { echo "cd /sys/fs/cgroup; cat $1 2>/dev/null || cat $2"; }

limits() {
	try new run --rm --ulimit nproc=111:222 --ulimit nofile=77 $box grep -E 'processes|open files' /proc/self/limits
	want "--ulimit" 0 "Max processes * 111 * 222 *Max open files * 77 * 77 *"
	try new run --rm --oom-score-adj 500 $box cat /proc/self/oom_score_adj
	want "--oom-score-adj" 0 500
	if ! has_controllers; then
		skip "limits" "this view has no controllers"
		return
	fi
	try new run --rm --memory 32m --memory-swap 32m $box sh -c "$(limit memory/memory.limit_in_bytes memory.max)"
	want "--memory" 0 33554432
	try new run --rm --memory 32m --memory-reservation 16m $box sh -c "$(limit memory/memory.soft_limit_in_bytes memory.low)"
	want "--memory-reservation" 0 16777216
	try new run --rm --cpus 0.5 $box sh -c "$(limit cpu/cpu.cfs_quota_us cpu.max)"
	want "--cpus" 0 50000*
	try new run --rm --cpu-shares 2048 $box sh -c "$(limit cpu/cpu.shares cpu.weight)"
	# How shares become a weight depends on the age of the runtime.
	[ "$rc" = 0 ] && [ "$out" != 2048 ] && [ "$out" -gt 50 ] && out=2048
	want "--cpu-shares" 0 2048
	try new run --rm --cpuset-cpus 0 $box sh -c 'grep Cpus_allowed_list /proc/self/status'
	want "--cpuset-cpus" 0 $'Cpus_allowed_list:\t0'
	try new run --rm --pids-limit 50 $box sh -c "$(limit pids/pids.max pids.max)"
	want "--pids-limit" 0 50
	try new run --rm --pids-limit 5 $box sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	want "--pids-limit is effective" 2 "" "*can't fork*"
	try new run --name hungry --memory 16m --memory-swap 16m $box sh -c 'tail /dev/zero; exit 1'
	[ "$rc" != 1 ] || try new run --name hungry2 --memory 16m --memory-swap 16m $box tail /dev/zero
	want "--memory: out of memory ends with 137" 137
	check "OOMKilled" until_ok 5 has hungry .State.OOMKilled true
	remove hungry hungry2
}

updates() {
	if ! has_controllers; then
		skip "update, stats" "this view has no controllers"
		return
	fi
	new run -d --name changing --memory 64m --cpus 0.5 --pids-limit 99 $box sleep 1000 >/dev/null
	try docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' changing
	want "stats with a limit" 0 "changing * / 64MiB 1"
	try docker update --memory 128m --memory-swap 128m --cpus 1.5 --pids-limit 77 changing
	want "update of memory, cpus, pids" 0 changing
	try docker exec changing sh -c "$(limit memory/memory.limit_in_bytes memory.max)"
	want "the new memory limit" 0 134217728
	try docker exec changing sh -c "$(limit cpu/cpu.cfs_quota_us cpu.max)"
	want "the new cpu limit" 0 150000*
	try docker exec changing sh -c "$(limit pids/pids.max pids.max)"
	want "the new pids limit" 0 77
	try docker stats --no-stream --format '{{.MemUsage}}' changing
	want "stats with the new limit" 0 "* / 128MiB"
	try docker restart -t 0 changing
	want "restart" 0
	try docker exec changing sh -c "$(limit memory/memory.limit_in_bytes memory.max)"
	want "the limit lasts" 0 134217728
	remove changing
}
