#!/bin/bash
# podman.sh: Podman and conmon as root, with their storage in a scratch directory, and RT as their
# runtime.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	if [ "$(id -u)" = 0 ]; then debian_rootfs || rootfs=; fi
	outside_with_tree
fi
inside

# Podman looks a runtime up by its base name to know what it can do, and reads JSON errors and
# runs without cgroups only with those that are listed.
name=$(basename "$RT")
cat >containers.conf <<TEXT
[engine]
runtime = "$name"
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["$name"]
runtime_supports_nocgroup = ["$name"]
runtime_supports_nocgroups = ["$name"] # its name since Podman 4.4
tmp_dir = "$SCRATCH/tmpdir"
[engine.runtimes]
$name = ["$RT"]
[containers]
# On cgroup v1 this is a limit of the pids controller, which may be refused.
# Podman would raise these, which root without CAP_SYS_RESOURCE may not.
default_ulimits = ["nofile=1024:1024", "nproc=$(ulimit -Hu | sed s/unlimited/-1/):$(ulimit -Hu | sed s/unlimited/-1/)"]
TEXT
cat >storage.conf <<TEXT
[storage]
driver = "overlay"
runroot = "$SCRATCH/run"
graphroot = "$SCRATCH/root"
TEXT
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
export CONTAINERS_CONF=$SCRATCH/containers.conf CONTAINERS_STORAGE_CONF=$SCRATCH/storage.conf
cat >bin/p <<TEXT
#!/bin/sh
exec podman --root "$SCRATCH/root" --runroot "$SCRATCH/run" "\$@"
TEXT
chmod 755 bin/p
printf '#!/bin/sh\nverb=$1; shift\nexec p "$verb" --cgroup-parent "/%s" --network none "$@"\n' "$TAG" >bin/new
chmod 755 bin/new
box=localhost/box:1

