#!/bin/bash
# bundles.sh: the single-host exercises of people who learned containers with Docker, typed as they
# type them, against images made here: busybox, and Debian with nginx and mariadb. Root types them,
# an ordinary user with ranges of ids, and the first of them one without ranges.
# shellcheck disable=SC2016 # what is in single quotes is for a shell inside
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/bundles-build.sh"

BUNDLES=${BUNDLES:-$TOP/dist/bundles}
if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	if [ "$(id -u)" = 0 ]; then
		debian_rootfs services-2 bash,nginx-light,mariadb-server,procps,ncat,apache2,libapache2-mod-php,redis-server,docker-registry || rootfs=
	fi
	BUNDLES=$(realpath "$BUNDLES") || exit 1
	export BUNDLES
	outside busybox curl jq nft
fi
inside

# become PERSON: what follows is typed by root, by an ordinary user with ranges of ids (user), or by
# one without (alone). He has a uid of his own, no privilege, no cgroup, and starts in an empty directory.
become() {
	person=$1 place=$SCRATCH/$1
	echo "typed by $person:"
	mkdir -p "$place"/{home,bin,run}
	local uid='' ranges=''
	case $person in
	user) uid=4242 ranges=$uid:300000:65536 ;;
	alone) uid=4243 ;;
	esac
	# Under this name, with a home of its own.
	printf '#!/bin/sh\nexec %s "%s" --root "%s" "$@"\n' \
		"${uid:+setpriv --reuid=$uid --regid=$uid --clear-groups}" "$place/bin/program" "$place/home-of-bundles" >"$place/bin/bundles"
	cat >"$place/bin/docker" <<-'TEXT'
		#!/bin/sh
		case $1 in
		run | create | build) verb=$1; shift; exec bundles "$verb" --runtime "$RT" "$@" ;;
		*) exec bundles "$@" ;;
		esac
	TEXT
	chmod 755 "$place"/bin/*
	# Where it was built, not everybody may look.
	cp "$BUNDLES" "$place/bin/program"
	cp "$RT" "$place/bin/runtime"
	export HOME=$place/home XDG_RUNTIME_DIR=$place/run RT=$place/bin/runtime
	PATH=$place/bin:$inside_path
	cd "$place" || exit 1
	[ -n "$uid" ] || return 0
	printf '%s\n' "$ranges" >ranges
	printf 'tester:x:%s:%s::%s:/bin/sh\n' "$uid" "$uid" "$HOME" | cat /etc/passwd - >passwd
	local file
	for file in passwd subuid subgid; do
		[ -e "$file" ] || ln ranges "$file"
		mount --bind "$file" "/etc/$file" || exit 1
	done
	chmod 755 "$SCRATCH"
	chown "$uid:$uid" . home run
}
inside_path=$PATH

# Nobody delegates any to the ordinary user of these tests.
has_cgroups() { [ "$person" = root ]; }
box=localhost/box:1

stop_engine() {
	# shellcheck disable=SC2046 # one word per container
	timeout 30 docker rm -f $(docker ps -aq 2>/dev/null) >/dev/null 2>&1
}

id64='[0-9a-f][0-9a-f][0-9a-f][0-9a-f]*'
status() { docker inspect -f '{{.State.Status}}' "$1"; }
is() { [ "$(status "$1")" = "$2" ]; }
fetch() { curl -sS --max-time 5 "$@"; }

images() {
	box_image box.tar
	try docker load -i box.tar
	want "load" 0 "Loaded image: $box"
	CONFIG='{"Entrypoint": ["/bin/echo", "Hello"], "Cmd": ["World"]}' python3 "$HERE/image.py" "$SCRATCH/box" test:latest test.tar
	try docker load -q -i test.tar
	want "load quietly" 0
	try docker images
	want "images" 0 "REPOSITORY * TAG * IMAGE ID * CREATED * SIZE*test * latest *"
	try docker run --rm test
	want "entry point and command" 0 "Hello World"
	try docker run --rm test aaa
	want "entry point and another command" 0 "Hello aaa"
	try docker tag test other:2
	want "tag" 0
	try docker rmi other:2
	want "rmi of a tag" 0 "Untagged: other:2"
	try docker run --name user -d $box sleep 1000
	try docker rmi $box
	want "rmi of an image in use" 1 "" "*used by container*user*"
	docker rm -f user >/dev/null
	[ -n "$rootfs" ] || return 0
	python3 "$HERE/image.py" "$rootfs" services:1 services.tar bash
	try docker load -q -i services.tar
	want "load Debian with nginx and mariadb" 0
	rm services.tar
}

first_steps() {
	try docker run -d --name sleeper $box sleep 1000
	want "run -d prints the id" 0 "$id64"
	check "an id of 64 digits" test ${#out} = 64
	try docker ps
	want "ps" 0 "CONTAINER ID * IMAGE * COMMAND * CREATED * STATUS * PORTS * NAMES*sleeper"
	try docker exec sleeper hostname
	check "the host name is the short id" test "$out" = "$(docker ps -q)"
	try docker run --rm -h nginx-lb01 $box hostname
	want "-h is the host name" 0 nginx-lb01
	try docker stop -t 1 sleeper
	want "stop" 0 sleeper
	try docker stop sleeper
	want "stopping a stopped one is no error" 0 sleeper
	check "it has ended" is sleeper exited
	try docker start sleeper
	want "start" 0 sleeper
	try docker restart -t 1 sleeper
	want "restart" 0 sleeper
	try docker rename sleeper snorer
	want "rename" 0
	try docker ps -alq
	check "ps -alq" test "$out" = "$(docker inspect -f '{{.Id}}' snorer | cut -c 1-12)"
	if has_cgroups; then
		try docker pause snorer
		want "pause" 0 snorer
		check "it is paused" is snorer paused
		try docker unpause snorer
		want "unpause" 0 snorer
	else
		try docker pause snorer
		want "pause needs a cgroup" 1 "" "*no cgroup*hint: *Delegate=yes*"
		check "it is not paused" is snorer running
	fi
	try docker top snorer
	want "top" 0 "*PID*sleep 1000*"
	try docker top snorer -o pid,args
	want "top with options of ps" 0 "*PID*COMMAND*sleep 1000*"
	try docker stats --no-stream
	want "stats" 0 "CONTAINER ID*NAME*CPU %*MEM USAGE / LIMIT*snorer*"
	try docker wait --help
	want "help" 0
	try docker run --name counter $box sh -c 'for i in 1 2 3 4 5; do echo $i; done; echo end >&2; exit 4'
	want "exit code, output and errors" 4 $'1\n2\n3\n4\n5' end
	try docker logs --tail 2 counter
	want "logs --tail" 0 "5" end
	try docker wait counter
	want "wait" 0 4
	# shellcheck disable=SC2046
	try docker stop -t 1 $(docker ps -a -q)
	want 'stop $(ps -a -q)' 0
	# shellcheck disable=SC2046
	try docker rm $(docker ps -aq)
	want 'rm $(ps -aq)' 0
	try docker ps -aq
	want "nothing is left" 0 ""
	try docker run -d --name forced $box sleep 1000
	try docker rm -f forced
	want "rm -f" 0 forced
}

terminals() {
	check "run -it: a shell with a terminal" console 24x80 '
		expect [#$] 
		send tty; stty size; exit 5\n
		expect ^/dev/(pts/0|console)
		expect ^24 80\r
		exit 5' docker run --rm -it -e TERM=dumb $box sh
	check "run -it: Ctrl-P Ctrl-Q leaves it running" console 24x80 '
		expect [#$] 
		send echo first\n
		expect ^first\r
		send \x10\x11
		exit 0' docker run --name term -it -e TERM=dumb $box sh
	check "it still runs" is term running
	check "attach after Ctrl-P Ctrl-Q" console 30x90 '
		send echo second; stty size\n
		expect ^second\r
		expect ^30 90\r
		send \x10\x11
		exit 0' docker attach term
	docker run -itd -e TERM=dumb --name background $box sh >/dev/null
	check "attach after run -itd" console 24x80 '
		send echo third\n
		expect ^third\r
		send exit 3\n
		exit 3' docker attach background
	check "exec -it" console 24x80 '
		expect [#$] 
		send tty; exit 6\n
		expect ^/dev/pts/
		exit 6' docker exec -it -e TERM=dumb term sh
	docker run -d --name ticker $box sh -c 'while :; do echo tick; sleep 0.2; done' >/dev/null
	check "attach after run -d" console 24x80 '
		expect ^tick
		expect ^tick
		signal KILL' docker attach --sig-proxy=false ticker
	check "killing attach does not end it" is ticker running
	docker rm -f term background ticker >/dev/null
}

volumes() {
	mkdir -p "$HOME/dir" lb01
	echo from-home >"$HOME/dir/file"
	echo from-here >lb01/file
	try docker run --rm -v ~/dir:/ctr -v ./lb01:/path $box cat /ctr/file /path/file
	want "-v with ~ and ./" 0 $'from-home\nfrom-here'
	try docker run --rm -v ./made:/path $box touch /path/x
	want "-v makes a missing folder" 0
	check "it is there" test -f made/x
	try docker volume create --name V
	want "volume create --name" 0 V
	try docker volume inspect V
	want "volume inspect" 0 '*"Driver": "local"*"Mountpoint": "*V/_data"*"Name": "V"*'
	try docker run -d --name one -v V:/shared $box sleep 1000
	try docker run --rm -v V:/other $box sh -c 'echo live >/other/word'
	try docker exec one cat /shared/word
	want "two containers share a volume" 0 live
	try docker run --rm --volumes-from one $box cat /shared/word
	want "--volumes-from" 0 live
	try docker volume rm V
	want "a volume in use stays" 1 "" "*in use by*one*"
	try docker run --rm -v seeded:/etc $box true
	try docker run --rm -v seeded:/mnt $box cat /mnt/group
	want "a new volume gets the files of the image" 0 "*app:x:1000:*"
	docker rm -f one >/dev/null
	try docker volume rm V seeded
	want "volume rm" 0 $'V\nseeded'
}

# Debian's static busybox cannot look up names, so whoever asks is the other image.
ask='exec 3<>/dev/tcp/$0/80 && printf "GET /index.html HTTP/1.0\r\n\r\n" >&3 && tail -n 1 <&3'

networks() {
	if [ -z "$rootfs" ]; then
		skip "networks" "no Debian root file system: mmdebstrap and a Debian mirror are needed"
		return
	fi
	try docker run --rm $box sh -c 'ip -4 addr show eth0'
	want "the first bridge" 0 "*172.17.0.*/16*"
	try docker network create --driver bridge front
	want "network create" 0 "$id64"
	try docker network create -subnet 192.168.77.0/24 -gateway 192.168.77.254 back
	want "network create with -subnet" 0 "$id64"
	try docker network ls
	want "network ls" 0 "NETWORK ID * NAME * DRIVER * SCOPE*back*bridge*front*host*none*"
	docker run -d --name web --net front $box sh -c 'echo page >/index.html; httpd -f -p 80' >/dev/null
	docker run -d --name other --net back services:1 sleep 1000 >/dev/null
	try docker run --rm --net front services:1 bash -c "$ask" web
	want "a container is reached by its name" 0 page
	try docker exec other ip -4 addr show eth0
	want "--subnet" 0 "*192.168.77.*/24*"
	address=$(docker inspect -f '{{.NetworkSettings.Networks.front.IPAddress}}' web)
	try docker exec other timeout 2 bash -c "$ask" "$address"
	want "networks do not see each other" 124
	try docker network connect front other
	want "network connect" 0
	try docker exec other bash -c "$ask" web
	want "connected live, with names" 0 page
	try docker network disconnect front other
	want "network disconnect" 0
	try docker exec other timeout 2 bash -c "$ask" "$address"
	want "disconnected" 124
	docker run -d --name db $box sh -c 'echo data >/index.html; httpd -f -p 80' >/dev/null
	try docker run --rm --link db services:1 bash -c "$ask" db
	want "--link" 0 data
	try docker run --rm --net container:web services:1 bash -c "$ask" 127.0.0.1
	want "--net container:" 0 page
	try docker run --rm --net none $box ip -o link
	want "--net none" 0 "1: lo*"
	try docker run --rm --net host $box hostname
	want "--net host" 0 rt-engines
	try docker network rm front
	want "a network in use stays" 1 "" "*web*"
	docker rm -f web other db >/dev/null
	try docker network rm front back
	want "network rm" 0 $'front\nback'
	check "no bridge is left" bash -c '! ip -o link | grep -q bundles'
}

