#!/bin/bash
# docker.sh: dockerd with its own containerd, started by hand, with RT as its default runtime by our
# drop-in file. PARTS names some of the parts at the end, in place of all.
# shellcheck disable=SC1090,SC2016,SC2086,SC2154 # for shells inside; box is docker-engine.sh's
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	if [ "$(id -u)" = 0 ]; then debian_rootfs || rootfs=; fi
	outside_with_tree
fi
inside

for part in engine life limits networks volumes builds daemon; do . "$HERE/docker-$part.sh"; done

# What Docker tells of its runtime, it has asked the runtime.
information() {
	local commit
	commit=$("$RT" --version | sed -n 's/^commit: //p')
	try docker info -f '{{.DefaultRuntime}} {{(index .Runtimes "rt").Path}}'
	want "info: the default runtime and its path" 0 "rt $RT"
	try docker info -f '{{.RuncCommit.ID}}'
	want "info: the commit of the runtime" 0 "$commit"
	try docker version -f '{{range .Server.Components}}{{if or (eq .Name "rt") (eq .Name "runc")}}{{.Version}} {{.Details.GitCommit}}{{end}}{{end}}'
	want "version: that of the runtime" 0 "$("$RT" --version | sed -n '1s/.* version //p') $commit"
	try docker info
	want "info has no error" 0 "*Default Runtime: rt*"
	check "info warns of nothing in the runtime" bash -c '! grep -i "warning.*runtime" "$0"' "$SCRATCH/try.err"
	check "neither does the log" bash -c '! grep -iE "level=(warning|error).*(runtime|runc)[^d]" dockerd.log'
	if newer 25; then
		try docker info -f '{{index (index .Runtimes "rt").Status "org.opencontainers.runtime-spec.features"}}'
		want "info: the features of the runtime" 0 '*"ociVersionMin":"1.0.0"*"mountOptions":*'
	else
		skip "info: the features of the runtime" "Docker asks for them since 25"
	fi
}

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
	try new run --rm $box grep Seccomp: /proc/self/status
	want "default seccomp profile" 0 $'Seccomp:\t2'
	try new run --rm --privileged $box sh -c 'mount -t tmpfs t /tmp && echo mounted'
	want_privileged "privileged" mounted
	try new run --rm --ipc host --pid host $box sh -c '[ $$ != 1 ] && echo shared'
	want "the host's pid and ipc namespaces" 0 shared
	try new run --rm --sysctl net.ipv4.ip_default_ttl=77 $box cat /proc/sys/net/ipv4/ip_default_ttl
	want "a sysctl" 0 77
	try new run --rm --ulimit nofile=77:77 $box sh -c 'ulimit -n'
	want "ulimit" 0 77
	try new run --rm --shm-size 1m --cap-drop ALL --security-opt no-new-privileges $box \
		grep -E '^(CapBnd|NoNewPrivs):' /proc/self/status
	want "no capabilities, no new privileges" 0 $'CapBnd:\t0000000000000000\nNoNewPrivs:\t1'
	echo "through standard input" | timeout 30 docker run --network none --rm -i $box cat >data.out
	check "standard input" grep -qx "through standard input" data.out
	head -c 300000 /dev/urandom | base64 >box/data.in
	timeout 30 new run --rm -v "$SCRATCH/box:/mnt:ro" $box cat /mnt/data.in >data.out
	check "a large output is whole" cmp data.out box/data.in
}

failing() {
	try new run --rm $box nowhere
	want "a missing program: 127" 127 "" '*exec: "nowhere": executable file not found in $PATH*'
	try new run --rm $box /no/where
	want "a missing path: 127" 127 "" '*no such file or directory*'
	try new run --rm $box /bin/plain-file
	want "a file that is not executable: 126" 126 "" '*permission denied*'
	try new run --rm --no-such-option $box true
	want "Docker's own failure: 125" 125
	try docker ps -aq
	want "nothing of them is left" 0 ""
}

