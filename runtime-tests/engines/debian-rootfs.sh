#!/bin/bash
# debian-rootfs.sh: a Debian root file system as bundle, run without any engine: bash on a
# terminal, apt-get, and an nginx which serves on the loopback of the network namespace around.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	if [ "$(id -u)" = 0 ] && ! debian_rootfs; then
		echo "skip - no Debian root file system: mmdebstrap and a Debian mirror are needed"
		echo "0 passed, 0 failed, 1 skipped"
		[ -z "${RT_TEST_NO_SKIP:-}" ]
		exit
	fi
	outside curl jq
fi
inside

port=18080

# bundle NAME JQ-FILTER: a bundle with a fresh, writable copy of the root file system
bundle() {
	local dir=$SCRATCH/$1
	mkdir -p "$dir/rootfs" "$dir/upper" "$dir/work"
	mount -t overlay -o "lowerdir=${rootfs:?},upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/rootfs"
	(cd "$dir" && "$RT" spec && jq "$base | $2" config.json >new.json && mv new.json config.json)
}

# What Docker gives to a container, and the network namespace around.
base='def caps: ["CAP_CHOWN","CAP_DAC_OVERRIDE","CAP_FOWNER","CAP_KILL","CAP_SETGID","CAP_SETUID","CAP_NET_BIND_SERVICE"];
	.root.readonly = false
	| .linux.namespaces |= map(select(.type != "network"))
	| .linux.cgroupsPath = "/\(env.TAG)/\(env.ID)"
	| .process.capabilities |= with_entries(.value = caps)'
export ID

status() { rt state "$1" | jq -r .status; }
is() { [ "$(status "$1")" = "$2" ]; }

bash_on_a_terminal() {
	ID=shell bundle shell '.process.args = ["bash", "--norc"] | .process.env += ["PS1=in$ ", "TERM=dumb"]'
	cat >shell/rootfs/job <<-'TEXT'
		$| = 1;
		$SIG{CONT} = sub { print "again\n" };
		print "ready\n";
		sleep 1 while 1;
	TEXT
	check "bash: prompt, tty, stty, resize, exit code" console 24x80 '
		expect ^in\$ 
		send tty; echo $$\n
		expect ^/dev/(pts/0|console)
		expect ^1\r
		expect ^in\$ 
		send stty size\n
		expect ^24 80\r
		resize 33x101
		send until [ "$(stty size)" = "33 101" ]; do sleep 0.05; done; stty size\n
		expect ^33 101\r
		expect ^in\$ 
		send id -un; hostname; test -t 0 && test -t 1 && test -t 2 && echo three\n
		expect ^root\r
		expect ^three\r
		expect ^in\$ 
		absent job control
		send exit 7\n
		exit 7' rt run -b shell shell
	check "bash: Ctrl-C, Ctrl-Z, fg, SIGWINCH trap, Ctrl-D" console 24x80 '
		expect ^in\$ 
		send (echo re""ady; exec sleep 1000)\n
		expect ^ready
		send \x03
		expect ^in\$ 
		send echo "status $?"\n
		expect ^status 130\r
		send perl /job\n
		expect ^ready
		send \x1a
		expect Stopped .*perl /job
		expect ^in\$ 
		send jobs\n
		expect Stopped .*perl /job
		send fg\n
		# Said by the job itself: it runs, and has the terminal.
		expect ^again
		send \x03
		expect ^in\$ 
		send trap "echo changed" WINCH\n
		expect ^in\$ 
		resize 40x120
		send \n
		expect changed\r
		send \x04
		exit 0' rt run -b shell shell2
	try rt list -q
	want "bash: nothing is left" 0 ""
	# A shell that was given up must not fail the tests which follow.
	rt delete --force shell
	rt delete --force shell2
}

apt_get() {
	ID=apt bundle apt '.process.terminal = false | .process.args = ["apt-get", "--version"]'
	try rt run -b apt apt
	want "apt-get --version" 0 "apt 2.*Supported modules:*"
	jq '.process.args = ["sh", "-c", "dpkg -l apt nginx-light | grep -c ^ii; exit 3"]' apt/config.json >c && mv c apt/config.json
	try rt run -b apt apt
	want "dpkg knows the packages; exit code 3" 3 2
	jq '.process.args = ["nowhere"]' apt/config.json >c && mv c apt/config.json
	try rt run -b apt apt
	[ "$rc" != 0 ] && rc=failed
	want "a missing program is named" failed "" '*nowhere*: executable file not found in $PATH*'
}

fetch=(curl -sS --max-time 2 "http://127.0.0.1:$port/")

