# docker-daemon.sh: dockerd started in other ways; docker.sh calls these, last.
# shellcheck shell=bash disable=SC2016,SC2086,SC2154 # for shells inside; box, rc, out are docker.sh's

# Containers go on without dockerd, and it finds them again.
lives_on() {
	stop_docker
	docker_config '.["live-restore"] = true'
	start_docker
	pass "dockerd starts with live-restore"
	docker run -d --name survivor --restart always -p 127.0.0.1:8085:80 $box \
		sh -c 'mkdir /srv; echo page >/srv/index.html; echo one; httpd -p 80 -h /srv; trap "exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
	new run -d --name ending $box sh -c 'until [ -e /data/end ]; do sleep 0.1; done; exit 6' >/dev/null
	local pid root
	pid=$(inspect survivor .State.Pid)
	root=/proc/$(inspect ending .State.Pid)/root
	stop_docker
	check "dockerd has ended" bash -c '! docker version'
	check "the container has not" test -d "/proc/$pid"
	touch "$root/data/end"
	check "another ends meanwhile" until_ok 10 test ! -d "$root"
	start_docker
	check "the same process after the restart" has survivor .State.Pid "$pid"
	check "it is running" is survivor running
	# Its exit code is lost: containerd asks no shim whose process has ended.
	check "the end of the other is known" until_ok 10 is ending exited
	try docker exec survivor echo inside
	want "exec after the restart" 0 inside
	check "its port after the restart" until_ok 5 fetch http://127.0.0.1:8085/
	check "exec -it after the restart" console 24x80 '
		expect [#$] 
		send exit 4\n
		exit 4' docker exec -it survivor sh
	try docker logs survivor
	want "logs after the restart" 0 one
	kill -KILL "$docker_pid"
	wait "$docker_pid" 2>/dev/null
	rm -f /run/docker.pid
	start_docker
	check "the same process after a kill of dockerd" has survivor .State.Pid "$pid"
	try docker stop survivor
	want "stop after the restart" 0
	check "its exit code" has survivor .State.ExitCode 5
	remove survivor ending
}

# Runtimes by options, not by the file.
remapped() {
	stop_docker
	docker_config 'del(.runtimes, .["default-runtime"]) + {"userns-remap": "tester"}'
	start_docker --add-runtime "tested=$RT" --add-runtime "with-options=$RT" --default-runtime tested
	pass "dockerd starts with userns-remap and --add-runtime"
	try docker load -i box.tar
	want "userns-remap: load an image" 0
	try docker info -f '{{.DefaultRuntime}}'
	want "--default-runtime" 0 tested
	try new run --rm $box sh -c 'id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user'
	want "userns-remap: ids" 0 $'0\n*0*100000*65536\n*'
	check "userns-remap: another user namespace" bash -c '! grep -qF "$(readlink /proc/self/ns/user)" "$0"' "$SCRATCH/try.out"
	new run -d --runtime with-options --name mapped -v data:/volume $box sh -c 'touch /volume/x; exec sleep 1000' >/dev/null
	check "--runtime" has mapped .HostConfig.Runtime with-options
	check "userns-remap: the owner outside" until_ok 5 bash -c '[ "$(stat -c %u "$0"/root/100000.100000/volumes/data/_data/x)" = 100000 ]' "$SCRATCH"
	check "userns-remap: the process outside" test "$(stat -c %u "/proc/$(inspect mapped .State.Pid)")" = 100000
	try docker exec -u app mapped sh -c 'id -u; touch /volume/y; ls /root'
	want "userns-remap: exec as a user" 1 1000
	try docker top mapped -o pid,uid,args
	want "userns-remap: top" 0 "*100000*sleep 1000*"
	check "userns-remap: exec -it" console 24x80 '
		expect [#$] 
		send tty; stty size\n
		expect ^/dev/(pts/0|console)
		expect ^24 80\r
		send exit 4\n
		exit 4' docker exec -it mapped sh
	try new run --rm --userns host --privileged $box cat /proc/self/uid_map
	want_privileged "--userns host --privileged" "*0*0*4294967295"
	try new run --rm --privileged $box true
	want "userns-remap: --privileged alone is refused" 125 "" "*privileged mode is incompatible with user namespaces*"
	docker run -d --name web -h web -p 127.0.0.1:8086:80 $box sh -c "$web" >/dev/null
	check "userns-remap: a published port" until_ok 5 fetch http://127.0.0.1:8086/
	try new run --rm --tmpfs /t --device /dev/fuse --sysctl net.ipv4.ip_default_ttl=77 $box sh -c 'touch /t/x; ls /dev/fuse; cat /proc/sys/net/ipv4/ip_default_ttl'
	want "userns-remap: a tmpfs, a device, a sysctl" 0 $'/dev/fuse\n77'
	mkdir -p hello
	printf 'FROM %s\nRUN id -u >/id; cat /proc/self/uid_map >>/id\nCMD cat /id\n' "$box" >Dockerfile.mapped
	DOCKER_BUILDKIT=0 try docker build -q --network none -t localhost/mapped:1 -f Dockerfile.mapped hello
	want "userns-remap: build by the classic builder" 0
	DOCKER_BUILDKIT=1 try docker build -q --network none -t localhost/mapped:2 -f Dockerfile.mapped hello
	want "userns-remap: build by BuildKit" 0
	try new run --rm localhost/mapped:2
	want "userns-remap: what it built" 0 $'0\n*0*100000*65536'
	remove mapped web
	docker volume rm data >/dev/null
}

# Docker has checkpoints as an experiment only.
checkpoints() {
	stop_docker
	docker_config '.experimental = true'
	start_docker
	new run -d --name saved $box sh -c 'while :; do sleep 0.1; done' >/dev/null
	try docker checkpoint create saved point
	if [[ $("$RT" --version) == runc* ]]; then
		skip "a checkpoint is refused" "runc can make one"
	else
		want "a checkpoint is refused, with the reason" 1 "" "*checkpoint is not supported*"
		check "the container goes on" is saved running
		try docker exec saved echo alive
		want "and works" 0 alive
	fi
	remove saved
}
