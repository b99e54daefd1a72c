# docker-builds.sh: images made by both builders of Docker; docker.sh calls these.
# shellcheck shell=bash disable=SC2016,SC2086,SC2154 # for shells inside; box, rc, out are docker.sh's

# build OPTION...: what both builders have to make of the same file
both() {
	mkdir -p hello
	echo "from a file" >hello/hello.txt
	cat >hello/Dockerfile <<-TEXT
		FROM $box AS builder
		RUN echo made >/made && echo \$\$ >/pid
		FROM $box
		ARG WHO=World
		ENV GREETING=Hello
		WORKDIR /app
		COPY hello.txt .
		RUN echo "\$GREETING \$WHO" >greeting
		RUN ["/bin/sh", "-c", "cat greeting hello.txt >both; ip -o link | wc -l >links; chown app ."]
		COPY --from=builder /made /pid ./
		USER app
		RUN id -un >user; grep Seccomp: /proc/self/status >seccomp
		CMD ["cat", "both", "made", "pid", "user", "links", "seccomp"]
	TEXT
	try docker build "$@" -t localhost/hello:1 hello
	want "$builder: build with RUN" 0
	try new run --rm localhost/hello:1
	want "$builder: what was built runs" 0 $'Hello World\nfrom a file\nmade\n1\napp\n1\nSeccomp:\t2'
	try docker build "$@" --build-arg WHO=you --no-cache -q -t localhost/hello:2 hello
	want "$builder: --build-arg --no-cache -q" 0 "sha256:*"
	try new run --rm localhost/hello:2 cat greeting
	want "$builder: the argument counts" 0 "Hello you"
	printf 'FROM %s\nRUN echo before; exit 9\n' "$box" >hello/Dockerfile
	try docker build "$@" --force-rm -t localhost/hello:3 hello
	check "$builder: the exit code of RUN" bash -c '[ "$1" != 0 ] && grep -q "9" "$0" && grep -qE "returned a non-zero code: 9|exit code: 9"  "$0"' "$SCRATCH/try.err" "$rc"
	printf 'FROM %s\nRUN ["/no/such"]\n' "$box" >hello/Dockerfile
	try docker build "$@" --force-rm -t localhost/hello:3 hello
	check "$builder: RUN of a missing program" bash -c 'grep -qE "no such file or directory" "$0"' "$SCRATCH/try.err"
	printf 'FROM %s\nRUN wget -qO- http://127.0.0.1:8099/ >/page\nCMD cat /page\n' "$box" >hello/Dockerfile
	docker run -d --name server -h server --network host $box sh -c 'mkdir /srv; echo page >/srv/index.html; exec httpd -f -p 127.0.0.1:8099 -h /srv' >/dev/null
	until_ok 5 fetch http://127.0.0.1:8099/
	try docker build --network host -t localhost/hello:4 hello
	want "$builder: RUN with --network host" 0
	try new run --rm localhost/hello:4
	want "$builder: what it has fetched" 0 page
	remove server
	printf 'FROM %s\nRUN ip -4 addr show eth0 >/address\nCMD cat /address\n' "$box" >hello/Dockerfile
	try docker build -t localhost/hello:5 hello
	want "$builder: RUN on the bridge" 0
	try new run --rm localhost/hello:5
	want "$builder: RUN had an address" 0 "*172.17.0.*"
	docker rmi -f localhost/hello:{1,2,4,5} >/dev/null
}

classic_build() {
	export DOCKER_BUILDKIT=0
	builder="classic builder"
	both --network none
	if has_controllers; then
		printf 'FROM %s\nRUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max >/limit 2>/dev/null; true\nCMD cat /limit\n' "$box" >hello/Dockerfile
		try docker build --memory 64m --network none -t localhost/hello:6 hello
		want "$builder: RUN with a limit" 0
		try new run --rm localhost/hello:6
		want "$builder: the limit" 0 67108864
		docker rmi -f localhost/hello:6 >/dev/null
	fi
	unset DOCKER_BUILDKIT
}

buildkit() {
	export DOCKER_BUILDKIT=1
	builder=BuildKit
	both --network none
	echo "a secret" >secret
	local network=--network=none
	newer 23 || network='' # not known yet
	cat >hello/Dockerfile <<-TEXT
		FROM $box AS first
		RUN sleep 0.5; echo one >/file
		FROM $box AS second
		RUN sleep 0.5; echo two >/file
		FROM $box
		RUN --mount=type=secret,id=word cat /run/secrets/word >/copied
		RUN --mount=type=cache,target=/cache echo kept >/cache/word
		RUN --mount=type=cache,target=/cache cat /cache/word >>/copied
		RUN --mount=type=tmpfs,target=/t --mount=type=bind,from=first,source=/file,target=/m touch /t/x && cat /m >>/copied
		RUN $network ip -o link | wc -l >>/copied
		COPY --from=second /file /second
		CMD ["cat", "/copied", "/second"]
	TEXT
	try docker build --network none --secret "id=word,src=secret" -t localhost/hello:1 hello
	want "BuildKit: RUN --mount and stages at once" 0
	try new run --rm localhost/hello:1
	want "BuildKit: what they made" 0 $'a secret\nkept\none\n1\ntwo'
	try docker build --no-cache --network none --secret "id=word,src=secret" -t localhost/hello:1 hello
	want "BuildKit: once more without the cache" 0
	docker rmi -f localhost/hello:1 >/dev/null
	docker builder prune -af >/dev/null
	unset DOCKER_BUILDKIT
}
