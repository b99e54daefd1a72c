#!/bin/bash
# kubelet.sh: a kubelet without an API server, with pods of files, on containerd with RT as the runtime
# of all pods.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside, or jq
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	[ "${VIEW:-}" != v2 ] || give_up skip "a kubelet needs all controllers"
	[ "${SUITE:-bookworm}" != sid ] || give_up skip "the last kubelet in Debian does not speak the CRI of containerd 2"
	if [ "$(id -u)" = 0 ]; then
		KUBELET=$("$(dirname "$0")/kubelet") || give_up skip "no kubelet could be built"
		export KUBELET
	fi
	outside_with_tree
fi
inside
. "$HERE/containerd-lib.sh"
. "$HERE/cri-lib.sh"

manifests=/etc/kubernetes/manifests
pods=http://127.0.0.1:10255/pods

# What a kubelet wants of the kernel's settings, it sees; they stay as they are.
kernel_settings() {
	local setting
	for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
		kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
		mkdir -p "settings/$(dirname "$setting")"
		echo "${setting#*=}" >"settings/${setting%=*}"
		mount --bind "settings/${setting%=*}" "/proc/sys/${setting%=*}" || exit 1
	done
}

# Its cgroups are below one of ours, as all which a script makes.
cgroup_root() {
	local dir
	[ "$VIEW" != systemd ] || return 0
	for dir in /sys/fs/cgroup/*/; do
		dir=${dir%/}
		{ [ ! -L "$dir" ] && mkdir "$dir/$TAG"; } 2>/dev/null || continue
		[ ! -e "$dir/cpuset.cpus" ] || { cat "$dir/cpuset.cpus" >"$dir/$TAG/cpuset.cpus" && cat "$dir/cpuset.mems" >"$dir/$TAG/cpuset.mems"; }
	done
}

start_kubelet() {
	local driver=cgroupfs root=/$TAG
	[ "$VIEW" != systemd ] || driver=systemd root=
	kernel_settings
	cgroup_root
	mkdir -p $manifests /var/lib/kubelet "$SCRATCH/kubelet" && mount --bind "$SCRATCH/kubelet" /var/lib/kubelet || exit 1
	cat >/var/lib/kubelet/config.yaml <<-TEXT
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		staticPodPath: $manifests
		fileCheckFrequency: 1s
		syncFrequency: 1s
		cgroupDriver: $driver
		cgroupRoot: $root
		failSwapOn: false
		protectKernelDefaults: true
		readOnlyPort: 10255
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
		imageGCHighThresholdPercent: 100
	TEXT
	daemon kubelet "$KUBELET" --config /var/lib/kubelet/config.yaml --container-runtime remote \
		--container-runtime-endpoint unix:///run/containerd/containerd.sock
	if ! until_ok 60 curl -sf $pods; then
		LINES_OF_LOG=40 fail "the kubelet starts" "$SCRATCH/kubelet.log"
		exit 1
	fi
	engine="kubelet $(basename "$KUBELET" | cut -d- -f2)"
	pass "$engine starts"
}

stop_engine() {
	rm -f $manifests/*.yaml
	until_ok 20 no_pods
	[ -z "${CRI_PID:-}" ] || remove_pods
	stop_daemons
}

no_pods() { ! ctr -n k8s.io task ls -q | grep -q .; }

# manifest NAME: from standard input, at its place at once
manifest() {
	cat >"$SCRATCH/$1.yaml" && mv "$SCRATCH/$1.yaml" "$manifests/"
}

# status POD FILTER: of what the kubelet says of a pod
status() {
	curl -sf $pods | jq -r --arg name "$1-rt-engines" ".items[] | select(.metadata.name == \$name).status | $2"
}

ready() { status "$1" '[.containerStatuses[].ready] | all' | grep -qx true; }

# run POD CONTAINER COMMAND: in a container, by the kubelet
run() {
	try curl -sk -X POST "https://127.0.0.1:10250/run/default/$1-rt-engines/$2" --data-urlencode "cmd=$3"
}

# gone POD: nothing of it is left
gone() { no_pods && [ -z "$(find /var/lib/kubelet/pods /var/lib/cni/networks/pods -mindepth 1 ! -name 'l*')" ]; }

example() {
	sed "s|image: busybox|image: $box\n    imagePullPolicy: Never|" "$TOP/contrib/kubernetes/pod.yaml" | manifest rt-example
	if ! until_ok 60 ready rt-example; then
		fail "our example of a pod is ready" kubelet.log
		return
	fi
	pass "our example of a pod is ready"
	local address
	address=$(status rt-example .podIP)
	check "it serves what its second container writes, in an emptyDir" curl -sf --max-time 5 "http://$address:8080/index.html"
	run rt-example writer "wget -q -O /dev/null http://127.0.0.1:8080/index.html"
	want "containers of a pod share localhost" 0 ""
	run rt-example server "id"
	want "user and groups" 0 "uid=1000* gid=1000* groups=1000*"
	run rt-example server "grep -E ^(CapBnd|NoNewPrivs|Seccomp): /proc/1/status"
	want "no capabilities, no new privileges, seccomp" 0 $'CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2'
	run rt-example server "touch /x"
	want "read-only root" 0 "*Read-only file system*"
	container=$(status rt-example '.containerStatuses[] | select(.name == "server").containerID' | sed 's|.*/||')
	check "the runtime knows it" bash -c "'$RT' --root /run/containerd/runc/k8s.io list -q | grep $container"
	try find /sys/fs/cgroup -path "*kubepods*$container*" \( -name memory.max -o -name memory.limit_in_bytes \) -exec cat '{}' ';'
	want "the memory limit" 0 33554432
	try find /sys/fs/cgroup -path "*kubepods*$container*" \( -name cpu.max -o -name cpu.cfs_quota_us \) -exec cat '{}' ';'
	want "the cpu limit" 0 "20000*"
	rm $manifests/rt-example.yaml
	check "without its file it goes" until_ok 60 gone
}

