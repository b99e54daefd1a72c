# podman-pods.sh: what podman.sh tries of pods, networks and systemd in a container.
# shellcheck shell=bash disable=SC2154,SC2016 # podman.sh's variables; single quotes are for a shell inside

pods() {
	try p pod create --cgroup-parent "$parent" --network none --share ipc,net,uts,pid --name pod
	want "pod create with an infra container" 0 "*"
	try p run -d --pod pod --name one $box sleep 1000
	want "a container in it" 0 "*"
	try p run -d --pod pod --name two $box sh -c 'hostname; exec sleep 1001'
	want "another" 0 "*"
	try p exec two ps -o pid,comm
	want "they share the pid namespace with catatonit" 0 "*1 catatonit*sleep*sleep*"
	for kind in ipc net uts pid; do
		check "one $kind namespace" test "$(p exec one readlink /proc/self/ns/$kind)" = "$(p exec two readlink /proc/self/ns/$kind)"
	done
	check "but two mount namespaces" test "$(p exec one readlink /proc/self/ns/mnt)" != "$(p exec two readlink /proc/self/ns/mnt)"
	try p pod ps --format '{{.Name}} {{.Status}} {{.NumberOfContainers}}'
	want "pod ps" 0 "pod Running 3"
	try p pod pause pod
	want "pod pause" 0 "*"
	check "all of it is paused" is two paused
	try p pod unpause pod
	want "pod unpause" 0 "*"
	try p pod stop -t 0 pod
	want "pod stop" 0 "*"
	try p pod start pod
	want "pod start" 0 "*"
	check "running again" is two running
	try p pod rm -ft 0 pod
	want "pod rm" 0 "*"
	joined
}

