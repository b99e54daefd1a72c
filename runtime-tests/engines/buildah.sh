#!/bin/bash
# buildah.sh: buildah with RT for `run` and for the RUN of builds, as root and as an ordinary user.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/user.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then outside_with_tree; fi
inside

engine="buildah $(buildah --version | awk '{ print $3 }')"
box=localhost/box:1

# become root|user: whose buildah b is from here on, and where his files are
become() {
	person=$1
	local as=''
	case $person in
	root) place=$SCRATCH/root from="--cgroup-parent /$TAG/buildah" isolation=oci ;;
	user) place=$home/here from='' isolation=rootless as=as-user ;;
	esac
	mkdir -p "$place/context"
	printf '#!/bin/sh\nexec %s buildah "$@"\n' "$as" >bin/b
	printf '#!/bin/sh\nexec %s "$@"\n' "$as" >bin/as_person
	printf '#!/bin/sh\nexec b run --isolation %s --runtime "%s" --network none "$@"\n' "$isolation" "$RT" >bin/run
	chmod 755 bin/b bin/run bin/as_person
	echo "by $person:"
}

configure() {
	mkdir -p /var/lib/containers /etc/containers/containers.conf.d
	mount -t tmpfs -o mode=755 tmpfs /var/lib/containers
	export TMPDIR=/tmp
	# buildah would raise the limits, which root without CAP_SYS_RESOURCE may not.
	local processes
	processes=$(ulimit -Hu | sed s/unlimited/-1/)
	cat >/etc/containers/containers.conf.d/test.conf <<-TEXT
		[engine]
		cgroup_manager = "cgroupfs"
		[containers]
		default_ulimits = ["nofile=1024:1024", "nproc=$processes:$processes"]
		[network]
		$(command -v nft >/dev/null || echo 'firewall_driver = "iptables"')
	TEXT
	make_home
}

stop_engine() {
	umount -l /var/lib/containers/storage/overlay 2>/dev/null
	pkill -U $user -x 'buildah|pause' 2>/dev/null
}

working_container() {
	try b pull "docker-archive:$SCRATCH/box.tar"
	want "pull of an archive" 0
	# shellcheck disable=SC2086 # words
	try b from $from --name work $box
	want "from" 0 work
}

runs() {
	try run work sh -c 'echo out; echo err >&2; exit 5'
	want "run: output, errors and exit code" 5 out 'err*'
	try b config --env A=b --workingdir /data --user app work
	want "config" 0
	try run --hostname box work sh -c 'echo $A $PWD $(id -u) $(hostname)'
	want "env, cwd, user, host name" 0 "b /data 1000 box"
	try b config --user root --workingdir / work
	try run --user 5:6 work id
	want "run --user" 0 "uid=5* gid=6*"
	echo "outside" >"$place/file"
	try run -v "$place:/mnt:ro" work sh -c 'cat /mnt/file; touch /mnt/x'
	want "a read-only volume" 1 outside "*Read-only file system*"
	try run --cap-drop all work grep CapEff /proc/self/status
	want "--cap-drop all" 0 $'CapEff:\t0000000000000000'
	try run --cap-drop CAP_CHOWN work chown 1 /tmp
	want "--cap-drop of one" 1 "" "*Operation not permitted*"
	try run work sh -c 'grep -E "^(Seccomp|NoNewPrivs):" /proc/self/status; echo kept >/kept'
	want "the default seccomp filter" 0 $'*Seccomp:\t2*'
	try run work cat /kept
	want "what a run wrote is there in the next" 0 kept
	try run --no-pivot work echo without pivot_root
	want "--no-pivot" 0 "without pivot_root"
	echo "through standard input" | timeout 30 run work cat >data.out
	check "standard input" grep -qx "through standard input" data.out
	drop_in buildah/rt.sh >"$SCRATCH/profile"
	chmod 644 "$SCRATCH/profile"
	try as_person sh -c ". $SCRATCH/profile; exec buildah run --isolation $isolation --network none work /no/where"
	want "the runtime of BUILDAH_RUNTIME" 1 "" "*$RT*"
	head -c 300000 /dev/urandom | base64 >"$place/data.in"
	chmod 644 "$place/data.in"
	timeout 30 run -v "$place:/mnt:ro" work cat /mnt/data.in >data.out
	check "a large output is whole" cmp data.out "$place/data.in"
}

failing() {
	try run work nowhere
	want "a missing program" 1 "" '*nowhere*not found*'
	try run work /no/where
	want "a missing path" 1 "" '*/no/where*[Nn]o such file or directory*'
	try run work /bin/plain-file
	want "a file that is not executable" 1 "" '*@(permission denied|not executable)*'
	b config --workingdir /data/plain work
	try run work pwd
	want "a missing working directory is made" 0 /data/plain
	b config --workingdir / work
}

