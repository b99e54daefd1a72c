#!/bin/bash
# cri.sh: containerd with its CRI plugin and a network of CNI plugins, spoken to as a kubelet does, with
# RT as a runtime handler.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside, or jq
. "$(dirname "$0")/lib.sh"

[ -n "${RT_ENGINES_INSIDE:-}" ] || outside_with_tree
inside
. "$HERE/containerd-lib.sh"
. "$HERE/cri-lib.sh"

about() {
	ask Version '{"id": "v1"}'
	want "Version" 0 '*"containerd"*"v1"*'
	ask Status
	said '[.status.conditions[] | select(.status).type] | join(" ")'
	want "Status: runtime and network are ready" 0 "RuntimeReady NetworkReady"*
	ask RuntimeConfig
	if [[ "$err" == UNIMPLEMENTED* ]]; then
		skip "RuntimeConfig" "this containerd has none"
	else
		said '.linux.cgroup_driver // "SYSTEMD"'
		want "RuntimeConfig: the cgroup driver" 0 "$([ "$VIEW" = systemd ] && echo SYSTEMD || echo CGROUPFS)"
	fi
	ask Status
	said ".runtime_handlers[]? | select(.name == \"$handler\") | .features | \"\(.user_namespaces) \(.recursive_read_only_mounts)\""
	if [ "$version" = 2 ]; then
		skip "features of the handler" "this containerd asks for none"
	else
		want "features of the handler: user namespaces, recursive read-only mounts" 0 "true true"
	fi
	ask RunPodSandbox '{"config": {"metadata": {"name": "x", "uid": "x", "namespace": "x"}}, "runtime_handler": "nowhere"}'
	want "a handler that does not exist" 1 "" '*no runtime for "nowhere" is configured*'
}

a_pod() {
	pod web '.labels = {app: "web"} | .linux.sysctls = {"net.ipv4.ip_default_ttl": "77"} | .dns_config = {servers: ["10.88.0.1"], searches: ["pods.test"]}'
	want "RunPodSandbox" 0
	ask PodSandboxStatus "{\"id\": \"$pod\"}"
	said '.status | "\(.state // "SANDBOX_READY") \(.runtime_handler) \(.labels.app) \(.network.ip)"'
	want "PodSandboxStatus: state, handler, label, address" 0 "SANDBOX_READY $handler web 10.88.*"
	check "the runtime knows it" bash -c "'$RT' --root /run/containerd/runc/k8s.io list -q | grep $pod"
	ask ListPodSandbox
	said '.items[].metadata.name'
	want "ListPodSandbox" 0 web
}

life() {
	create one 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done' '.envs = [{key: "A", value: ("b" | @base64)}] | .working_dir = "/data"'
	want "CreateContainer" 0
	state
	want "its state" 0 "CREATED*"
	ask StartContainer "{\"id\": \"$container\"}"
	want "StartContainer" 0
	check "running" is "RUNNING*"
	in_box sh -c 'echo out; echo err >&2; exit 5'
	want "ExecSync: output, errors, exit code" 5 out err
	in_box sh -c 'echo $A $PWD $FROM_IMAGE $(hostname); cat /proc/sys/net/ipv4/ip_default_ttl /etc/resolv.conf'
	want "environment, directory, host name, sysctl, resolver" 0 $'b /data yes web\n77\n*pods.test*10.88.0.1*'
	ask ExecSync "{\"container_id\": \"$container\", \"cmd\": [\"sleep\", \"12345\"], \"timeout\": 1}"
	want "ExecSync: timeout" 1 "" "*timeout*"
	check "what timed out is dead" until_ok 10 bash -c '! pgrep -fx "sleep 12345"'
	in_box nowhere
	want "ExecSync of a missing program" 1 "" '*exec: "nowhere": executable file not found in $PATH*'
	in_box true
	want "ExecSync after it" 0
	ask ListContainers
	said '.containers[] | "\(.metadata.name) \(.state)"'
	want "ListContainers" 0 "one RUNNING"
	ask StopContainer "{\"id\": \"$container\", \"timeout\": 20}"
	want "StopContainer" 0
	state
	want "it ended by itself" 0 "EXITED 3 Error"
	remove_container
	want "RemoveContainer" 0
	ask ContainerStatus "{\"id\": \"$container\"}"
	want "it is gone" 1 "" "NOT_FOUND*"
	remove_pod
	want "StopPodSandbox, RemovePodSandbox" 0
}