nginx() {
	ID=web bundle web '.process.terminal = false
		| .process.args = ["nginx", "-c", "/srv/nginx.conf", "-g", "daemon off;"]'
	cat >web/rootfs/srv/nginx.conf <<-TEXT
		user www-data;
		worker_processes 2;
		events {}
		http { server { listen 127.0.0.1:$port; root /srv; } }
	TEXT
	echo "served by a container" >web/rootfs/srv/index.html
	rt create -b web --pid-file web.pid web >web.out 2>web.err </dev/null
	check "nginx: created" is web created
	check "nginx: does not serve before start" bash -c "! curl -s --max-time 1 http://127.0.0.1:$port/"
	try rt start web
	want "nginx: start" 0 "" ""
	check "nginx: serves on the loopback outside" until_ok 10 "${fetch[@]}"
	try "${fetch[@]}"
	want "nginx: what it serves" 0 "served by a container"
	check "nginx: running" is web running
	try rt exec web nginx -t -c /srv/nginx.conf
	want "exec nginx -t" 0 "" "*test is successful"
	check "exec -t: a terminal with its size, exit code" console 30x90 '
		expect [#$] $
		send tty; stty size\n
		expect ^/dev/(pts/0|console)
		expect ^30 90\r
		send (echo re""ady; exec sleep 1000)\n
		expect ^ready
		send \x03
		send echo "status $?"\n
		expect ^status 130\r
		send exit 9\n
		exit 9' rt exec -t --env TERM=dumb web bash --norc
	local i failures=0
	for i in {1..100}; do
		[ "$(rt exec web sh -c "echo $i; exit $((i % 256))" 2>&1)" = "$i" ] || failures=$((failures + 1))
	done
	check "exec 100 times" test $failures = 0
	for i in {1..20}; do
		rt exec web sh -c "sleep 0.2; echo done" >"many.$i" 2>&1 &
		many[i]=$!
	done
	wait "${many[@]}"
	check "exec 20 at once" test "$(cat many.* | grep -c '^done$')" = 20
	try rt exec --user 33:33 --cwd /srv --env A=b web sh -c 'echo $(id -u):$(id -g) $PWD $A'
	want "exec with user, cwd, env" 0 "33:33 /srv b"
	try rt exec web ps -o comm= -p 1
	want "exec ps sees nginx as process 1" 0 nginx
	try rt ps web
	want "ps lists master and workers" 0 "*PID*nginx: master*nginx: worker*nginx: worker*"
	check "ps -f json" test "$(rt ps -f json web | jq length)" = 3
	check "the pid file has the pid" test "$(cat web.pid)" = "$(rt state web | jq .pid)"

	try rt pause web
	want "pause" 0 "" ""
	check "paused" is web paused
	check "a paused nginx does not answer" bash -c "! curl -s --max-time 0.5 http://127.0.0.1:$port/"
	try rt exec web true
	[ "$rc" != 0 ] && rc=failed
	want "no exec while paused" failed "" "*paused*"
	try rt resume web
	want "resume" 0 "" ""
	check "serves again" until_ok 10 "${fetch[@]}"
	try rt kill web QUIT
	want "kill QUIT" 0 "" ""
	check "nginx ends by itself" until_ok 10 is web stopped
	check "does not serve after the end" bash -c "! curl -s --max-time 1 http://127.0.0.1:$port/"
	try rt delete web
	want "delete" 0 "" ""
	try rt state web
	[ "$rc" != 0 ] && rc=failed
	want "state after delete" failed "" "*does not exist*"
}

nginx_in_foreground() {
	local pid
	rt run -b web web2 >web.out 2>web.err </dev/null &
	pid=$!
	check "run in the foreground: serves" until_ok 10 "${fetch[@]}"
	kill -QUIT $pid
	wait $pid
	check "SIGQUIT to rt reaches nginx, which ends with 0" test $? = 0
	rt run -b web web3 >web.out 2>web.err </dev/null &
	pid=$!
	check "run again: serves" until_ok 10 "${fetch[@]}"
	try rt kill web3 KILL
	wait $pid
	check "after kill KILL run ends with 137" test $? = 137
	rt run -d -b web web4 >web.out 2>web.err </dev/null
	check "run --detach" test $? = 0
	check "run --detach: serves" until_ok 10 "${fetch[@]}"
	try rt delete --force web4
	want "delete --force of a running nginx" 0 "" ""
	check "does not serve after delete --force" bash -c "! curl -s --max-time 1 http://127.0.0.1:$port/"
	try rt list -q
	want "nothing is left" 0 ""
	check "no process is left" bash -c '! pgrep nginx'
	check "no cgroup is left" test -z "$(find /sys/fs/cgroup -type d -path "*/$TAG/*" 2>/dev/null)"
}

bash_on_a_terminal
apt_get
nginx
nginx_in_foreground