ports() {
	docker run -d --name web -p 8080:80 -p 127.0.0.1:8081:80 $box sh -c 'echo page >/index.html; httpd -f -p 80' >/dev/null
	check "a published port" until_ok 5 fetch http://127.0.0.1:8080/index.html
	try curl -sS --max-time 5 http://127.0.0.1:8081/index.html
	want "a port of one address" 0 page
	try docker port web
	want "port" 0 "80/tcp -> *:8080*"
	try docker ps
	want "ports in ps" 0 "*0.0.0.0:8080->80/tcp*"
	try docker run --rm -p 8080:80 $box true
	want "a port in use names who has it" 125 "" "*8080*web*"
	docker rm -f web >/dev/null
	try curl -sS --max-time 5 http://127.0.0.1:8080/index.html
	want "freed with the container" 7
}

limits() {
	if ! has_cgroups; then
		try docker run -d --name small --memory 64m --cpus 0.5 $box sleep 1000
		want "limits need a cgroup" 0 "$id64" "bundles: limits of memory, cpu are ignored: *hint: *Delegate=yes*"
		try docker update --memory 128m small
		want "and so does update" 1 "" "bundles: small: limits of memory: no cgroup *hint: *Delegate=yes*"
		try docker stats --no-stream --format '{{.Name}} {{.PIDs}}' small
		want "stats does not" 0 "small 1"
		docker rm -f small >/dev/null
		return
	fi
	docker run -d --name small --memory 64m --cpus 0.5 $box sleep 1000 >/dev/null
	try docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}' small
	want "--memory and --cpus" 0 "67108864 500000000"
	try docker update --memory 128m small
	want "update --memory alone" 0 small
	try docker inspect -f '{{.HostConfig.Memory}}' small
	want "the new limit" 0 134217728
	try docker stats --no-stream --format '{{.MemUsage}}' small
	want "stats shows it" 0 "*/ 128MiB"
	docker rm -f small >/dev/null
}