terminal() {
	check "run -t: a terminal, its size, exit code" console 24x80 '
		expect [#$] 
		send tty\n
		expect ^/dev/(pts/0|console)
		send until [ "$(stty size)" = "24 80" ]; do sleep 0.1; done; stty size\n
		expect ^24 80\r
		send exit 6\n
		exit 6' run -t work sh
}

# buildah kills what runs by its name, and SIGKILL, and deletes it.
interrupted() {
	# What buildah prepares for signals comes after the start, and it says nothing of it.
	run work sh -c 'sleep 2; echo started; exec sleep 1000' >interrupted.out 2>&1 &
	local pid=$!
	check "a long run" until_ok 10 grep -q started interrupted.out
	pkill -TERM -x buildah
	wait $pid
	check "ends with buildah" until_ok 10 bash -c '! pgrep -x sleep'
	pkill -KILL -x sleep
	return 0
}

networks() {
	try b run --isolation "$isolation" --runtime "$RT" --network none work sh -c 'ls /sys/class/net'
	want "--network none" 0 lo
	try b run --isolation "$isolation" --runtime "$RT" --network host work readlink /proc/self/ns/net
	want "--network host" 0 "$(readlink /proc/self/ns/net | sed 's/[][]/?/g')"
	try b run --isolation "$isolation" --runtime "$RT" --network private work ip -4 -o addr
	want "--network private" 0 "*lo *127.0.0.1*inet *"
}

commits() {
	try b commit -q work localhost/committed
	want "commit" 0
	# shellcheck disable=SC2086 # words
	try b from $from --name second localhost/committed
	want "from what was committed" 0 second
	try run second cat /kept
	want "it has the file" 0 kept
	try b rm second
	want "rm" 0 "*"
	b rmi localhost/committed >/dev/null
}

build() {
	[ "$person" = root ] || chown -R $user:$user "$place/context"
	# shellcheck disable=SC2086 # words
	try b build $from --isolation "$isolation" --runtime "$RT" --network none "$@" "$place/context"
}

builds() {
	echo "of the context" >"$place/context/file"
	printf 'FROM %s\nARG WHO=nobody\nWORKDIR /app\nCOPY file .\n%s\n%s\nUSER app\nRUN id -u >/mine/uid\nCMD ["cat", "/made"]\n' $box \
		'RUN cat file >/made && id -u >>/made && mkdir -m 777 /mine && echo "$WHO" >>/made' \
		'RUN --mount=type=tmpfs,target=/t --mount=type=bind,source=file,target=/b stat -f -c %T /t >>/made && cat /b >>/made' \
		>"$place/context/Containerfile"
	build -q --build-arg WHO=somebody -t localhost/built
	want "build: RUN, COPY, USER, ARG, mounts" 0
	# shellcheck disable=SC2086 # words
	b from $from --name built localhost/built >/dev/null
	try run built cat /made /mine/uid
	want "what was built" 0 $'of the context\n0\nsomebody\ntmpfs\nof the context\n1000'
	b rm built >/dev/null
	build -q --layers -t localhost/built
	want "build --layers" 0
	printf 'very secret' >"$place/context/word"
	printf 'FROM %s\nRUN --mount=type=secret,id=word cat /run/secrets/word\n' $box >"$place/context/Containerfile"
	build --secret "id=word,src=$place/context/word"
	want "a secret of a RUN" 0 "*very secret*"
	printf 'FROM %s\nRUN echo to be seen; exit 7\n' $box >"$place/context/Containerfile"
	build
	want "a failing RUN: its text and status" 7 "*to be seen*" "*exit status 7*"
	printf 'FROM %s\nRUN ["/bin/plain-file"]\n' $box >"$place/context/Containerfile"
	build
	want "a RUN that cannot be started" 1 "*" "*@(permission denied|not executable)*"
}

many() {
	local i failures=0 pids=()
	for i in 1 2 3 4 5; do
		[ "$(run work echo "$i" 2>/dev/null)" = "$i" ] || failures=$((failures + 1))
	done
	check "5 runs in a row" test $failures = 0
	if [ "$person" = user ]; then
		skip "4 at once" "buildah itself fails now and then when it makes its user namespace"
		return
	fi
	for i in 1 2 3 4; do
		# buildah takes the parent for the cgroup itself, and a runtime does not share one.
		# shellcheck disable=SC2086 # words
		b from $from-$i --name "at-$i" $box >/dev/null
		run "at-$i" sh -c "echo $i; exit $i" >"once.$i" 2>"once-error.$i" &
		pids+=($!)
	done
	failures=0
	for i in 1 2 3 4; do
		wait "${pids[i - 1]}"
		[ $? = "$i" ] && grep -qx "$i" "once.$i" || failures=$((failures + 1))
	done
	if [ $failures = 0 ]; then pass "4 at once"; else fail "4 at once" once-error.*; fi
}

box_image box.tar
configure
for person in root user; do
	become $person
	working_container
	[ "$rc" = 0 ] || continue
	for part in ${PARTS:-runs failing terminal networks commits builds many interrupted}; do
		$part
	done
	try b rm --all
	want "rm --all" 0 "*"
done
try "$RT" list -q
want "the runtime has no container left" 0 ""