# What the members of a pod with a user namespace do: Podman names the first one's by path.
joined() {
	try p run -d --name first --cgroup-parent "$parent" --network none \
		--uidmap 0:100000:5000 --gidmap 0:100000:5000 $box sleep 100
	want "the first of a user namespace" 0 "*"
	for pid in private container:first; do
		try p run -d --name second --cgroup-parent "$parent" --userns container:first --network container:first \
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

kube_file() {
	local resources='limits: { memory: 64Mi, cpu: 500m }'
	[ "$VIEW" != v2 ] || resources=''
	mkdir -p from-host
	echo "of the host" >from-host/file
	cat <<-TEXT
		apiVersion: v1
		kind: Pod
		metadata: { name: duo }
		spec:
		  restartPolicy: Never
		  volumes:
		  - { name: shared, emptyDir: {} }
		  - { name: host, hostPath: { path: $SCRATCH/from-host, type: Directory } }
		  containers:
		  - name: writer
		    image: $box
		    imagePullPolicy: Never
		    command: [sh, -c, "cat /host/file >/shared/out; exec sleep 1000"]
		    resources: { $resources }
		    volumeMounts: [{ name: shared, mountPath: /shared }, { name: host, mountPath: /host, readOnly: true }]
		  - name: reader
		    image: $box
		    imagePullPolicy: Never
		    command: [sh, -c, 'until [ -s /shared/out ]; do sleep 0.1; done; echo "\$WORD \$(cat /shared/out)"; exec sleep 1000']
		    env: [{ name: WORD, value: read }]
		    securityContext: { runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
		    volumeMounts: [{ name: shared, mountPath: /shared }]
	TEXT
}

kube() {
	kube_file >duo.yaml
	try p play kube --network none duo.yaml
	want "play kube" 0 "*"
	check "its containers share a volume" until_ok 10 bash -c '[ "$(p logs duo-reader)" = "read of the host" ]'
	try p exec duo-reader grep -E '^(NoNewPrivs|CapEff)' /proc/self/status
	want "securityContext" 0 $'CapEff:\t0000000000000000\nNoNewPrivs:\t1'
	if [ "$VIEW" = v2 ]; then
		skip "resources" "the v2 view has no controller for them"
	else
		local memory=memory/memory.limit_in_bytes
		[ "$VIEW" != systemd ] || memory=memory.max
		try p exec duo-writer cat /sys/fs/cgroup/$memory
		want "resources" 0 67108864
	fi
	try p generate kube duo
	want "generate kube" 0 "*kind: Pod*name: duo*"
	try p kube down duo.yaml
	want "kube down" 0 "*"
	try p pod ps -q
	want "no pod is left" 0 ""
	p rmi -f "$(p images -q localhost/podman-pause)" >/dev/null 2>&1
}

networks() {
	try p network create blue
	want "network create" 0 blue
	try p run -d --name server --cgroup-parent "$parent" --network blue --network-alias alias -p 127.0.0.1:18080:8080 \
		$box sh -c 'echo served >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'
	want "a container on a bridge" 0 "*"
	if [ "$rc" != 0 ]; then return; fi
	check "its port on loopback outside" until_ok 10 curl -s --max-time 2 http://127.0.0.1:18080/
	try curl -s --max-time 2 http://127.0.0.1:18080/
	want "what is served there" 0 served
	for name in server alias; do
		try p run --rm --cgroup-parent "$parent" --network blue $box sh -c "$(asking http://$name:8080/)"
		want "aardvark-dns knows the name $name" 0 served
	done
	try p run --rm --cgroup-parent "$parent" --network container:server $box wget -q -O - http://127.0.0.1:8080/
	want "--network container:" 0 served
	try p port server
	want "port" 0 "8080/tcp -> 127.0.0.1:18080"
	try p network create --internal green
	try p network connect green server
	want "network connect" 0
	try p exec server sh -c 'ip -o -4 addr show eth1 | wc -l'
	want "a second interface" 0 1
	try p network disconnect green server
	want "network disconnect" 0
	try p rm -ft 0 server
	want "rm of a container with networks" 0 "*"
	try p run --rm --cgroup-parent "$parent" --network blue --ip 10.89.0.77 --mac-address 02:00:00:00:00:77 $box ip -4 -o addr show eth0
	want "--ip" 0 "*10.89.0.77/*"
	try p network rm blue green
	want "network rm" 0 "*"
}

# What systemd wants of the container that it is pid 1 of.
systemd_mounts() {
	try new run --rm --systemd=always $box sh -c 'for at in /run /run/lock /tmp /var/log/journal; do stat -f -c %T $at; done; echo $container'
	want "--systemd=always: tmpfs where systemd wants them" 0 $'tmpfs\ntmpfs\ntmpfs\ntmpfs\npodman'
	if [ "$VIEW" = host ] || [ "$VIEW" = v1 ]; then
		skip "a cgroup of its own to divide" "on cgroup v1 it is that of name=systemd only"
		return
	fi
	try new run --rm --systemd=always $box sh -c 'mkdir /sys/fs/cgroup/mine && echo 0 >/sys/fs/cgroup/mine/cgroup.procs && cat /proc/self/cgroup'
	want "a cgroup of its own to divide" 0 "*0::/mine"
	try new run --rm --systemd=false $box mkdir /sys/fs/cgroup/mine
	want "read-only without" 1 "" "*Read-only file system*"
}

booted() { [[ "$(p exec sd systemctl is-system-running)" == @(running|degraded) ]]; }
export -f booted

systemd_inside() {
	# Its own hierarchy: v2, or that of v1 with its name.
	local hierarchy=0::
	if [ "$VIEW" = host ] || [ "$VIEW" = v1 ]; then hierarchy=name=systemd:; fi
	if [ "$hierarchy" != 0:: ] && [ "$(/lib/systemd/systemd --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -ge 258 ]; then
		skip "systemd as pid 1" "since 258 it knows cgroup v2 only"
		return
	fi
	try p run -d --name sd --systemd=always --cgroup-parent "$parent" --network none --rootfs "$TREE:O" \
		/lib/systemd/systemd --unit=basic.target
	want "systemd as pid 1" 0
	check "it boots" until_ok 40 bash -c booted
	try p exec sd systemctl --no-pager list-units --state=active --plain --no-legend basic.target
	want "its target is reached" 0 "basic.target*active*"
	try p exec sd systemd-run --wait --pipe -q cat /proc/self/cgroup
	want "it runs a unit in a cgroup of its own" 0 "*$hierarchy*/system.slice/run-*.service*"
	try p exec sd cat /proc/1/cgroup
	want "and has moved itself" 0 "*$hierarchy*/init.scope*"
	try p exec -t sd tty
	want "exec -t beside it" 0 "/dev/pts/*"
	try p stop -t 20 sd
	want "stop by SIGRTMIN+3" 0
	check "it halted by itself" bash -c '[[ "$(p inspect -f "{{.State.ExitCode}}" sd)" == @(0|130) ]]'
	p rm -ft 0 sd >/dev/null
}

many() {
	local i failures=0
	for i in {1..20}; do
		[ "$(new run --rm $box echo "$i" 2>/dev/null)" = "$i" ] || failures=$((failures + 1))
	done
	check "20 containers in a row" test $failures = 0
	local pids=()
	for i in {1..8}; do
		new run --name "at-once-$i" $box sh -c "echo $i; exit $i" >"once.$i" 2>&1 &
		pids+=($!)
	done
	failures=0
	for i in {1..8}; do
		wait "${pids[i - 1]}"
		[ $? = "$i" ] && grep -qx "$i" "once.$i" || failures=$((failures + 1))
	done
	check "8 at once" test $failures = 0
	p rm -fat 0 >/dev/null
}

debian() {
	try p run --rm --cgroup-parent "$parent" --network none --rootfs "$TREE:O" apt-get --version
	want "apt-get --version of a root file system" 0 "apt [23].*"
	try p run --rm --cgroup-parent "$parent" --network none --rootfs "$TREE:O" sh -c 'useradd someone && su someone -c "id -un"'
	want "su there" 0 someone
}
