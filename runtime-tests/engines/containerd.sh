#!/bin/bash
# containerd.sh: containerd and its shim for runc, started by hand, with RT as their runtime.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	# shellcheck disable=SC2119 # its default is wanted
	if [ "$(id -u)" = 0 ]; then debian_rootfs || rootfs=; fi
	outside_with_tree
fi
inside

. "$HERE/containerd-lib.sh"

containerd_config io.containerd.grpc.v1.cri io.containerd.cri.v1.runtime io.containerd.cri.v1.images </dev/null
# The name of the namespace becomes the cgroup's parent.
export CONTAINERD_NAMESPACE=$TAG
printf '#!/bin/sh\nexec ctr run --runtime io.containerd.runc.v2 --runc-binary %s "$@"\n' "$RT" >bin/crun-box
# What the shim runs when it is told of no runtime.
printf '#!/bin/sh\necho "$*" >>%s\nexec %s "$@"\n' "$SCRATCH/runc.calls" "$RT" >bin/runc
chmod 755 bin/*
box=localhost/box:1

stop_engine() {
	local id
	for id in $(ctr task ls -q 2>/dev/null); do ctr task kill -s KILL "$id" 2>/dev/null; done
	stop_daemons
}

status() { ctr task ls | awk -v id="$1" '$1 == id { print $3 }'; }
is() { [ "$(status "$1")" = "$2" ]; }

# speak COMMAND...: try, for a command with output. Now and then ctr loses that of a quick process, with
# runc as well: once the process has ended, it no longer waits for its pipe to be opened.
speak() {
	for _ in 1 2 3; do
		try "$@"
		[ -z "$out$err" ] || break
	done
}

run() { speak crun-box --rm "$@"; }

one_shot() {
	run $box a1 sh -c 'echo out; echo err >&2; exit 5'
	want "run: output, errors and exit code" 5 "out" "err*"
	run $box a2
	want "the image's command" 0 "default command"
	run --env A=b --cwd /data $box a3 sh -c 'echo $FROM_IMAGE $A $PWD'
	want "env and cwd" 0 "yes b /data"
	run --net-host --mount type=bind,src="$SCRATCH/box",dst=/mnt,options=rbind:ro $box a4 sh -c 'ls /mnt; touch /mnt/x'
	want "net-host and a read-only bind mount" 1 "bin*" "*Read-only file system*"
	run --read-only $box a5 touch /x
	want "read-only root" 1 "" "*Read-only file system*"
	run --privileged $box a6 sh -c 'mount -t tmpfs t /tmp && echo mounted'
	want "privileged" 0 mounted
	run --seccomp $box a7 sh -c 'unshare -U true 2>/dev/null || echo filtered; grep Seccomp: /proc/1/status'
	want "the default seccomp profile" 0 $'*Seccomp:\t2'
	head -c 300000 /dev/urandom | base64 >"$SCRATCH/box/data.in"
	timeout $((30 * SLOW)) crun-box --rm --mount type=bind,src="$SCRATCH/box",dst=/mnt,options=rbind:ro $box a9 cat /mnt/data.in >data.out
	check "a large output is whole" cmp data.out box/data.in
}

# ctr says what the runtime wrote to its log.
failing() {
	run $box b1 nowhere
	want "a missing program" 1 "" '*exec: \"nowhere\": executable file not found in $PATH*'
	run $box b2 /no/where
	want "a missing path" 1 "" '*"/no/where\"*no such file or directory*'
	run $box b3 /bin/plain-file
	want "a file that is not executable" 1 "" '*plain-file*permission denied*'
	run --mount type=bind,src=/no/where,dst=/mnt,options=rbind $box b4 true
	want "a missing mount source" 1 "" '*/no/where*no such file or directory*'
	check "nothing of them is left" test -z "$(ctr task ls -q)$(ctr container ls -q)"
}