endings() {
	pod endings
	start deaf 'trap "" TERM; echo started; while :; do sleep 0.1; done'
	check "it ignores the signal" until_ok 10 grep -q started "$SCRATCH/logs/endings/deaf.log"
	ask StopContainer "{\"id\": \"$container\", \"timeout\": 1}"
	state
	want "StopContainer: killed after its time" 0 "EXITED 137 Error"
	ends "exit code 0" true "EXITED 0 Completed"
	ends "exit code 4" 'exit 4' "EXITED 4 Error"
	start missing "" '.command = ["nowhere"]'
	want "a missing program" 1 "" '*exec: "nowhere": executable file not found in $PATH*'
	state
	want "its state" 0 "EXITED 128 StartError"
	start no-file "" '.command = ["/no/where"]'
	want "a missing path" 1 "" '*/no/where*no such file or directory*'
	start plain "" '.command = ["/bin/plain-file"]'
	want "a file that is not executable" 1 "" '*plain-file*permission denied*'
	start no-source true '.mounts = [{host_path: "/dev/null/x", container_path: "/mnt"}]'
	want "a mount source that cannot be" 1 "" '*/dev/null/x*not a directory*'
	remove_pod
}

logs() {
	local file=$SCRATCH/logs/logs/logs.log
	mkdir fifo && mkfifo fifo/more
	pod logs
	start logs 'echo to out; echo to err >&2; printf "no end"; read -r line <>/data/more; echo after' '.mounts = [{host_path: "'"$SCRATCH/fifo"'", container_path: "/data"}]'
	check "the log: times, streams, text" until_ok 10 grep -Eq '^20[^ ]+T[^ ]+ stdout F to out$' "$file"
	check "the log: errors" until_ok 10 grep -Eq '^20[^ ]+ stderr F to err$' "$file"
	mv "$file" "$file.1"
	ask ReopenContainerLog "{\"id\": \"$container\"}"
	want "ReopenContainerLog" 0
	echo >"$SCRATCH/fifo/more"
	check "the new log has what comes after" until_ok 10 grep -q 'stdout F .*after$' "$file"
	ends "a long line" 'head -c 40000 /dev/zero | tr "\\0" x; echo' "EXITED 0 Completed"
	try bash -c "grep -c ' stdout P xxx' '$SCRATCH/logs/logs/a long line.log'; sed 's/^[^ ]* [^ ]* [^ ]* //' '$SCRATCH/logs/logs/a long line.log' | tr -d '\n' | wc -c"
	want "is in parts, and whole" 0 $'2\n40000'
	remove_pod
}