stop_engine() {
	p rm -fat 0 >/dev/null 2>&1
	umount -l "$SCRATCH/root/overlay" 2>/dev/null
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
	try new run --rm --init $box sh -c 'echo $$'
	if [[ "$err" == *"container-init binary"* || "$err" == *catatonit* ]]; then
		skip "init" "no init binary is installed"
	else
		want "init" 0 2
	fi
	try p run --rm --network none --cgroups disabled $box echo free
	if [[ "$err" == *"not defined: -cgroup-manager"* ]]; then
		skip "without cgroups" "runc has no such option"
	else
		want "without cgroups" 0 free
	fi
	try new run --rm --userns auto:size=1000 $box echo mapped
	[[ "$err" == *"subuid"* || "$err" == *"cannot find"* ]] || want "a user namespace" 0 mapped
	try new run --rm --uidmap 0:100000:5000 --gidmap 0:100000:5000 $box cat /proc/self/uid_map
	want "id maps" 0 "*0*100000*5000*"
	try new run --rm --ipc host --pid host $box sh -c '[ $$ != 1 ] && echo shared'
	want "the host's pid and ipc namespaces" 0 shared
	try new run --rm --sysctl net.ipv4.ip_default_ttl=77 $box cat /proc/sys/net/ipv4/ip_default_ttl
	want "a sysctl" 0 77
	try new run --rm --device /dev/fuse $box sh -c 'test -c /dev/fuse && echo there'
	[ -c /dev/fuse ] && want "a device" 0 there
	try new run --rm --ulimit nofile=77:77 --ulimit nproc=1000:1000 $box sh -c 'ulimit -n'
	want "ulimit" 0 77
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
	want "a missing path: 127" 127 "" '*no such file or directory*'
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
	check "run -it: a terminal, its size, exit code" console 24x80 '
		expect [#$] 
		send tty\n
		expect ^/dev/(pts/0|console)
		send until [ "$(stty size)" = "24 80" ]; do sleep 0.1; done; stty size\n
		expect ^24 80\r
		resize 35x99
		send until [ "$(stty size)" = "35 99" ]; do sleep 0.1; done; stty size\n
		expect ^35 99\r
		send exit 6\n
		exit 6' new run --rm -it $box sh
}

detached() {
	try new run -d --name web $box sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
	want "run -d" 0 "*"
	check "running" is web running
	check "logs" until_ok 5 bash -c '[ "$(p logs web)" = started ]'
	try p exec web sh -c 'echo inside; exit 4'
	want "exec: output and exit code" 4 inside
	try p exec -u app -w /data -e A=b web sh -c 'echo $(id -un) $PWD $A'
	want "exec with user, cwd, env" 0 "app /data b"
	try p exec web nowhere
	want "exec of a missing program: 127" 127 "" '*executable file*not found*'
	try p exec web /bin/plain-file
	want "exec of a file that is not executable: 126" 126 "" '*permission denied*'
	check "exec -it: a terminal, Ctrl-C, exit code" console 30x90 '
		expect [#$] 
		send tty\n
		expect ^/dev/(pts/0|console)
		send (echo re""ady; exec sleep 1000)\n
		expect ^ready
		send \x03
		send echo "status $?"\n
		expect ^status 130
		send exit 9\n
		exit 9' p exec -it web sh
	local i failures=0
	for i in {1..10}; do
		[ "$(p exec web echo "$i")" = "$i" ] || failures=$((failures + 1))
	done
	check "exec 10 times" test $failures = 0
	try p top web
	want "top" 0 "USER*PID*sh*"
	try p top web -eo pid,comm
	want "top with ps options" 0 "*PID*COMMAND*sh*"
	try p stats --no-stream web
	if [ "$rc" = 0 ]; then pass "stats"; else skip "stats" "$(tail -n 1 <<<"$err" | cut -c 1-200)"; fi
	try p pause web
	want "pause" 0
	check "paused" is web paused
	try p unpause web
	want "unpause" 0
	check "running again" is web running
	try p stop -t 10 web
	want "stop" 0
	check "its exit code" test "$(p inspect -f '{{.State.ExitCode}}' web)" = 3
	try p start web
	want "start again" 0 web
	try p restart -t 5 web
	want "restart" 0
	try p kill -s KILL web
	want "kill" 0
	try p wait web
	want "wait gives 137" 0 137
	try p rm web
	want "rm" 0
	try new run -d --name victim $box sleep 1000
	try p rm -f -t 0 victim
	want "rm -f of a running container" 0
	check "its process has ended" bash -c '! pgrep -x sleep'
	try new run --name code --rm -d $box sh -c 'sleep 0.3; exit 8'
	try p wait code
	[ "$rc" = 0 ] && [ "$out" = 8 ] || rc="$rc $out"
	want "wait of a container that removes itself" 0 8
	try new create --name made $box echo created
	want "create" 0
	try p start -a made
	want "start -a" 0 created
	p rm made >/dev/null
	try p ps -aq
	want "nothing is left" 0 ""
}

# limit NAME OPTION...
limit() {
	local name=$1
	shift
	try new run --rm "$@" $box echo limited
	want "$name" 0 limited
}

limits() {
	limit "Podman's default pids limit" --pids-limit 2048
	limit "a memory limit" --memory 32m
	limit "a cpu limit" --cpus 0.5
}

pods() {
	# --infra=false: an infra container would be an image to build with catatonit in it.
	try p pod create --infra=false --cgroup-parent "/$TAG" --name pod
	want "pod create" 0 "*"
	try p run --pod pod --rm --network none $box echo "in a pod"
	want "run in a pod" 0 "in a pod"
	try p pod rm -f pod
	want "pod rm" 0 "*"
	# What the members of a pod with a user namespace do: Podman names the first one's by path.
	try p run -d --name first --cgroup-parent "/$TAG" --network none \
		--uidmap 0:100000:5000 --gidmap 0:100000:5000 $box sleep 100
	want "the first of a user namespace" 0 "*"
	for pid in private container:first; do
		try p run -d --name second --cgroup-parent "/$TAG" --userns container:first --network container:first \
			--ipc container:first --uts container:first --pid $pid --user app $box sleep 100
		want "joins its namespaces, pid $pid" 0 "*"
		try p exec second sh -c 'id -u; readlink /proc/self/ns/user'
		user=$(readlink "/proc/$(p inspect -f '{{.State.Pid}}' first)/ns/user")
		want "exec there" 0 $'1000\n'"${user//[][]/?}" # want takes a pattern
		try p rm -ft 0 second
		want "rm" 0 "*"
	done
	try p rm -ft 0 first
}

debian() {
	if [ -z "${rootfs:-}" ]; then
		skip "Debian" "no root file system could be made"
		return
	fi
	try p run --rm --cgroup-parent "/$TAG" --network none --rootfs "$rootfs:O" apt-get --version
	want "apt-get --version of a root file system" 0 "apt 2.*"
	mkdir -p srv
	echo "served by podman" >srv/index.html
	printf 'events {}\nhttp { server { listen 127.0.0.1:18082; root /srv; } }\n' >srv/nginx.conf
	try p run -d --name nginx --cgroup-parent "/$TAG" --network host -v "$SCRATCH/srv:/srv:ro" \
		--stop-signal QUIT --rootfs "$rootfs:O" nginx -c /srv/nginx.conf -g 'daemon off;'
	want "nginx, detached, in the host's network" 0
	check "it serves" until_ok 10 curl -s --max-time 2 http://127.0.0.1:18082/
	try curl -s --max-time 2 http://127.0.0.1:18082/
	want "what it serves" 0 "served by podman"
	try p exec nginx ps -o comm= -p 1
	want "exec ps" 0 nginx
	try p stop nginx
	want "stop by SIGQUIT" 0
	check "its exit code" test "$(p inspect -f '{{.State.ExitCode}}' nginx)" = 0
	try p rm nginx
	want "rm nginx" 0
}

box_image box.tar
try p load -i box.tar
want "podman $(p --version | awk '{ print $3 }') loads an image" 0 "*localhost/box:1*"
[ "$rc" = 0 ] || exit 1
one_shot
failing
terminal
detached
limits
pods
debian
check "no conmon is left" until_ok 5 bash -c '! pgrep -x conmon'
