# shellcheck shell=bash
# To be read by `.` after `inside` and containerd-lib.sh: containerd with its CRI plugin, a network of
# CNI plugins, and pods on the runtime under test. Sets $handler.

box=localhost/box:1

# network: a bridge with addresses of its own, as the package of a network plugin would configure it
network() {
	mkdir -p /etc/cni/net.d /opt/cni
	[ -e /opt/cni/bin ] || ln -s /usr/lib/cni /opt/cni/bin
	cat >/etc/cni/net.d/10-bridge.conflist <<-TEXT
		{"cniVersion": "0.4.0", "name": "pods", "plugins": [
			{"type": "bridge", "bridge": "cni0", "isGateway": true,
			 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
			{"type": "portmap", "capabilities": {"portMappings": true}}
		]}
	TEXT
}

# A process without CAP_SYS_RESOURCE cannot lower its oom_score_adj, nor can its children
may_lower_oom_score() { capsh --has-b=cap_sys_resource 2>/dev/null; }

# cri_config [default]: our drop-in; default: for pods that name no handler, too, as it says
cri_config() {
	handler=rt
	[[ "$RT" != */runc ]] || handler=runc
	local section=io.containerd.grpc.v1.cri
	[[ "$(containerd --version)" != *containerd/v2* ]] || section=io.containerd.cri.v1.runtime
	containerd_config < <(may_lower_oom_score || printf '\n[plugins."%s"]\nrestrict_oom_score_adj = true\n' "$section")
	[ "$VIEW" != systemd ] || sed -i 's/SystemdCgroup = false/SystemdCgroup = true/' /etc/containerd/conf.d/rt.toml
	[ "${1-}" != default ] || sed -i 's/^# \(\[plugins\|default_runtime_name\)/\1/' /etc/containerd/conf.d/rt.toml
	# No runtime but the one under test can take its place.
	[ "$handler" = runc ] || mv /usr/sbin/runc /usr/sbin/runc.away
	check "the handler of our drop-in" bash -c "containerd config dump | grep 'BinaryName = .$RT.\$'"
}

# The image of the first process of a pod, under the name that this containerd asks for.
pause_image() {
	local name
	name=$(containerd config dump | sed -n "s/^ *sandbox\(_image\)\? = [\"']\(.*\)[\"']/\2/p")
	mkdir -p pause/bin && cp "$(command -v busybox)" pause/bin/sleep
	python3 "$HERE/image.py" pause "$name" pause.tar /bin/sleep 2147483647
	ctr -n k8s.io image import pause.tar >/dev/null
}

start_cri() {
	network
	cri_config "$@"
	start_containerd
	box_image box.tar
	check "import of images" bash -c 'ctr -n k8s.io image import box.tar'
	pause_image
	mkdir messages && protoc -I "$HERE" --python_out=messages cri.proto || exit 1
	connect_cri
}

# connect_cri: for `ask`; once in each process that asks
connect_cri() {
	coproc CRI { exec python3 "$HERE/cri.py" /run/containerd/containerd.sock "$SCRATCH/messages" $((60 * SLOW)) 2>>"$SCRATCH/cri.log"; }
	daemons="$CRI_PID ${daemons:-}"
}

# ask METHOD [JSON]: one call, its answer as that of `try`: $rc, the reply in $out or the error in $err
ask() {
	local answer="" request=${2-}
	# shellcheck disable=SC2034 # for `want`
	last="$*"
	rc=1 out="" err=""
	printf '%s %s\n' "$1" "${request:-"{}"}" >&"${CRI[1]}"
	read -r -t $((90 * SLOW)) rc answer <&"${CRI[0]}" || err="no answer"
	if [ "$rc" = 0 ]; then out=$answer; else err+=$answer; fi
}

# said FILTER: what jq finds in the last answer, into $out
said() {
	[ "$rc" != 0 ] || out=$(jq -r "$1" <<<"$out")
}

# pod NAME [EDIT]: runs a pod, its configuration edited by jq; $pod and $config for containers in it
pod() {
	local parent=/$TAG
	[ "$VIEW" != systemd ] || parent=/$TAG.slice # as a kubelet names it
	config=$(jq -cn --arg name "$1" --arg parent "$parent" --arg log "$SCRATCH/logs/$1" '{
		metadata: {name: $name, uid: $name, namespace: "default"}, hostname: $name, log_directory: $log,
		linux: {cgroup_parent: $parent, security_context: {namespace_options: {pid: "CONTAINER"}}}
	} | '"${2:-.}")
	mkdir -p "$SCRATCH/logs/$1"
	ask RunPodSandbox "{\"config\": $config, \"runtime_handler\": \"$handler\"}"
	pod=$(jq -r '.id // ""' <<<"${out:-"{}"}")
}

# create NAME SCRIPT [EDIT]: a container of the box in $pod; $container
create() {
	local request
	request=$(jq -cn --arg name "$1" --arg script "$2" --arg image $box --arg pod "$pod" --argjson pod_config "$config" '{
		pod_sandbox_id: $pod, sandbox_config: $pod_config, config: ({
			metadata: {name: $name}, image: {image: $image, user_specified_image: $image}, log_path: ($name + ".log"),
			command: ["sh", "-c", $script], linux: {security_context: {namespace_options: $pod_config.linux.security_context.namespace_options}}
		} | '"${3:-.}"')}')
	ask CreateContainer "$request"
	container=$(jq -r '.id // ""' <<<"${out:-"{}"}")
}

# start NAME SCRIPT [EDIT]: and runs it
start() {
	create "$@"
	[ "$rc" != 0 ] || ask StartContainer "{\"id\": \"$container\"}"
}

# in_box COMMAND...: in $container; $out, $err and $rc are the command's
in_box() {
	ask ExecSync "$(jq -cn --arg id "$container" '{container_id: $id, cmd: $ARGS.positional, timeout: 60}' --args -- "$@")"
	[ "$rc" = 0 ] || return 0
	local answer=$out
	rc=$(jq -r '.exit_code // 0' <<<"$answer")
	out=$(jq -r '.stdout // "" | @base64d' <<<"$answer")
	err=$(jq -r '.stderr // "" | @base64d' <<<"$answer")
}

# state: of $container, with its exit code and why
state() {
	ask ContainerStatus "{\"id\": \"$container\"}"
	said '.status | "\(.state // "CREATED") \(.exit_code // 0) \(.reason // "")"'
}

is() {
	state
	# shellcheck disable=SC2053 # a pattern
	[[ "$out" == $1 ]]
}

# ends NAME SCRIPT STATE [EDIT]: runs a container to its end, and wants this of it
ends() {
	start "$1" "$2" "${4:-.}"
	[ "$rc" != 0 ] || until_ok 20 is "EXITED*" || true
	want "$1" 0 "$3"
}

remove_container() { ask RemoveContainer "{\"id\": \"$container\"}"; }

remove_pod() {
	ask StopPodSandbox "{\"id\": \"$pod\"}"
	[ "$rc" != 0 ] || ask RemovePodSandbox "{\"id\": \"$pod\"}"
}

remove_pods() {
	ask ListPodSandbox
	local all=$out
	for pod in $(jq -r '.items[]?.id' <<<"$all"); do remove_pod; done
}

# log NAME: what the container wrote, without times and streams
log() { sed 's/^[^ ]* [^ ]* [^ ]* //' "$SCRATCH/logs/$1"; }

stop_engine() {
	remove_pods >/dev/null 2>&1
	stop_daemons
}
