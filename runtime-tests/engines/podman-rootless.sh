#!/bin/bash
# podman-rootless.sh: Podman as an ordinary user with ranges of ids, configured in his home directory;
# without a cgroup of his own, and where cgroups are v2 also with one that was delegated to him.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/user.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then outside_with_tree; fi
inside

engine="Podman $(podman --version | awk '{ print $3 }'), rootless"
version_of_rt=$("$RT" --version | head -n 1)
box=localhost/box:1
own=/sys/fs/cgroup/$TAG/user

configure() {
	local config=$home/.config/containers/containers.conf.d
	make_home
	mkdir -p $config
	drop_in podman/rt.conf >$config/rt.conf
	cat >$config/test.conf <<-TEXT
		[engine]
		events_logger = "file"
		cgroup_manager = "cgroupfs"
		$(command -v nft >/dev/null || printf '[network]\nfirewall_driver = "iptables"')
	TEXT
	chown -R $user:$user $home
	printf '#!/bin/sh\nexec as-user podman "$@"\n' >bin/p
	chmod 755 bin/p
}

# delegate: from here on p is in a cgroup that belongs to the user
delegate() {
	mkdir -p "$own/session"
	local controller
	# shellcheck disable=SC2013 # one word per controller
	for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
		echo "+$controller" >"/sys/fs/cgroup/cgroup.subtree_control" &&
			echo "+$controller" >"/sys/fs/cgroup/$TAG/cgroup.subtree_control"
	done 2>/dev/null
	chown $user:$user "$own" "$own/session" "$own"/{,session/}cgroup.{procs,threads,subtree_control}
	cat >bin/p <<-TEXT
		#!/bin/sh
		echo 0 >$own/session/cgroup.procs
		exec as-user podman "\$@"
	TEXT
}

stop_engine() {
	p pod rm -fat 0 >/dev/null 2>&1
	p rm -fat 0 >/dev/null 2>&1
	p unshare umount -l $home/.local/share/containers/storage/overlay 2>/dev/null
	pkill -U $user -x 'pause|catatonit|podman.*' 2>/dev/null
}

is() { [ "$(p inspect -f '{{.State.Status}}' "$1")" = "$2" ]; }

info() {
	try p info --format '{{.Host.Security.Rootless}} {{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}} {{.Host.OCIRuntime.Version}}'
	want "info names the runtime" 0 "true rt $RT $version_of_rt*"
	try p unshare cat /proc/self/uid_map
	want "unshare: the user and his range" 0 "*0 *$user *1*1 *100000 *65536*"
}

one_shot() {
	try p run --rm $box sh -c 'echo out; echo err >&2; exit 5'
	want "run: output, errors and exit code" 5 out err
	try p run --rm -e A=b -w /data -u app -h box $box sh -c 'echo $A $PWD $(id -u) $(hostname)'
	want "env, cwd, user, host name" 0 "b /data 1000 box"
	try p run --rm --read-only --tmpfs /tmp $box sh -c 'touch /tmp/x && touch /x'
	want "read-only root and a tmpfs" 1 "" "*/x: Read-only file system*"
	try p run --rm --privileged $box sh -c 'mount -t tmpfs t /tmp && echo mounted'
	want "privileged" 0 mounted
	try p run --rm --network host --pid host $box sh -c '[ $$ != 1 ] && echo shared'
	want "the host's namespaces" 0 shared
	try p run --rm --init --ulimit nofile=77:77 --sysctl net.ipv4.ip_default_ttl=77 $box \
		sh -c 'ulimit -n; cat /proc/sys/net/ipv4/ip_default_ttl'
	want "--init, --ulimit, --sysctl" 0 $'77\n77'
	try p run --rm --cgroups disabled $box echo free
	if [[ "$err" == *"not defined: -cgroup-manager"* ]]; then
		skip "--cgroups disabled" "runc has no such option"
	else
		want "--cgroups disabled" 0 free
	fi
	try p run --rm --device /dev/fuse $box sh -c ': </dev/fuse && echo opened'
	want "a device" 0 opened
	printf 'very secret' >"$SCRATCH/word"
	p secret create word "$SCRATCH/word" >/dev/null
	try p run --rm --secret word $box cat /run/secrets/word
	want "a secret" 0 "very secret"
	p secret rm word >/dev/null
}

failing() {
	try p run --rm $box nowhere
	want "a missing program: 127" 127 "" '*executable file*not found*'
	try p run --rm $box /bin/plain-file
	want "a file that is not executable: 126" 126 "" '*permission denied*'
	try p run --rm --no-such-option $box true
	want "Podman's own failure: 125" 125
}