mistakes() {
	try docker run --name two --name-x $box true
	want "a wrong flag" 125 "" "*--name*"
	try bundles serarch x
	want "did you mean" 125 "" "*"
	try bundles psx
	want "did you mean ps" 125 "" "*'ps'*"
	try docker run --rm —name dashed $box true
	want "an em dash" 0
	try docker run --rm $box nosuch
	want "a command that is not there" 127 "" "*nosuch*"
	try docker run --rm $box /etc
	want "a command that is no program" 126 "" "*/etc*"
}

# Three servers behind a fourth; a database whose data outlive it.
services() {
	if [ -z "$rootfs" ]; then
		skip "nginx and mariadb" "no Debian root file system: mmdebstrap and a Debian mirror are needed"
		return
	fi
	docker network create lb >/dev/null
	local n
	for n in 1 2 3; do
		mkdir -p "web0$n"
		echo "server $n" >"web0$n/index.html"
		docker run -d --name "web0$n" --net lb -p "500$n:80" -v "./web0$n:/var/www/html:ro" services:1 \
			nginx -g 'daemon off;' >/dev/null
	done
	for n in 1 2 3; do
		check "server $n on port 500$n" until_ok 10 fetch "http://127.0.0.1:500$n/"
	done
	mkdir -p lb01
	cat >lb01/nginx.conf <<-'TEXT'
		events {}
		http {
			upstream all { server web01; server web02; server web03; }
			server { listen 80; location / { proxy_pass http://all; } }
		}
	TEXT
	docker run -d --name nginx-lb01 -h nginx-lb01 --net lb -p 5000:80 -v ./lb01:/conf:ro services:1 \
		nginx -c /conf/nginx.conf -g 'daemon off;' >/dev/null
	until_ok 10 fetch http://127.0.0.1:5000/
	for n in 1 2 3 4 5 6; do fetch http://127.0.0.1:5000/; done >answers
	check "the balancer asks all three" test "$(sort -u answers)" = $'server 1\nserver 2\nserver 3'
	docker rm -f nginx-lb01 web01 web02 web03 >/dev/null

	cat >database <<-'TEXT'
		set -e
		mkdir -p /run/mysqld && chown mysql /run/mysqld /var/lib/mysql
		[ -d /var/lib/mysql/mysql ] || mariadb-install-db --user=mysql >/dev/null
		echo "ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';" >/tmp/init.sql
		chmod 644 /tmp/init.sql
		exec mariadbd --user=mysql --init-file=/tmp/init.sql --bind-address=0.0.0.0
	TEXT
	local sql=(docker exec mariadb mariadb -uroot -ppassword -Ne)
	docker run --name=mariadb -d -p 3306:3306 -e MYSQL_ROOT_PASSWORD=password -v dbdata:/var/lib/mysql \
		-v ./database:/database:ro services:1 sh /database >/dev/null
	check "mariadb answers" until_ok 40 "${sql[@]}" "select 1"
	check "its port is reachable" bash -c 'exec 3<>/dev/tcp/127.0.0.1/3306; head -c 5 <&3 | grep -q .'
	try "${sql[@]}" "create database d; create table d.t (n int); insert into d.t values (42)"
	want "a table" 0
	check "exec -it into its client" console 24x80 '
		expect MariaDB .*> 
		send select n+1 from d.t;\n
		expect 43
		send exit\n
		exit 0' docker exec -it mariadb mariadb -uroot -ppassword
	try docker stop mariadb
	want "stop" 0 mariadb
	docker rm mariadb >/dev/null
	docker run --name=mariadb -d -e MYSQL_ROOT_PASSWORD=password -v dbdata:/var/lib/mysql \
		-v ./database:/database:ro services:1 sh /database >/dev/null
	until_ok 40 "${sql[@]}" "select 1"
	try "${sql[@]}" "select n from d.t"
	want "the volume has the data" 0 42
	docker rm -f mariadb >/dev/null
}

# Without ranges all files are his own, and nobody but root is in his containers.
one_id() {
	box_image box.tar
	try docker load -i box.tar
	want "load" 0 "Loaded image: $box"
	docker network create front >/dev/null
	try docker run -d --name one --net front -p 8080:80 -v V:/data -w /data $box \
		sh -c 'echo from one; echo page >index.html; exec httpd -f -p 80'
	want "run -d" 0 "$id64"
	check "a published port" until_ok 5 fetch http://127.0.0.1:8080/index.html
	try docker logs one
	want "logs" 0 "from one"
	try docker exec one sh -c 'id -u; cat /data/index.html'
	want "exec" 0 $'0\npage'
	try docker run --rm --volumes-from one $box cat /data/index.html
	want "--volumes-from" 0 page
	try docker run --rm --net front $box sh -c 'grep -w one /etc/hosts; ping -c 1 172.18.0.2'
	want "a container is reached, and has a name" 0 "172.18.0.2*one*, 0% packet loss*"
	try docker run --rm -u app $box id -u
	want "another user needs ranges" 125 "" "bundles: user 1000: *hint: *subuid*"
	try docker stop -t 1 one
	want "stop" 0 one
}

tidy() {
	# shellcheck disable=SC2046
	docker rm -f $(docker ps -aq) >/dev/null 2>&1
	try docker system prune -f -a --volumes
	want "system prune" 0 "*reclaimed space*"
	try docker volume prune -f -a
	want "volume prune -a" 0 "*reclaimed space*"
	check "every byte is given back" test "$(du -s --exclude=locks --exclude='events*' home-of-bundles | cut -f 1)" -lt 200
	check "no mount is left" bash -c '! grep -q home-of-bundles /proc/self/mounts'
	check "no process is left" bash -c '! pgrep -f "[b]undles-monitor"'
}

for one in ${PEOPLE:-root user alone}; do
	become "$one"
	case $one in
	alone) parts='one_id tidy' ;;
	*) parts='images first_steps terminals volumes networks ports limits mistakes services builds archives composed registry tidy' ;;
	esac
	for part in ${PARTS:-$parts}; do
		"$part"
	done
done
