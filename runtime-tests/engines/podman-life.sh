# podman-life.sh: what podman.sh tries of a container that runs.
# shellcheck shell=bash disable=SC2154,SC2016 # podman.sh's variables; single quotes are for a shell inside

detached() {
	try new run -d --name web $box sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
	want "run -d" 0 "*"
	check "running" is web running
	check "logs" until_ok 5 bash -c '[ "$(p logs web)" = started ]'
	try p exec web sh -c 'echo inside; exit 4'
	want "exec: output and exit code" 4 inside
	try p exec -u app -w /data -e A=b web sh -c 'echo $(id -un) $PWD $A'
	want "exec with user, cwd, env" 0 "app /data b"
	try p exec --privileged web grep CapEff /proc/self/status
	want "exec --privileged" 0 $'CapEff:\t00000*f*f*'
	try p exec -d web sh -c 'echo detached >/tmp/by-exec'
	want "exec -d" 0 "*"
	check "it has run" until_ok 5 p exec web test -s /tmp/by-exec
	exec_failing
	exec_terminal
	local i failures=0
	for i in {1..10}; do
		[ "$(p exec web echo "$i")" = "$i" ] || failures=$((failures + 1))
	done
	check "exec 10 times" test $failures = 0
	looking
	try p pause web
	want "pause" 0
	check "paused" is web paused
	try p unpause web
	want "unpause" 0
	check "running again" is web running
	ending
}

exec_failing() {
	try p exec web nowhere
	want "exec of a missing program: 127" 127 "" '*executable file*not found*'
	try p exec web /no/where
	want "exec of a missing path: 127" 127 "" '*[Nn]o such file or directory*'
	try p exec web /bin/plain-file
	want "exec of a file that is not executable: 126" 126 "" '*permission denied*'
	try p exec web /bin
	# Its 126 is for "permission denied", which others than rt and newer runc say.
	[ "$rc" != 126 ] || [ "${RT##*/}" = rt ] || rc=255
	want "exec of a directory: Podman has no word for it" 255 "" '*/bin*'
	try p exec -w /no/where web true
	want "exec in a missing directory: 127" 127 "" '*/no/where*[Nn]o such file or directory*'
	try p exec -u nobody-of-this-name web true
	want "exec as an unknown user" 255 "" '*unable to find user nobody-of-this-name*'
	try p exec nobody true
	want "exec in no container: 125" 125 "" '*no such container*'
	try p exec web sh -c 'kill -KILL $$'
	want "exec of what is killed: 137" 137
}

