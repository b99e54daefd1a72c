# docker-life.sh: what becomes of a container in the course of time; docker.sh calls these.
# shellcheck shell=bash disable=SC2016,SC2086,SC2154 # for shells inside; box, rc, out are docker.sh's

files() {
	try new run -d --name files $box sh -c 'echo from inside >/data/inside; rm /etc/group; exec sleep 1000'
	want "run -d for cp" 0
	check "cp from a running container" until_ok 5 docker cp files:/data/inside copied
	check "what was copied" grep -qx "from inside" copied
	echo "from outside" >outside
	try docker cp outside files:/data/outside
	want "cp into a running container" 0
	try docker exec files cat /data/outside
	want "it is there" 0 "from outside"
	try docker diff files
	want "diff" 0
	check "what differs" test "$(sort <<<"$out")" = $'A /data/inside\nA /data/outside\nC /data\nC /etc\nD /etc/group'
	docker kill files >/dev/null
	docker cp outside files:/data/later >/dev/null 2>&1
	try docker cp files:/data/later copied
	want "cp from a stopped container" 0
	check "what was copied into it" cmp outside copied
	try docker commit -m "with files" -c 'ENV NEW=yes' files localhost/committed:1
	want "commit" 0 "sha256:*"
	try new run --rm localhost/committed:1 sh -c 'echo $NEW; cat /data/inside; ls /etc/group'
	want "the new image has all of it" 1 $'yes\nfrom inside' "*/etc/group*"
	try docker history --format '{{.Comment}}' localhost/committed:1
	want "history" 0 "with files*"
	docker export files >files.tar
	try docker import -c 'CMD ["cat", "/data/later"]' files.tar localhost/imported:1
	want "export and import" 0 "sha256:*"
	try new run --rm localhost/imported:1
	want "the imported image runs" 0 "from outside"
	try docker save -o saved.tar localhost/committed:1
	want "save" 0
	docker rmi localhost/committed:1 >/dev/null
	try docker load -i saved.tar
	want "load" 0 "*localhost/committed:1*"
	rm -f saved.tar files.tar
	remove files
	# Docker leaves that of export.
	umount "$SCRATCH"/root/overlay2/*/merged 2>/dev/null
}

life() {
	local now
	now=$(date +%s)
	try new create --name first $box sh -c 'for i in 1 2 3; do echo line $i; sleep 0.2; done; exit 8'
	want "create" 0
	check "it is created" is first created
	local id=$out
	docker start first >/dev/null
	docker wait first >waited &
	local waiting=$!
	try docker logs -f first
	want "logs -f follows to the end" 0 $'line 1\nline 2\nline 3'
	wait "$waiting"
	check "wait gives the exit code" grep -qx 8 waited
	try docker logs --tail 1 -t first
	want "logs with time stamps" 0 "20*T*Z line 3"
	try docker rename first second
	want "rename" 0
	check "the new name" is second exited
	try docker start -a second
	want "start -a: output and exit code" 8 "line 1*"
	try docker rm second
	want "rm" 0 second
	local events=(docker events --since "$now" --until $(($(date +%s) + 1)) --filter "container=$id")
	try "${events[@]}" --format '{{.Action}}'
	want "events" 0 $'create\n*start\n*die\nrename*start\n*die*destroy'
	try "${events[@]}" --filter event=die --format '{{index .Actor.Attributes "exitCode"}}'
	want "the event of the end has the exit code" 0 $'8\n8'
	try new run -d --name deaf --stop-signal USR1 --stop-timeout 1 $box sh -c 'trap "" USR1; while :; do sleep 0.1; done'
	want "run with a stop signal and timeout" 0
	try docker stop deaf
	want "stop kills in the end" 0
	check "its exit code is 137" has deaf .State.ExitCode 137
	remove deaf
	try new run --rm --init $box sh -c 'cat /proc/1/comm; (sleep 0.1 &); while ps -o comm | grep -q sleep; do :; done; echo reaped'
	want "--init: another pid 1, which reaps" 0 $'docker-init\nreaped'
	new run -d --name quick $box sh -c 'echo up; while :; do sleep 0.1; done' >/dev/null
	try docker exec -d quick sh -c 'echo by exec >/data/exec'
	want "exec -d" 0
	check "exec -d has run" until_ok 5 docker exec quick grep -qx "by exec" /data/exec
	try docker exec --privileged quick grep CapEff /proc/self/status
	want_privileged "exec --privileged" "$(every_capability)"
	check "attach shows output, and killing it ends nothing" console 24x80 '
		signal KILL' docker attach --sig-proxy=false quick
	check "still there after attach" is quick running
	remove quick
}

# The process dies by itself, not by a command to Docker, which would be obeyed.
kill_inside() { kill -KILL "$(inspect "$1" .State.Pid)"; }

restarts() {
	new run -d --name failing --restart on-failure:3 $box sh -c 'echo again; exit 7' >/dev/null
	check "on-failure: it gives up" until_ok 15 bash -c '[ "$(docker inspect -f "{{.RestartCount}} {{.State.Status}}" failing)" = "3 exited" ]'
	try docker logs failing
	want "on-failure: it ran four times" 0 $'again\nagain\nagain\nagain'
	check "on-failure: the last exit code" has failing .State.ExitCode 7
	new run -d --name succeeding --restart on-failure:3 $box true >/dev/null
	check "on-failure: not after success" until_ok 5 is succeeding exited
	check "on-failure: no restart after success" has succeeding .RestartCount 0
	new run -d --name eternal --restart always $box sleep 1000 >/dev/null
	local pid
	pid=$(inspect eternal .State.Pid)
	kill_inside eternal
	check "always: started again after a kill" until_ok 10 has eternal .RestartCount 1
	check "always: it runs" until_ok 10 is eternal running
	check "always: another process" test "$pid" != "$(inspect eternal .State.Pid)"
	try docker exec eternal echo alive
	want "always: exec in the new one" 0 alive
	try docker update --restart no eternal
	want "update of the restart policy" 0 eternal
	kill_inside eternal
	check "it stays ended" until_ok 5 is eternal exited
	try docker start eternal
	want "start after that" 0
	try docker stop -t 0 eternal
	want "stop" 0
	check "a stopped one is not restarted" is eternal exited
	remove failing succeeding eternal
}

health() {
	new run -d --name patient --health-cmd 'test -e /tmp/fine' --health-interval 0.5s --health-retries 2 $box \
		sh -c 'touch /tmp/fine; exec sleep 1000' >/dev/null
	check "health: healthy" until_ok 10 has patient .State.Health.Status healthy
	docker exec patient rm /tmp/fine
	check "health: unhealthy" until_ok 15 has patient .State.Health.Status unhealthy
	check "health: what the checks gave" grep -q '0 .*1 1' <(inspect patient 'range .State.Health.Log}}{{.ExitCode}} {{end')
	docker exec patient touch /tmp/fine
	check "health: healthy again" until_ok 10 has patient .State.Health.Status healthy
	remove patient
}

# answer N: a container that answers with N and exits with it
answer() {
	local got
	got=$(timeout $((60 * SLOW)) docker run --rm --network none $box sh -c "echo answer $1; exit $1" 2>&1)
	got="$? $got"
	# What Docker loses, see `try`.
	[ "$got" != "$1 " ] || [ -n "${2:-}" ] || { answer "$1" again; return; }
	[ "$got" = "$1 answer $1" ] || echo "container $1: $got"
}

in_a_row() {
	local n
	for n in {1..50}; do answer "$n"; done >wrong
	check "50 containers in a row" diff /dev/null wrong
}

bursts() {
	export -f answer
	export box SLOW
	seq 50 | xargs -P 8 -I {} bash -c 'answer {}' >wrong
	check "50 containers, 8 at once" diff /dev/null wrong
	seq 16 | xargs -P 8 -I {} docker run -d --network none --name burst{} $box sleep 1000 2>&1 >/dev/null | tee wrong
	check "16 that stay, 8 at once" diff /dev/null wrong
	seq 16 | xargs -P 8 -I {} docker exec burst{} echo {} 2>&1 | sort -n >answers
	check "exec in all, 8 at once" bash -c 'seq 16 | diff - answers'
	seq 16 | xargs -P 8 -I {} docker rm -f burst{} 2>&1 | grep -v ^burst >wrong
	check "rm -f of all, 8 at once" diff /dev/null wrong
}