terminal() {
	check "run -t: a terminal, its size, exit code" console 24x80 '
		expect [#$] 
		# ctr of containerd 2 tells of the size when the shell runs already.
		send tty; until [ "$(stty size)" = "24 80" ]; do sleep 0.1; done; stty size\n
		expect ^/dev/(pts/0|console)
		expect ^24 80\r
		resize 35x99
		send for i in $(seq 30); do [ "$(stty size)" = "35 99" ] || sleep 0.1; done; echo wai""ted\n
		expect ^waited
		# ctr misses a change between its first look at the size and its wait for changes.
		signal WINCH
		send until [ "$(stty size)" = "35 99" ]; do sleep 0.1; done; stty size\n
		expect ^35 99\r
		send exit 6\n
		exit 6' crun-box --rm -t $box tty1 sh
}

detached() {
	try crun-box -d $box web sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
	want "run -d" 0
	check "running" until_ok 10 is web RUNNING
	speak ctr task exec --exec-id e1 web sh -c 'echo inside; exit 4'
	want "exec: output and exit code" 4 inside
	speak ctr task exec --exec-id e2 --user app --cwd /data web sh -c 'id -un; pwd'
	want "exec with user and cwd" 0 $'app\n/data'
	speak ctr task exec --exec-id e3 web nowhere
	want "exec of a missing program" 1 "" '*exec: \"nowhere\": executable file not found in $PATH*'
	check "exec -t: a terminal, Ctrl-C, exit code" console 30x90 '
		expect [#$] 
		send tty\n
		expect ^/dev/(pts/0|console)
		send (echo re""ady; exec sleep 12345)\n
		expect ^ready
		send \x03
		send echo "status $?"\n
		expect ^status 130
		send exit 9\n
		exit 9' ctr task exec -t --exec-id e4 web sh
	local i
	for i in $(seq "${EXECS:-20}"); do
		speak ctr task exec --exec-id "m$i" web echo "$i"
		[ "$rc $out" = "0 $i" ] || echo "exec $i: status $rc, output $out, error $err"
	done >wrong
	check "exec ${EXECS:-20} times" diff /dev/null wrong
	try ctr task ps web
	want "task ps" 0 "PID*[0-9]*"
	try ctr task pause web
	want "pause" 0
	check "paused" is web PAUSED
	try ctr task resume web
	want "resume" 0
	check "running again" is web RUNNING
	try ctr task metrics web
	if [ "$rc" = 0 ]; then
		want "metrics" 0 "*ID*web*"
	else
		skip "metrics" "${err:-$out}"
	fi
	try ctr task kill -s TERM web
	want "kill TERM" 0
	check "it ends by itself" until_ok 10 is web STOPPED
	try ctr task delete web
	want "task delete gives the exit code" 0 "" "*exit code 3*"
	try ctr container delete web
	want "container delete" 0
	try crun-box -d $box alone sleep 12345
	want "a container of one process, detached" 0
	try ctr task kill -s USR1 alone
	check "a signal without a handler is not for the first process" is alone RUNNING
	try ctr task kill -s KILL alone
	check "kill KILL" until_ok 10 is alone STOPPED
	try ctr task kill -s KILL alone
	want "kill of what has ended" 1 "" "*not found*"
	try ctr task delete alone
	want "its exit code" 0 "" "*exit code 137*"
	ctr container delete alone
	try crun-box -d $box victim sleep 12345
	want "run -d again" 0
	try ctr task delete --force victim
	want "task delete --force" 0 "" "*exit code 137*"
	check "its process has ended" bash -c '! pgrep -fx "sleep 12345"'
	ctr container delete victim
	check "nothing is left" test -z "$(ctr task ls -q)$(ctr container ls -q)"
}

# limit NAME FILE,FILE CONTENT OPTION...: what the cgroup has, in either kind of hierarchies
limit() {
	local name=$1 files=${2//,/|} content=$3
	shift 3
	try crun-box -d "$@" $box limited sleep 12345
	try find /sys/fs/cgroup -path "*/$TAG/limited/*" -regextype egrep -regex ".*/($files)" -exec cat '{}' ';'
	want "$name" 0 "$content"
	try ctr task delete --force limited
	ctr container delete limited
}

limits() {
	if [ "$VIEW" = v2 ]; then
		skip "limits" "this view has no controllers for them"
		return
	fi
	limit "a memory limit" memory.max,memory.limit_in_bytes 33554432 --memory-limit 33554432
	limit "a cpu limit" cpu.max,cpu.cfs_quota_us "50000*" --cpus 0.5
	limit "cpu shares" cpu.weight,cpu.shares "@(512|20|59)" --cpu-shares 512
	# Shims look for it as soon as `start` is done.
	try crun-box -d --memory-limit 16777216 $box eater sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; exec tail /dev/zero'
	try ctr task exec --exec-id e1 eater touch /tmp/go
	check "too much memory" until_ok 20 is eater STOPPED
	try ctr task delete eater
	want "its exit code: killed" 0 "" "*exit code 137*"
	ctr container delete eater
	check "event: oom" until_ok 10 grep -q "/tasks/oom" events.log
}

other_ways() {
	speak ctr run --rm --rootfs "$SCRATCH/box" r1 /bin/sh -c 'echo $PWD; ls /data.in'
	want "run --rootfs" 0 $'/\n/data.in'
	check "the shim asks for runc: a link of that name is enough" grep -q "create --bundle .* r1\$" runc.calls
	if [ "$version" = 2 ]; then
		skip "a user namespace" "ctr of this version needs a snapshotter that maps"
		return
	fi
	run --uidmap 0:100000:65536 --gidmap 0:100000:65536 $box r2 sh -c 'cat /proc/self/uid_map; stat -c %u /bin'
	want "a user namespace" 0 "* 0 * 100000 * 65536*0"
}

checkpoint() {
	try crun-box -d $box frozen sh -c 'while :; do sleep 0.1; done'
	try ctr task checkpoint --image-path "$SCRATCH/image" --work-path "$SCRATCH/work" frozen
	case $RT in
	*/rt) want "checkpoint is refused in words" 1 "" "*rt: checkpoint is not supported*" ;;
	*) if [ "$rc" = 0 ]; then pass "checkpoint"; else skip "checkpoint" "criu fails: ${err##*: }"; fi ;;
	esac
	check "the container goes on after it" is frozen RUNNING
	speak ctr task exec --exec-id e1 frozen echo whole
	want "and is whole" 0 whole
	try ctr task delete --force frozen
	ctr container delete frozen
}

restart() {
	try crun-box -d $box survivor sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	restart_containerd
	check "a container goes on without containerd" is survivor RUNNING
	try ctr task exec --exec-id e1 survivor sh -c 'exit 4'
	want "exec in it" 4
	try ctr task kill -s TERM survivor
	check "kill" until_ok 10 is survivor STOPPED
	try ctr task delete survivor
	want "its exit code" 0 "" "*exit code 3*"
	ctr container delete survivor
}

# What a dead shim leaves, containerd has deleted by force.
dead_shim() {
	try crun-box -d $box orphan sleep 12345
	kill -KILL "$(pgrep -f "^/usr/bin/containerd-shim-runc-v2 .*-id orphan ")"
	check "when its shim dies, a container ends" until_ok 20 bash -c '! pgrep -fx "sleep 12345"'
	check "and its task goes" until_ok 20 eval '! ctr task ls -q | grep -qx orphan'
	ctr container delete orphan
}

# numbered NAME N: container N writes its number into a directory of the host, and exits with it
numbered() {
	timeout $((60 * SLOW)) crun-box --rm --mount "type=bind,src=$SCRATCH/numbers,dst=/numbers,options=rbind:rw" \
		localhost/box:1 "$1$2" sh -c "echo $1 >/numbers/$1$2; exit $2" 2>"$SCRATCH/numbers/$1$2.err"
	local rc=$?
	[ "$rc $(cat "$SCRATCH/numbers/$1$2")" = "$2 $1" ] || echo "$1$2: status $rc, $(cat "$SCRATCH/numbers/$1$2.err")"
}

many() {
	mkdir numbers
	export -f numbered
	export SLOW
	local i
	for i in $(seq 50); do numbered row "$i"; done >wrong
	check "50 containers in a row" diff /dev/null wrong
	seq 50 | xargs -P 8 -I '{}' bash -c 'numbered burst {}' >wrong
	check "50 containers, 8 at once" diff /dev/null wrong
	check "nothing of them is left" test -z "$(ctr task ls -q)$(ctr container ls -q)"
}

# With slices of a systemd, which makes the cgroups then.
systemd() {
	if [ "$VIEW" != systemd ]; then
		skip "cgroups made by systemd" "VIEW=systemd has them"
		return
	fi
	local options="--runc-systemd-cgroup --cgroup $TAG.slice:rt:unit"
	# shellcheck disable=SC2086 # words
	try crun-box -d $options --memory-limit 33554432 $box unit sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'
	want "run --runc-systemd-cgroup" 0
	try systemctl show -P ControlGroup rt-unit.scope
	want "its scope in its slice" 0 "/*$TAG.slice/rt-unit.scope"
	try systemctl show -P MemoryMax rt-unit.scope
	want "systemd knows of the limit" 0 33554432
	speak ctr task exec --exec-id e1 unit cat /proc/1/cgroup /proc/self/cgroup
	want "exec comes into the same cgroup" 0 "0::/*"
	check "(both lines are the same)" test "$(sort -u <<<"$out" | wc -l)" = 1
	try ctr task pause unit
	check "pause" is unit PAUSED
	try ctr task resume unit
	check "resume" is unit RUNNING
	try ctr task metrics unit
	want "metrics" 0 "*ID*unit*"
	try ctr task kill -s TERM unit
	check "kill TERM" until_ok 10 is unit STOPPED
	try ctr task delete unit
	want "delete gives the exit code" 0 "" "*exit code 3*"
	ctr container delete unit
	check "the scope is gone" until_ok 10 bash -c '! systemctl is-active rt-unit.scope'
}

debian() {
	if [ -z "${rootfs:-}" ]; then
		skip "an image of Debian" "no root file system could be made"
		return
	fi
	python3 "$HERE/image.py" "$rootfs" localhost/debian:1 "$SCRATCH/debian.tar" bash
	check "import an image of Debian" ctr image import debian.tar
	rm debian.tar
	run localhost/debian:1 d1 apt-get --version
	want "apt-get --version" 0 "apt 2.*"
	mkdir -p srv
	echo "served by containerd" >srv/index.html
	printf 'events {}\nhttp { server { listen 127.0.0.1:18081; root /srv; } }\n' >srv/nginx.conf
	try crun-box -d --net-host --mount "type=bind,src=$SCRATCH/srv,dst=/srv,options=rbind:ro" \
		localhost/debian:1 nginx nginx -c /srv/nginx.conf -g 'daemon off;'
	want "nginx as a detached task" 0
	check "it serves" until_ok 10 curl -s --max-time 2 http://127.0.0.1:18081/
	try curl -s --max-time 2 http://127.0.0.1:18081/
	want "what it serves" 0 "served by containerd"
	check "exec -t bash" console 24x80 '
		expect [#$] 
		send ps -o comm= -p 1\n
		expect \nnginx\r
		send exit 2\n
		exit 2' ctr task exec -t --exec-id sh nginx env TERM=dumb bash --norc
	try ctr task pause nginx
	want "pause nginx" 0
	check "paused: it does not serve" bash -c '! curl -s --max-time 0.5 http://127.0.0.1:18081/'
	try ctr task resume nginx
	check "resumed: it serves" until_ok 10 curl -s --max-time 2 http://127.0.0.1:18081/
	try ctr task kill -s QUIT nginx
	check "SIGQUIT ends it" until_ok 10 is nginx STOPPED
	try ctr task delete nginx
	want "its exit code" 0
	ctr container delete nginx
}

events() {
	local event
	for event in create start exit delete exec-added exec-started paused resumed; do
		check "event: $event" grep -q "/tasks/$event" events.log
	done
}

start_containerd
daemon events ctr events
box_image box.tar
check "import an image" ctr image import box.tar
one_shot
failing
terminal
detached
limits
other_ways
checkpoint
systemd
debian
many
events
restart
dead_shim
nothing_left "$TAG"