terminal() {
	check "run -it: a terminal, its size, exit code" shell_session new run --rm -it $box sh
}

detached() {
	try new run -d --name web $box sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
	want "run -d" 0 "*"
	check "running" is web running
	check "logs" until_ok 5 bash -c '[ "$(docker logs web)" = started ]'
	try docker exec web sh -c 'echo inside; exit 4'
	want "exec: output and exit code" 4 inside
	try docker exec -u app -w /data -e A=b web sh -c 'echo $(id -un) $PWD $A'
	want "exec with user, cwd, env" 0 "app /data b"
	try docker exec web nowhere
	[ "$rc" = 126 ] && rc=127 # up to Docker 20.10
	want "exec of a missing program" 127 "*executable file not found*"
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
		exit 9' docker exec -it web sh
	local i failures=0
	for i in {1..20}; do
		[ "$(docker exec web echo "$i")" = "$i" ] || failures=$((failures + 1))
	done
	check "exec 20 times" test $failures = 0
	try docker top web
	want "top" 0 "*PID*sh*"
	try docker stats --no-stream web
	want "stats" 0 "*web*"
	try docker pause web
	want "pause" 0
	check "paused" is web paused
	try docker unpause web
	want "unpause" 0
	check "running again" is web running
	try docker stop -t 10 web
	want "stop" 0
	check "its exit code" test "$(docker inspect -f '{{.State.ExitCode}}' web)" = 3
	try docker start web
	want "start again" 0 web
	try docker restart -t 5 web
	want "restart" 0
	try docker kill -s KILL web
	want "kill" 0
	try docker wait web
	want "wait gives 137" 0 137
	try docker rm web
	want "rm" 0
	try new run -d --name victim $box sleep 1000
	try docker rm -f victim
	want "rm -f of a running container" 0
	check "its process has ended" bash -c '! pgrep -x sleep'
	try docker ps -aq
	want "nothing is left" 0 ""
}

debian() {
	if [ -z "${rootfs:-}" ]; then
		skip "Debian" "no root file system could be made"
		return
	fi
	python3 "$HERE/image.py" "$rootfs" localhost/debian:1 debian.tar bash
	try docker load -q -i debian.tar
	want "load an image of Debian" 0
	rm debian.tar
	try new run --rm localhost/debian:1 apt-get --version
	want "apt-get --version" 0 "apt 2.*"
	mkdir -p srv
	echo "served by docker" >srv/index.html
	printf 'events {}\nhttp { server { listen 127.0.0.1:18083; root /srv; } }\n' >srv/nginx.conf
	try docker run -d --name nginx --network host -v "$SCRATCH/srv:/srv:ro" --stop-signal QUIT \
		localhost/debian:1 nginx -c /srv/nginx.conf -g 'daemon off;'
	want "nginx, detached, in the host's network" 0
	check "it serves" until_ok 10 curl -s --max-time 2 http://127.0.0.1:18083/
	try curl -s --max-time 2 http://127.0.0.1:18083/
	want "what it serves" 0 "served by docker"
	try docker stop nginx
	want "stop by SIGQUIT" 0
	check "its exit code" test "$(docker inspect -f '{{.State.ExitCode}}' nginx)" = 0
	try docker rm nginx
	want "rm nginx" 0
}

docker_config
start_docker
pass "dockerd $docker_version starts"
load_box
parts="information one_shot failing terminal detached files life restarts health"
parts+=" security namespaces devices limits updates debian"
# Which cgroups there are is nothing to these, and the machine is slow.
if [[ "${PLACE:-}" != vm-* ]]; then
	parts+=" networks names ports volumes mounts compose classic_build"
fi
parts+=" buildkit in_a_row bursts no_container checkpoints lives_on remapped no_container"
for part in ${PARTS:-$parts}; do
	if declare -F "$part" >/dev/null; then "$part"; else fail "a part called $part"; fi
done
