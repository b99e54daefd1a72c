# docker-engine.sh: dockerd with its own containerd, as docker.sh and classroom.sh start it, with the
# drop-in file of contrib/ at its place and RT as default runtime.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # SCRATCH, RT, TAG are lib.sh's

unset DOCKER_HOST
box=localhost/box:1
# BuildKit in dockerd asks nobody: it runs the first of this name.
ln -s "$RT" bin/runc
printf '#!/bin/sh\nverb=$1; shift\nexec docker "$verb" --network none "$@"\n' >bin/new
printf '#!/bin/sh\nexec curl -sS --max-time %s "$@"\n' $((5 * SLOW)) >bin/fetch
chmod 755 bin/new bin/fetch
# A user namespace of its own has no right to go through this directory otherwise.
chmod 711 "$SCRATCH"
if [ "$VIEW" = systemd ]; then
	driver=systemd parent=$TAG.slice
else
	driver=cgroupfs parent=/$TAG
fi

# docker_config [FILTER]: our drop-in with what these tests need, and more by a filter of jq
docker_config() {
	mkdir -p /etc/docker
	drop_in docker/daemon.json | jq --arg data "$SCRATCH/root" --arg parent "$parent" \
		--arg driver "native.cgroupdriver=$driver" '. + {
			"data-root": $data, "cgroup-parent": $parent, "exec-opts": [$driver], "storage-driver": "overlay2"
		} | '"${1:-.}" >/etc/docker/daemon.json
}

# start_docker [OPTION...]: by /etc/docker/daemon.json; gives up when it does not start
start_docker() {
	dockerd "$@" >>dockerd.log 2>&1 </dev/null &
	docker_pid=$!
	if ! until_ok 30 docker version; then
		fail "dockerd starts" dockerd.log
		exit 1
	fi
	# What can be said of the runtime depends on the age of Docker.
	docker_version=$(docker version -f '{{.Server.Version}}')
	docker_version=${docker_version%%+*}
	engine="docker $docker_version"
}

# newer MAJOR: is this Docker as new as that
newer() { [ "${docker_version%%.*}" -ge "$1" ]; }

stop_docker() {
	kill "$docker_pid" 2>/dev/null
	timeout $((30 * SLOW)) tail --pid="$docker_pid" -f /dev/null
}

stop_engine() {
	local ids
	ids=$(timeout 20 docker ps -aq 2>/dev/null)
	# shellcheck disable=SC2086 # one word per container
	[ -z "$ids" ] || timeout $((60 * SLOW)) docker rm -f $ids >/dev/null 2>&1
	stop_docker
	umount -l "$SCRATCH"/mnt* 2>/dev/null
	if [ "$VIEW" = systemd ]; then systemctl stop "$parent" 2>/dev/null; fi
}

# Podman, Docker and we give limits to the memory controller. In this view there is none.
has_controllers() { [ "$VIEW" != v2 ]; }

# every_capability: that root has here, and Docker knows
every_capability() {
	local all
	all=$(sed -n 's/^CapBnd:\t/0x/p' /proc/self/status)
	newer 23 || all=$((all & 0x3fffffffff))
	printf 'CapEff:\t%016x' "$all"
}

# want_privileged NAME OUTPUT
want_privileged() {
	if [[ "$out$err" == *"unable to apply caps"* ]]; then
		skip "$1" "runc 1.1.5 wants every capability to exist, and root lacks some here"
	else
		want "$1" 0 "$2"
	fi
}

# On a busy machine Docker loses the output of a quick container, once in 400 times, whatever the
# runtime. Where there was none at all, it is asked again.
eval "once_$(declare -f try)"
try() {
	once_try "$@"
	if [ -z "$out$err" ] && [[ "$*" == *" run --rm "* ]]; then once_try "$@"; fi
}

inspect() { docker inspect -f "{{$2}}" "$1"; }
is() { [ "$(inspect "$1" .State.Status)" = "$2" ]; }
has() { [ "$(inspect "$1" "$2")" = "$3" ]; }
# remove NAME...: at once, and silently
remove() { docker rm -f "$@" >/dev/null 2>&1; }

# no_container, and nothing of any: what each of them had ended with it
no_container() {
	docker ps -a >left
	check "no container is left" test "$(wc -l <left)" = 1
	[ "$(wc -l <left)" = 1 ] || cat left
	check "no shim is left" until_ok 10 bash -c '! pgrep containerd-shim'
	check "no state of the runtime is left" test -z "$(ls /run/docker/runtime-runc/moby 2>/dev/null)"
	check "no mount is left" bash -c '! grep -E "/overlay2/|/run/docker/(containerd/|netns/[0-9a-f]{12})" /proc/self/mounts'
	# The kernel removes the dead from a cgroup a little late.
	until_ok 5 no_cgroup
	check "no cgroup is left" no_cgroup
}

# BuildKit keeps one for all.
no_cgroup() { ! find /sys/fs/cgroup -type d -path "*/$TAG*/*" ! -name buildkit | grep .; }

load_box() {
	box_image box.tar
	try docker load -i box.tar
	want "load an image" 0 "*localhost/box:1*"
	[ "$rc" = 0 ] || exit 1
}