exec_terminal() {
	check "exec -it: a terminal, its size, Ctrl-C, exit code" console 30x90 '
		expect [#$] 
		send tty\n
		expect ^/dev/(pts/0|console)
		send until [ "$(stty size)" = "30 90" ]; do sleep 0.1; done; stty size\n
		expect ^30 90\r
		resize 31x91
		send until [ "$(stty size)" = "31 91" ]; do sleep 0.1; done; stty size\n
		expect ^31 91\r
		send (echo re""ady; exec sleep 1000)\n
		expect ^ready
		send \x03
		send echo "status $?"\n
		expect ^status 130
		send exit 9\n
		exit 9' p exec -it web sh
	try p exec -t web tty
	want "exec -t" 0 "/dev/pts/*"
}

looking() {
	try p top web
	want "top" 0 "USER*PID*sh*"
	try p top web -eo pid,comm
	want "top with ps options" 0 "*PID*COMMAND*sh*"
	try p stats --no-stream --format '{{.Name}} {{.PIDs}}' web
	if [ "$VIEW" = v2 ]; then
		skip "stats" "the v2 view has no controllers"
	else
		want "stats" 0 "web [1-9]*"
	fi
	try p events --stream=false --since 10m --filter container=web --format '{{.Status}}'
	want "events" 0 $'create\n*start*exec*'
	try p inspect -f '{{.OCIRuntime}} {{.State.Status}}' web
	want "inspect names the runtime" 0 "rt running"
	try new run --rm --name slow -d $box sh -c 'for i in 1 2 3; do echo $i; sleep 0.3; done'
	try p logs -f slow
	want "logs -f, to the end" 0 $'1\n2\n3'
}

ending() {
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
	try p init made
	want "init" 0
	check "made, and not started" is made initialized
	try p start -a made
	want "start -a" 0 created
	p rm made >/dev/null
	check "attach: the terminal, from another one" attach
	try p ps -aq
	want "nothing is left" 0 ""
}

attach() {
	new run -dit --name att $box sh -c 'while read -r word; do eval "$word"; done' && console 24x80 '
		send tty\n
		expect ^/dev/(pts/0|console)
		send \x11
		exit 0' p attach --detach-keys ctrl-q att && is att running && console 24x80 '
		send echo ba""ck\n
		expect ^back
		send exit 5\n
		exit 0' p attach att && [ "$(p wait att)" = 5 ] && p rm att
}

health() {
	try new run -d --name ill --health-cmd 'test -e /tmp/well' --health-interval disable $box sleep 1000
	want "a health check" 0
	try p healthcheck run ill
	want "unhealthy" 1
	p exec ill touch /tmp/well
	try p healthcheck run ill
	want "healthy" 0
	p rm -ft 0 ill >/dev/null
}

updating() {
	if [ "$VIEW" = v2 ]; then
		skip "update" "the v2 view has no controllers"
		return
	fi
	local memory=memory/memory.limit_in_bytes cpu=cpu/cpu.cfs_quota_us quota=70000
	[ "$VIEW" != systemd ] || memory=memory.max cpu=cpu.max quota='70000 100000'
	new run -d --name changing --memory 64m $box sleep 1000 >/dev/null
	try p update --memory 40m --cpus 0.7 changing
	want "update" 0
	try p exec changing cat "/sys/fs/cgroup/$memory"
	want "the new memory limit" 0 41943040
	try p exec changing cat "/sys/fs/cgroup/$cpu"
	want "the new cpu limit" 0 "$quota"
	p rm -ft 0 changing >/dev/null
}

# Refused, with a reason, and the container does not come to harm.
checkpoint() {
	if [ "${RT##*/}" != rt ]; then
		skip "checkpoint is refused" "runc and crun have it"
		return
	fi
	new run -d --name whole $box sh -c 'while :; do sleep 0.1; done' >/dev/null
	try p container checkpoint whole
	want "checkpoint is refused" 125 "" "*checkpoint*"
	check "the container runs on" p exec whole true
	is whole running || fail "it is said to be running"
	p rm -ft 0 whole >/dev/null
}

files() {
	new run -d --name box $box sleep 1000 >/dev/null
	echo "copied in" >in
	try p cp in box:/tmp/in
	want "cp into a running container" 0
	try p exec box cat /tmp/in
	want "it is there" 0 "copied in"
	try p cp box:/tmp/in out
	want "cp out of it" 0
	check "the same" cmp in out
	try p diff box
	want "diff" 0 "*A /tmp/in*"
	try p commit -q box localhost/committed
	want "commit" 0
	try new run --rm localhost/committed cat /tmp/in
	want "what was committed runs" 0 "copied in"
	try p rmi -f localhost/committed
	try p rename box other
	want "rename of a running container" 0
	p rm -ft 0 other >/dev/null
}

builds() {
	mkdir -p context
	echo "of the context" >context/file
	cat >context/Containerfile <<-TEXT
		FROM $box
		WORKDIR /app
		COPY file .
		RUN cat file >/made && id -u >>/made && mkdir -m 777 /mine
		USER 1000
		RUN id -u >/mine/uid
		CMD ["cat", "/made", "/mine/uid"]
	TEXT
	try p build -q --cgroup-parent "$build" --network none -t localhost/built context
	want "build" 0
	try new run --rm localhost/built
	want "what was built runs" 0 $'of the context\n0\n1000'
	printf 'FROM %s\nRUN echo to be seen; exit 7\n' "$box" >context/Containerfile
	try p build --cgroup-parent "$build" --network none context
	want "a failing RUN: its text and status" 7 "*to be seen*" "*exit status 7*"
	printf 'FROM %s\nRUN ["/bin/plain-file"]\n' "$box" >context/Containerfile
	try p build --cgroup-parent "$build" --network none context
	want "a RUN that cannot be started" 1 "*" "*@(permission denied|not executable)*"
	p rmi -f localhost/built >/dev/null
}
