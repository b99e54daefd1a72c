# podman-options.sh: what podman.sh tries of the options of `podman run`.
# shellcheck shell=bash disable=SC2154,SC2016 # podman.sh's variables; single quotes are for a shell inside

security() {
	try new run --rm --security-opt no-new-privileges $box grep NoNewPrivs /proc/self/status
	want "no-new-privileges" 0 $'NoNewPrivs:\t1'
	try new run --rm --security-opt mask=/proc/uptime $box sh -c 'wc -c </proc/uptime'
	want "mask" 0 0
	try new run --rm $box sh -c 'grep -c " /proc/timer_list " /proc/mounts'
	want "masked by default" 0 1
	try new run --rm --security-opt unmask=/proc/timer_list $box sh -c 'grep -c " /proc/timer_list " /proc/mounts'
	want "unmask" 1 0
	try new run --rm --security-opt unmask=ALL $box sh -c 'touch /proc/sys/vm/swappiness && echo writable'
	want "unmask=ALL" 0 writable
	try new run --rm --security-opt seccomp=unconfined $box grep Seccomp: /proc/self/status
	want "seccomp=unconfined" 0 $'Seccomp:\t0'
	cat >seccomp.json <<-'TEXT'
		{ "defaultAction": "SCMP_ACT_ALLOW",
		  "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }] }
	TEXT
	try new run --rm --security-opt "seccomp=$SCRATCH/seccomp.json" $box mkdir /x
	want "a seccomp profile with an errno" 1 "" "*No space left on device*"
	try new run --rm --cap-drop all --cap-add net_raw $box grep CapEff /proc/self/status
	want "capabilities dropped and added" 0 $'CapEff:\t0000000000002000'
	try new run --rm -u app --cap-drop all --cap-add net_raw $box grep CapAmb /proc/self/status
	want "an ordinary user's ambient capability" 0 $'CapAmb:\t0000000000002000'
	try new run --rm --group-add 77 -u 5:6 $box id
	want "numeric user and more groups" 0 "uid=5* gid=6*groups=*77*"
	try new run --rm --umask 0077 $box sh -c umask
	want "umask" 0 0077
}

devices() {
	try new run --rm --device /dev/fuse:/dev/other:r $box sh -c 'test -c /dev/other && cat </dev/other; : >/dev/other'
	want "a device under another name, to read only" 1 "" "*/dev/other: Operation not permitted*"
	try new run --rm --cap-add mknod $box sh -c 'mknod /dev/x c 10 229 && cat /dev/x'
	want "no device that was not given" 1 "" "*Operation not permitted*"
	try new run --rm --cap-add mknod --device-cgroup-rule 'c 10:229 rwm' $box sh -c 'mknod /dev/x c 10 229 && : </dev/x && echo opened'
	want "a device rule" 0 opened
	try new run --rm --privileged $box sh -c 'test -c /dev/fuse && echo all'
	want "all devices when privileged" 0 all
}

id_maps() {
	try new run --rm --uidmap 0:100000:5000 --gidmap 0:100000:5000 $box cat /proc/self/uid_map
	want "id maps" 0 "*0*100000*5000*"
	try new run --rm --userns auto:size=1000 $box awk '{ print $1, $3 }' /proc/self/uid_map
	want "--userns auto" 0 "0 1000"
	try new run --rm --userns auto:size=1000 -v "$SCRATCH/vol-u:/mnt:U" $box stat -c %u:%g /mnt
	want "a volume that is given away (:U)" 0 0:0
	check "its owner outside is the mapped one" bash -c '[ "$(stat -c %u "$SCRATCH/vol-u")" -ge 100000 ]'
	try new run --rm --uidmap 0:100000:5000 --gidmap 0:100000:5000 -v "$SCRATCH/vol-i:/mnt:idmap" $box \
		sh -c 'stat -c %u:%g /mnt; touch /mnt/made'
	if old_runc; then
		skip "an idmapped volume" "runc 1.1 has none"
		return
	fi
	want "an idmapped volume" 0 0:0
	check "what is made there belongs to root outside" test "$(stat -c %u "$SCRATCH/vol-i/made")" = 0
	check "the volume itself kept its owner" test "$(stat -c %u "$SCRATCH/vol-i")" = 0
	try new run --rm --uidmap 0:100000:5000 --gidmap 0:100000:5000 \
		-v "$SCRATCH/vol-i:/mnt:idmap=uids=0-101000-10;gids=0-101000-10" $box stat -c %u:%g /mnt
	want "an idmapped volume with a map of its own" 0 1000:1000
}

# What Podman finds of the tree's /etc/subuid by the name "containers", for --userns auto.
ranges() {
	useradd --system containers
	printf 'containers:500000:1000000\n' | tee -a /etc/subuid >>/etc/subgid
	mkdir -p vol-u vol-i
}

no_cgroups() {
	try p run --rm --network none --cgroups disabled $box echo free
	if [[ "$err" == *"not defined: -cgroup-manager"* ]]; then
		skip "--cgroups disabled" "runc has no such option"
	else
		want "--cgroups disabled" 0 free
		try p run -d --name free --network none --cgroups disabled $box sleep 100
		check "it stays in the cgroup of its caller" \
			cmp "/proc/$(p inspect -f '{{.State.Pid}}' free)/cgroup" /proc/self/cgroup
		try p exec free echo again
		want "exec without cgroups" 0 again
		try p rm -ft 0 free
		want "rm without cgroups" 0
	fi
	try new run --rm --cgroups no-conmon $box echo conmon is elsewhere
	want "--cgroups no-conmon" 0 "conmon is elsewhere"
	if [ "$VIEW" = host ] || [ "$VIEW" = v1 ]; then
		skip "--cgroups split" "it needs cgroup v2"
		return
	fi
	# Podman makes the two parts in the cgroup that it is in.
	try bash -c 'in_cgroup "$@"' - split podman run --rm --network none --cgroups split --cgroupns host $box cat /proc/self/cgroup
	want "--cgroups split" 0 "*0::*/$TAG*/split/*libpod-payload*"
}

# in_cgroup NAME COMMAND...: in a new cgroup below that of the test
in_cgroup() {
	mkdir -p "/sys/fs/cgroup/$TAG/$1"
	sh -c 'echo 0 >"$0"; exec "$@"' "/sys/fs/cgroup/$TAG/$1/cgroup.procs" "${@:2}"
}
export -f in_cgroup

lasting() {
	try new run --rm --timeout 1 $box sleep 100
	want "--timeout ends it" 255
	try new run -d --name again --restart on-failure:2 $box sh -c 'echo once; exit 3'
	check "--restart on-failure tries twice more" \
		until_ok 20 bash -c '[ "$(p logs again | wc -l)" = 3 ] && [ "$(p inspect -f "{{.State.Status}}" again)" = exited ]'
	check "and counts" test "$(p inspect -f '{{.RestartCount}}' again)" = 2
	p rm -ft 0 again >/dev/null
	try new run --rm --init $box ps -o pid,comm
	want "--init: catatonit is pid 1" 0 "*1 *init*[0-9] ps*"
	try new run --rm --ulimit nofile=77:77 --ulimit core=0 --ulimit nproc=1000:1000 $box sh -c 'ulimit -n; ulimit -c'
	want "--ulimit" 0 $'77\n0'
	try new run --rm --sysctl net.ipv4.ip_default_ttl=77 --sysctl kernel.msgmax=9000 $box \
		cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax
	want "--sysctl" 0 $'77\n9000'
	try new run --rm --sysctl kernel.panic=1 $box true
	want "a sysctl of the host is refused" 125 "" "*kernel.panic*"
	try new run --rm --shm-size 3m --tmpfs /t:size=1m,mode=700 $box sh -c 'df -k /dev/shm /t | awk "NR > 1 { print \$2 }"; stat -c %a /t'
	want "--shm-size, --tmpfs with options" 0 $'3072\n1024\n700'
	try new run --rm --oom-score-adj 500 $box cat /proc/self/oom_score_adj
	want "--oom-score-adj" 0 500
	try new run --rm --personality=LINUX32 $box uname -m
	if [ "$out" = x86_64 ] && old_runc; then
		skip "--personality" "runc 1.1 has none"
	else
		want "--personality" 0 "i?86"
	fi
	try new run --rm --preserve-fds 1 $box sh -c 'cat <&3' 3<<<"through descriptor 3"
	want "--preserve-fds" 0 "through descriptor 3"
	try new run --rm --hooks-dir "$SCRATCH/hooks" --annotation io.test.hook=yes $box true
	want "an OCI hook" 0
	check "the hook got the state" jq -e '.status == "stopped" and .annotations["io.test.hook"] == "yes"' hook.out
}

make_hook() {
	mkdir -p hooks
	printf '#!/bin/sh\ncat >%s/hook.out\n' "$SCRATCH" >hook
	chmod 755 hook
	cat >hooks/test.json <<-TEXT
		{ "version": "1.0.0", "hook": { "path": "$SCRATCH/hook" }, "stages": ["poststop"],
		  "when": { "annotations": { "^io\\\\.test\\\\.hook\$": "yes" } } }
	TEXT
}

secrets() {
	printf 'very secret' | p secret create word - >/dev/null
	try new run --rm --secret word $box cat /run/secrets/word
	want "a secret as a file" 0 "very secret"
	try new run --rm --secret word,mode=0400,uid=1000,target=/etc/pass -u app $box stat -c '%a %u' /etc/pass
	want "its mode, owner and place" 0 "400 1000"
	try new run --rm --secret word,type=env,target=WORD $box sh -c 'echo $WORD'
	want "a secret as a variable" 0 "very secret"
	try p secret rm word
	want "secret rm" 0 "*"
}

volumes() {
	try p volume create keep
	want "volume create" 0 keep
	try new run --rm -v keep:/data $box sh -c 'echo kept >/data/file'
	want "a named volume" 0
	try new run --rm --mount type=volume,source=keep,target=/data,ro $box sh -c 'cat /data/file; touch /data/x'
	want "it keeps, and is read-only by --mount" 1 kept "*Read-only file system*"
	try p volume rm keep
	want "volume rm" 0 keep
	try new run --rm -v "$SCRATCH/box:/mnt:ro" $box sh -c 'ls /mnt; touch /mnt/x'
	want "a read-only bind" 1 "bin*" "*Read-only file system*"
	mkdir -p slave
	mount -t tmpfs tmpfs slave && mount --make-shared slave
	new run -d --name slave -v "$SCRATCH/slave:/mnt:rslave" $box sleep 100 >/dev/null
	mkdir slave/late && mount -t tmpfs tmpfs slave/late && touch slave/late/seen
	try p exec slave ls /mnt/late
	want "a later mount comes through an rslave volume" 0 seen
	p rm -ft 0 slave >/dev/null
	umount -R slave
	try new run --rm -v "$SCRATCH/box:/mnt:O" $box sh -c 'echo x >/mnt/new && cat /mnt/new'
	want "an overlay volume" 0 x
	check "nothing came through it" test ! -e box/new
	try new run --rm --mount "type=bind,source=$SCRATCH/box,target=/mnt,bind-nonrecursive,readonly" $box grep -c ' /mnt .* ro,' /proc/mounts
	want "--mount bind" 0 1
	try new run --rm --mount "type=image,source=$box,target=/mnt" $box ls /mnt/bin/busybox
	want "--mount image" 0 /mnt/bin/busybox
}

# limited NAME FILE-OF-V1 FILE-OF-V2 VALUE OPTION...: an option, and what the container sees of it
limited() {
	local name=$1 v1=$2 v2=$3 value=$4
	shift 4
	if [ "$VIEW" = v2 ]; then
		skip "$name" "the v2 view has no controller for it"
		return
	fi
	[ "$VIEW" = systemd ] && v1=$v2
	try new run --rm "$@" $box cat "/sys/fs/cgroup/$v1"
	want "$name" 0 "$value"
}

limits() {
	limited "--memory" memory/memory.limit_in_bytes memory.max 33554432 --memory 32m
	limited "--memory-reservation" memory/memory.soft_limit_in_bytes memory.low 16777216 --memory-reservation 16m
	limited "--pids-limit" pids/pids.max pids.max 99 --pids-limit 99
	limited "--cpuset-cpus" cpuset/cpuset.cpus cpuset.cpus 0 --cpuset-cpus 0
	limited "--cpu-period" cpu/cpu.cfs_period_us cpu.max '*50000' --cpu-period 50000 --cpu-quota 25000
	if [ "$VIEW" = v2 ]; then
		skip "out of memory" "the v2 view has no controller for it"
		return
	fi
	try new run --memory 16m --memory-swap 16m --name oom $box sh -c 'dd if=/dev/zero of=/dev/null bs=64M'
	want "more than its memory: killed" 137
	if [ "$VIEW" = host ] && [[ "$engine" == "Podman 4.3."* ]]; then
		skip "and known as such" "conmon 2.1.6 does not notice on cgroup v1"
	else
		check "and known as such" test "$(p inspect -f '{{.State.OOMKilled}}' oom)" = true
	fi
	p rm -ft 0 oom >/dev/null
}