ids() {
	try p run --rm --userns keep-id $box sh -c 'id -u; id -g'
	want "--userns keep-id" 0 $'4242\n4242'
	try p run --rm --userns keep-id:uid=1000,gid=1000 $box id -u
	want "keep-id as another user" 0 1000
	try p run --rm --userns keep-id -v $home/here:/mnt $box sh -c 'touch /mnt/kept; stat -c %u /mnt/kept'
	want "a file of his with keep-id" 0 4242
	check "is his outside" test "$(stat -c %u $home/here/kept)" = 4242
	try p run --rm -u app -v $home/here:/mnt:U $box sh -c 'touch /mnt/given; stat -c %u /mnt/given'
	want "a volume that is given away (:U)" 0 1000
	check "has an id of his range outside" test "$(stat -c %u $home/here/given)" = 100999
	p unshare chown -R 0:0 $home/here
	try p run --rm --uidmap 0:1:5000 --gidmap 0:1:5000 $box awk '{ print $3 }' /proc/self/uid_map
	want "--uidmap" 0 5000
	try p run --rm --userns auto:size=1000 $box awk '{ print $3 }' /proc/self/uid_map
	want "--userns auto" 0 1000
	try p volume create keep
	try p run --rm -v keep:/data $box sh -c 'echo kept >/data/file'
	try p run --rm -u app -v keep:/data:ro $box cat /data/file
	want "a named volume" 0 kept
}

terminal() {
	check "run -it: a terminal, its size, exit code" shell_session p run --rm -it $box sh
}

detached() {
	try p run -d --name web $box sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
	want "run -d" 0 "*"
	check "logs" until_ok 5 bash -c '[ "$(p logs web)" = started ]'
	try p exec web sh -c 'echo inside; exit 4'
	want "exec: output and exit code" 4 inside
	try p exec -u app web nowhere
	want "exec of a missing program: 127" 127 "" '*executable file*not found*'
	try p exec -t web tty
	want "exec -t" 0 "/dev/pts/*"
	try p top web
	want "top" 0 "USER*PID*sh*"
	cgroup_of web
	try p stop -t 10 web
	want "stop" 0
	check "its exit code" test "$(p inspect -f '{{.State.ExitCode}}' web)" = 3
	try p start web
	want "start again" 0 web
	try p kill web
	want "kill" 0
	try p wait web
	want "wait gives 137" 0 137
	try p rm web
	want "rm" 0
}

# What works only where the user has a cgroup.
cgroup_of() {
	if [ "$delegated" = no ]; then
		skip "pause" "the user has no cgroup"
		return
	fi
	local cgroup
	cgroup=$(cat "/proc/$(p inspect -f '{{.State.Pid}}' "$1")/cgroup")
	check "it is in a cgroup of the user" grep -q "0::/$TAG/user/" <<<"$cgroup"
	try p pause "$1"
	want "pause" 0
	check "paused" is "$1" paused
	try p unpause "$1"
	want "unpause" 0
	if ! grep -q memory "$own/cgroup.controllers"; then
		skip "--memory" "this view has no controller for it"
		return
	fi
	try p run --rm --memory 32m --pids-limit 99 $box cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
	want "--memory, --pids-limit" 0 $'33554432\n99'
	try p stats --no-stream --format '{{.Name}} {{.PIDs}}' "$1"
	want "stats" 0 "$1 [1-9]*"
}

pods() {
	try p pod create --name pod
	want "pod create" 0 "*"
	try p run -d --pod pod --name one $box sleep 1000
	want "a container in it" 0 "*"
	try p run --rm --pod pod $box sh -c 'readlink /proc/self/ns/net'
	want "another shares the network" 0 "$(p exec one readlink /proc/self/ns/net | sed 's/[][]/?/g')"
	try p pod rm -ft 0 pod
	want "pod rm" 0 "*"
}

networks() {
	try p run -d --name server -p 127.0.0.1:18090:8080 $box sh -c 'echo served >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'
	want "a port by pasta or slirp4netns" 0 "*"
	check "it answers on loopback" until_ok 10 curl -sf --max-time 2 http://127.0.0.1:18090/
	p rm -ft 0 server >/dev/null
	try p network create blue
	want "network create" 0 blue
	try p run -d --name server --network blue -p 127.0.0.1:18091:8080 $box sh -c 'echo served >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'
	want "a container on a bridge" 0 "*"
	check "its port, by rootlessport" until_ok 10 curl -sf --max-time 2 http://127.0.0.1:18091/
	try p run --rm --network blue $box sh -c "$(asking http://server:8080/)"
	want "aardvark-dns knows its name" 0 served
	p rm -ft 0 server >/dev/null
	try p network rm blue
	want "network rm" 0 "*"
}

builds() {
	mkdir -p $home/context
	printf 'FROM %s\nRUN id -u >/made && mkdir -m 777 /mine\nUSER app\nRUN id -u >/mine/uid\nCMD ["cat", "/made", "/mine/uid"]\n' \
		$box >$home/context/Containerfile
	try p build -q -t localhost/built $home/context
	want "build" 0
	try p run --rm localhost/built
	want "what was built runs" 0 $'0\n1000'
	try p build -q --isolation oci -t localhost/built $home/context
	want "build --isolation oci" 0
}

everything() {
	local part
	for part in ${PARTS:-info one_shot failing ids terminal detached pods networks builds}; do
		$part
	done
	try p ps -aq
	want "no container is left" 0 ""
}

box_image box.tar
configure
try p load -i "$SCRATCH/box.tar"
want "podman loads an image" 0 "*localhost/box:1*"
[ "$rc" = 0 ] || exit 1
delegated=no
echo "without a cgroup:"
everything
if [ "$VIEW" = host ] || [ "$VIEW" = v1 ]; then
	skip "with a delegated cgroup" "cgroup v1 has no delegation"
else
	delegated=yes
	delegate
	echo "with a delegated cgroup:"
	everything
fi