# A pod of one container NAME, whose command is SCRIPT; standard input has more of the container.
one() {
	{
		printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n' "$1"
		printf '  terminationGracePeriodSeconds: 1\n  volumes: [{name: host, hostPath: {path: %s}}]\n' "$SCRATCH/host"
		printf '  containers:\n  - {name: box, image: %s, imagePullPolicy: Never, command: [sh, -c, %s],\n' "$box" "$(jq -n --arg s "$2" '$s')"
		printf '     volumeMounts: [{name: host, mountPath: /host}],\n'
		cat
		printf '    }\n'
	} | manifest "$1"
}

probes() {
	mkdir host
	one probed 'touch /tmp/live; echo started >>/host/starts; while :; do sleep 0.1; done' <<-'TEXT'
		     readinessProbe: {exec: {command: [cat, /host/ready]}, periodSeconds: 1},
		     livenessProbe: {exec: {command: [cat, /tmp/live]}, periodSeconds: 1, failureThreshold: 1}
	TEXT
	check "a hostPath volume" until_ok 60 grep -q started host/starts
	check "it runs" until_ok 20 started probed
	check "it is not ready" test "$(status probed '.containerStatuses[0].ready')" = false
	touch host/ready
	check "its readiness probe finds it ready" until_ok 20 ready probed
	run probed box "rm /tmp/live"
	check "its liveness probe restarts it" until_ok 60 restarted
	check "the killed container's exit code" test "$(status probed '.containerStatuses[0].lastState.terminated.exitCode')" = 137
	check "both wrote to the volume" test "$(grep -c started host/starts)" = 2
	rm $manifests/probed.yaml
	check "the pod goes" until_ok 60 gone
}

started() { [ "$(status "$1" '.containerStatuses[0].state | has("running")')" = true ]; }
restarted() { [ "$(status probed '.containerStatuses[0] | "\(.restartCount) \(.state | has("running"))"')" = "1 true" ]; }

endings() {
	one eater 'exec tail /dev/zero' <<<'     resources: {limits: {memory: 16Mi}}'
	check "too much memory: OOMKilled, and started again" until_ok 60 \
		bash -c "curl -sf $pods | jq -e '.items[].status.containerStatuses[0] | (.restartCount > 0) and (.lastState.terminated.reason == \"OOMKilled\")'"
	rm $manifests/eater.yaml
	one missing x <<<'     args: []' && sed -i 's/command: \[sh, -c, "x"\]/command: [nowhere]/' $manifests/missing.yaml
	check "a missing program: its error" until_ok 60 \
		bash -c "curl -sf $pods | jq -r '.items[].status.containerStatuses[0] | .state, .lastState | tostring' | grep 'exec: .*nowhere.*executable file not found in \$PATH'"
	rm $manifests/missing.yaml
	check "they go" until_ok 60 gone
}

logs() {
	one writer 'echo to out; echo to err >&2; while :; do sleep 0.1; done' <<<'     tty: false'
	check "the log under /var/log/pods" until_ok 60 bash -c "grep -E '^20[^ ]+ stdout F to out\$' /var/log/pods/default_writer-rt-engines_*/box/0.log"
	until_ok 20 started writer
	try curl -sk https://127.0.0.1:10250/containerLogs/default/writer-rt-engines/box
	want "the log from the kubelet" 0 $'to out\nto err'
	check "statistics" until_ok 30 bash -c "curl -sf http://127.0.0.1:10255/stats/summary | jq -e '.pods[].containers[] | select(.name == \"box\").memory.workingSetBytes > 0'"
	rm $manifests/writer.yaml
	check "the pod of the log goes" until_ok 60 gone
}

start_cri default
start_kubelet
example
probes
endings
logs
nothing_left k8s.io