security() {
	pod security
	local context=.linux.security_context
	start user 'id; exec sleep 12345' "$context += {run_as_user: {value: 1000}, run_as_group: {value: 1000}, supplemental_groups: [7777], no_new_privs: true,
		seccomp: {profile_type: \"RuntimeDefault\"}, capabilities: {drop_capabilities: [\"ALL\"]}, readonly_rootfs: true}"
	in_box id
	want "user, group, supplemental groups" 0 "uid=1000(app) gid=1000(app) groups=1000(app),7777"
	in_box sh -c 'grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/1/status'
	want "no capabilities, no new privileges, seccomp" 0 $'CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2'
	in_box unshare -U true
	want "what the default profile forbids" 1 "" "*ermitted*"
	in_box touch /data/x
	want "read-only root" 1 "" "*ead-only file system*"
	start caps 'exec sleep 12345' "$context += {capabilities: {drop_capabilities: [\"ALL\"], add_capabilities: [\"NET_BIND_SERVICE\"]},
		masked_paths: [\"/etc/group\", \"/proc/acpi\", \"/data\"], readonly_paths: [\"/tmp\", \"/proc/sys\"], seccomp: {profile_type: \"Unconfined\"}}"
	in_box sh -c 'grep -E "^(CapEff|Seccomp):" /proc/1/status; cat /etc/group; ls /data'
	want "one capability, unconfined, masked paths" 0 $'CapEff:\t0000000000000400\nSeccomp:\t0'
	in_box sh -c 'touch /tmp/x || echo 1 >/proc/sys/kernel/domainname'
	want "read-only paths" 1 "" "*touch: /tmp/x: Read-only file system*domainname*"
	start by-name 'exec sleep 12345' "$context.run_as_username = \"app\""
	in_box id -u
	want "a user by name" 0 1000
	remove_pod
	pod super "$context.privileged = true"
	start super 'exec sleep 12345' "$context.privileged = true"
	in_box sh -c 'mount -t tmpfs t /tmp && echo mounted && [ -e /dev/kmsg ] && echo devices'
	want "privileged" 0 $'mounted\ndevices'
	remove_pod
}

mounts() {
	mkdir -p share/inner && mount --bind share share && mount --make-shared share && mount -t tmpfs t share/inner
	echo from the host >share/file
	pod mounts '.linux.security_context.privileged = true'
	start private 'exec sleep 12345' '.mounts = [{host_path: "'"$SCRATCH/share"'", container_path: "/mnt", readonly: true}]'
	in_box sh -c 'cat /mnt/file; touch /mnt/x'
	want "hostPath, read-only" 1 "from the host" "*Read-only file system*"
	in_box touch /mnt/inner/x
	want "a mount below it is not" 0
	start slave 'exec sleep 12345' '.mounts = [{host_path: "'"$SCRATCH/share"'", container_path: "/mnt", propagation: "HOST_TO_CONTAINER"}]'
	mkdir share/new && mount -t tmpfs t share/new && echo late >share/new/file
	in_box cat /mnt/new/file
	want "propagation from the host" 0 late
	start shared 'exec sleep 12345' '.linux.security_context.privileged = true | .mounts = [{host_path: "'"$SCRATCH/share"'", container_path: "/mnt", propagation: "BIDIRECTIONAL"}]'
	in_box sh -c 'mkdir /mnt/back && mount -t tmpfs t /mnt/back && echo back >/mnt/back/file'
	want "a mount in a privileged container" 0
	check "propagation to the host" grep -qx back share/back/file
	recursive
	image_volume
	remove_pod
	umount share/back share/new share/inner share
}

recursive() {
	if [ "$version" = 2 ]; then
		skip "recursive read-only mounts" "containerd has them since version 2"
		return
	fi
	start rro 'exec sleep 12345' '.mounts = [{host_path: "'"$SCRATCH/share"'", container_path: "/mnt", readonly: true, recursive_read_only: true}]'
	in_box touch /mnt/inner/x
	want "recursive read-only mounts" 1 "" "*Read-only file system*"
}

image_volume() {
	if [ "$version" = 2 ]; then
		skip "an image as volume" "containerd has them since version 2.1"
		return
	fi
	start volume 'exec sleep 12345' '.mounts = [{container_path: "/mnt", image: {image: "'$box'"}, readonly: true}]'
	in_box cat /mnt/bin/plain-file
	want "an image as volume" 0 "not to be run"
}

# cgroup_of FILE...: what the cgroup of $container has, in either kind of hierarchies
cgroup_of() {
	try find /sys/fs/cgroup -path "*$TAG*$container*" \( -name "$1" -o -name "$2" \) -exec cat '{}' ';'
}

limits() {
	pod limits
	start limited 'exec sleep 12345' '.linux.resources = {memory_limit_in_bytes: 67108864, cpu_period: 100000, cpu_quota: 50000, cpu_shares: 512, cpuset_cpus: "0"}'
	want "limits" 0
	cgroup_of memory.max memory.limit_in_bytes
	want "the memory limit" 0 67108864
	cgroup_of cpu.max cpu.cfs_quota_us
	want "the cpu limit" 0 "50000*"
	cgroup_of cpuset.cpus cpuset.cpus
	want "the cpus" 0 0
	ask UpdateContainerResources "{\"container_id\": \"$container\", \"linux\": {\"memory_limit_in_bytes\": 134217728, \"cpu_period\": 100000, \"cpu_quota\": 20000}}"
	want "UpdateContainerResources" 0
	cgroup_of memory.max memory.limit_in_bytes
	want "the new memory limit" 0 134217728
	cgroup_of cpu.max cpu.cfs_quota_us
	want "the new cpu limit" 0 "20000*"
	start eater 'until [ -e /tmp/go ]; do sleep 0.1; done; exec tail /dev/zero' '.linux.resources = {memory_limit_in_bytes: 16777216}'
	in_box touch /tmp/go
	until_ok 20 is "EXITED*"
	want "too much memory" 0 "EXITED 137 OOMKilled"
	remove_pod
}

statistics() {
	pod statistics
	start busy 'while :; do sleep 0.1; done'
	local id=$container
	ask ContainerStats "{\"id\": \"$id\"}"
	said '.stats | (.cpu.usage_core_nano_seconds.value | tonumber > 0) and (.memory.working_set_bytes.value | tonumber > 0)'
	want "ContainerStats: cpu time and memory" 0 true
	ask ListContainerStats
	said ".stats[] | select(.attributes.id == \"$id\").cpu.usage_core_nano_seconds.value | tonumber > 0"
	want "ListContainerStats" 0 true
	ask PodSandboxStats "{\"id\": \"$pod\"}"
	if [[ "$err" == UNIMPLEMENTED* ]]; then
		skip "PodSandboxStats" "this containerd has none"
		remove_pod
		return
	fi
	said "(.stats.linux.cpu.usage_core_nano_seconds.value | tonumber > 0), (.stats.linux.processes // .stats.linux.process).process_count.value, (.stats.linux.containers | any(.attributes.id == \"$id\"))"
	want "PodSandboxStats: cpu time, processes, containers" 0 $'true\n*[0-9]\ntrue'
	remove_pod
}

streams() {
	pod streams
	start talks 'exec sh' '.stdin = true | .tty = true'
	local id=$container
	ask Attach "{\"container_id\": \"$id\", \"stdin\": true, \"tty\": true, \"stdout\": true}"
	said .url
	try bash -c "echo 'tty; stty size; exit 7' | python3 '$HERE/stream.py' '$out' 35x99"
	want "Attach: a terminal and its size" 0 "*/dev/*35 99*"
	check "and its end" until_ok 10 is "EXITED 7*"
	start sleeps 'exec sleep 12345'
	id=$container
	ask Exec "{\"container_id\": \"$id\", \"cmd\": [\"sh\", \"-c\", \"read x; echo got \$x; echo bad >&2; exit 4\"], \"stdin\": true, \"stdout\": true, \"stderr\": true}"
	said .url
	try bash -c "echo word | python3 '$HERE/stream.py' '$out'"
	want "Exec: input, output, errors, exit code" 4 "got word" bad
	ask Exec "{\"container_id\": \"$id\", \"cmd\": [\"sh\"], \"tty\": true, \"stdin\": true, \"stdout\": true}"
	said .url
	try bash -c "echo 'tty; stty size; exit 6' | python3 '$HERE/stream.py' '$out' 30x90"
	want "Exec: a terminal, its size, exit code" 6 "*/dev/*30 90*"
	start web 'mkdir -p /tmp/www; echo hello from a pod >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www'
	ask PortForward "{\"pod_sandbox_id\": \"$pod\", \"port\": [8080]}"
	said .url
	local url=$out
	check "it listens" until_ok 10 sh -c 'nsenter -t "$(pgrep -fx "httpd -f -p 8080 -h /tmp/www")" -n ss -ltn | grep :8080'
	try bash -c "printf 'GET / HTTP/1.0\r\n\r\n' | timeout $((10 * SLOW)) python3 '$HERE/stream.py' '$url'"
	want "PortForward" 0 "*hello from a pod*"
	remove_pod
}

namespaces() {
	pod together '.linux.security_context.namespace_options.pid = "POD"'
	start first 'echo shared >/dev/shm/file; exec sleep 12345'
	start second 'exec sleep 23456'
	in_box ps -o pid,args
	want "a shared pid namespace" 0 $'*1 /bin/sleep 2147483647*sleep 12345*'
	in_box cat /dev/shm/file
	want "and a shared /dev/shm" 0 shared
	ask StopContainer "{\"id\": \"$container\", \"timeout\": 0}"
	check "StopContainer ends one of them" bash -c '! pgrep -fx "sleep 23456" && pgrep -fx "sleep 12345"'
	ends "killed by a signal" 'kill -SEGV $$' "EXITED 139 Error"
	remove_pod
	pod apart
	start first 'exec sleep 12345'
	local target=$container
	in_box sh -c 'ps -o pid,args | grep "^ *1 sleep 12345" && ! ps -o pid,args | grep "[2]147483647"'
	want "a pid namespace of its own" 0
	start debug 'exec sleep 23456' '.linux.security_context.namespace_options = {pid: "TARGET", target_id: "'"$target"'"}'
	in_box ps -o pid,args
	want "the pid namespace of another container" 0 $'*1 sleep 12345*sleep 23456*'
	remove_pod
	pod on-host '.hostname = "" | .linux.security_context.namespace_options = {network: "NODE", pid: "NODE", ipc: "NODE"}'
	start hosts 'exec sleep 12345'
	in_box sh -c 'ps -o args | grep -c "^containerd -l warn"; [ -d /sys/class/net/cni0 ] && hostname; readlink /proc/self/ns/ipc | tr -d []'
	want "the host's network, processes, name, ipc" 0 $'[1-9]*\n'"$(hostname; readlink /proc/self/ns/ipc | tr -d '[]')"
	remove_pod
}

user_namespace() {
	if [[ "$engine" == "containerd 1.6."* ]]; then
		skip "a pod with a user namespace" "containerd has them since 1.7"
		return
	fi
	local range='[{host_id: 200000, container_id: 0, length: 65536}]'
	pod mapped ".linux.security_context.namespace_options.userns_options = {mode: \"POD\", uids: $range, gids: $range}"
	want "a pod with a user namespace" 0
	start mapped 'exec sleep 12345'
	want "a container in it" 0
	in_box sh -c 'cat /proc/1/uid_map; id -u; stat -c %u /bin'
	want "its users, its root file system" 0 $'* 0 * 200000 * 65536\n0\n0'
	check "its processes are nobody here" test "$(stat -c %u "/proc/$(pgrep -fx 'sleep 12345')")" = 200000
	mapped_volume "$range"
	remove_pod
	want "the pod goes" 0
}

mapped_volume() {
	if [ "$version" = 2 ]; then
		skip "a mapped volume" "containerd has them since version 2"
		return
	fi
	mkdir -p mapped && chown 1000:1000 mapped
	start volume 'exec sleep 23456' ".mounts = [{host_path: \"$SCRATCH/mapped\", container_path: \"/mnt\", uidMappings: $1, gidMappings: $1}]"
	in_box sh -c 'stat -c %u /mnt; touch /mnt/new'
	want "a mapped volume" 0 1000
	check "files in it are those of the host's root" test "$(stat -c %u mapped/new 2>&1)" = 0
}

connections() {
	pod server '.port_mappings = [{container_port: 8080, host_port: 18082}]'
	start httpd 'mkdir /tmp/www; echo hello from a pod >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www'
	ask PodSandboxStatus "{\"id\": \"$pod\"}"
	said .status.network.ip
	local address=$out server=$pod
	check "the host reaches a pod" until_ok 10 curl -sf --max-time 2 "http://$address:8080/"
	check "a port of the host" until_ok 10 curl -sf --max-time 2 http://10.88.0.1:18082/
	pod client
	start asks 'exec sleep 12345'
	in_box wget -qO- "http://$address:8080/"
	want "one pod reaches another" 0 "hello from a pod"
	local asks=$container
	start neighbour 'exec httpd -f -p 127.0.0.1:7777 -h /etc'
	container=$asks
	check "containers of a pod share localhost" until_ok 10 in_box_ok wget -qO- http://127.0.0.1:7777/passwd
	remove_pod
	pod=$server remove_pod
}

in_box_ok() {
	in_box "$@"
	[ "$rc" = 0 ]
}

longer() { [ "$(log "$1" | wc -l)" -gt "$2" ]; }

restart() {
	pod survivor
	start survivor 'trap "exit 3" TERM; n=0; while :; do n=$((n + 1)); echo $n; sleep 0.1; done'
	restart_containerd
	check "a container goes on without containerd" until_ok 20 is "RUNNING*"
	in_box sh -c 'exit 5'
	want "ExecSync in it" 5
	local lines
	lines=$(log survivor/survivor.log | wc -l)
	check "its log goes on" until_ok 20 longer survivor/survivor.log "$lines"
	ask StopContainer "{\"id\": \"$container\", \"timeout\": 20}"
	state
	want "it ends by itself" 0 "EXITED 3 Error"
	remove_pod
	want "the pod goes after that" 0
}

# round N: a pod with a container which ends by itself; says what is wrong
round() {
	pod "round-$1"
	[ "$rc" = 0 ] || { echo "$1: $err"; return; }
	# Of a container that ends at once containerd may lose the output: it no longer opens its pipe.
	start job "echo $1; sleep 0.3; exit $1"
	until_ok 30 is "EXITED $1 *" || echo "$1: $out $err"
	until_ok 10 grep -q "stdout F $1$" "$SCRATCH/logs/round-$1/job.log" || echo "$1: no log"
	remove_pod
	[ "$rc" = 0 ] || echo "$1: $err"
}

rounds() {
	connect_cri 2>/dev/null
	local i
	for i; do round "$i"; done
	kill "$CRI_PID"
}

many() {
	local i running=()
	for i in $(seq 20); do round "$i"; done >wrong
	check "20 pods in a row" diff /dev/null wrong
	for i in 1 2 3 4 5 6 7 8; do
		rounds "3$i" "4$i" >"wrong.$i" &
		running+=($!)
	done
	wait "${running[@]}"
	check "8 pods at once, twice" bash -c 'cat wrong.*; ! cat wrong.* | grep -q .'
}

# Everything that was made is gone again.
gone() {
	remove_pods
	ask ListPodSandbox
	want "no pod is left" 0 "{}"
	ask ListContainers
	want "no container is left" 0 "{}"
	nothing_left k8s.io
	check "no network namespace is left" bash -c '! ls -A /run/netns /var/run/netns | grep cni-'
	check "no address is left" bash -c '! ls /var/lib/cni/networks/pods | grep "^10\."'
}

start_cri no-default
about
a_pod
life
endings
logs
security
mounts
limits
statistics
streams
namespaces
user_namespace
connections
many
restart
gone
