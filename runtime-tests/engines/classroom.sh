#!/bin/bash
# classroom.sh: what people do in a course on Docker, with Docker on RT: web servers behind a balancer,
# a database with a volume, images built, saved, changed and pushed to a registry of their own.
# shellcheck disable=SC1091,SC2016,SC2086,SC2119,SC2154 # for shells inside; box is docker-engine.sh's
. "$(dirname "$0")/lib.sh"

if [ -z "${RT_ENGINES_INSIDE:-}" ]; then
	if [ "$(id -u)" = 0 ]; then
		debian_rootfs services-2 bash,nginx-light,mariadb-server,procps,ncat,apache2,libapache2-mod-php,redis-server,docker-registry || rootfs=
	fi
	[ -n "${rootfs:-}" ] || give_up skip "no Debian root file system: mmdebstrap and a Debian mirror are needed"
	outside_with_tree
fi
inside
. "$HERE/docker-engine.sh"

dockerfile() { cat >"$1/Dockerfile"; }

# What a course starts with.
first_steps() {
	try docker run $box
	want "the first container" 0 "default command"
	try docker ps
	want "ps" 0 "CONTAINER ID*"
	check "it has ended" test "$(wc -l <"$SCRATCH/try.out")" = 1
	try docker ps -a
	want "ps -a" 0 "*$box*Exited (0)*"
	docker rm "$(docker ps -lq)" >/dev/null
	docker run -itd --name term -e TERM=dumb $box sh >/dev/null
	check "attach; Ctrl-P Ctrl-Q leaves it running" console 24x80 '
		send echo first; stty size\n
		expect ^first\r
		expect ^24 80\r
		send \x10\x11
		expect read escape sequence' docker attach term
	check "it still runs" is term running
	check "attach again" console 30x90 '
		send echo second\n
		expect ^second\r
		send exit 3\n
		exit 3' docker attach term
	check "its exit code" has term .State.ExitCode 3
	try docker start term
	want "start" 0 term
	check "exec -it" console 24x80 '
		expect [#$] 
		send tty; exit 6\n
		expect ^/dev/(pts/|console)
		exit 6' docker exec -it -e TERM=dumb term sh
	# shellcheck disable=SC2046 # words
	try docker stop -t 1 $(docker ps -q)
	want 'stop $(docker ps -q)' 0
	# shellcheck disable=SC2046
	try docker rm $(docker ps -aq)
	want 'rm $(docker ps -aq)' 0
	try docker run --rm -it $box true
	want "-it without a terminal" 1 "" "*not a TTY*"
}

# Debian by import; what runs in it is built.
images() {
	tar -C "$rootfs" --numeric-owner -c . | docker import - debian:1 >imported
	check "import Debian" grep -q sha256: imported
	mkdir -p db php lb cache
	cat >db/start <<-'TEXT'
		#!/bin/sh
		set -e
		[ -d /var/lib/mysql/mysql ] || mariadb-install-db --user=mysql >/dev/null
		echo "ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';" >/tmp/init.sql
		chmod 644 /tmp/init.sql
		exec mariadbd --user=mysql --init-file=/tmp/init.sql --bind-address=0.0.0.0
	TEXT
	chmod 755 db/start
	dockerfile db <<-'TEXT'
		FROM debian:1
		RUN mkdir -p /run/mysqld && chown mysql /run/mysqld && rm -rf /var/lib/mysql && install -d -o mysql /var/lib/mysql
		COPY start /start
		ENV MYSQL_ROOT_PASSWORD=changeme
		EXPOSE 3306
		VOLUME /var/lib/mysql
		HEALTHCHECK --interval=1s --timeout=30s --retries=90 CMD mariadb -uroot -p$MYSQL_ROOT_PASSWORD -Ne 'select 1'
		CMD ["/start"]
	TEXT
	dockerfile php <<-'TEXT'
		FROM debian:1
		RUN rm /var/www/html/* && ln -sf /dev/stderr /var/log/apache2/error.log
		COPY index.php /var/www/html/
		ENV APACHE_RUN_USER=www-data APACHE_RUN_GROUP=www-data APACHE_RUN_DIR=/tmp APACHE_LOCK_DIR=/tmp \
		    APACHE_LOG_DIR=/var/log/apache2 APACHE_PID_FILE=/tmp/apache.pid
		EXPOSE 80
		CMD ["apache2", "-DFOREGROUND"]
	TEXT
	printf '%s' '<?php echo "php ", gethostname(), PHP_EOL;' >php/index.php
	dockerfile lb <<-'TEXT'
		FROM debian:1
		COPY nginx.conf /etc/nginx/nginx.conf
		EXPOSE 80
		STOPSIGNAL SIGQUIT
		CMD ["nginx", "-g", "daemon off;"]
	TEXT
	cat >lb/nginx.conf <<-'TEXT'
		events {}
		http {
			upstream all { server web01 max_fails=0; server web02 max_fails=0; server web03 max_fails=0; }
			server { listen 80; location / { proxy_pass http://all; proxy_connect_timeout 1s; } }
		}
	TEXT
	dockerfile cache <<-'TEXT'
		FROM debian:1
		RUN redis-server --version
		EXPOSE 6379
		USER redis
		WORKDIR /tmp
		CMD ["redis-server", "--protected-mode", "no", "--save", ""]
	TEXT
	local name
	for name in db php lb cache; do
		try docker build -q -t "ai/$name:1" "$name"
		want "build of $name" 0 "*sha256:*"
	done
	try docker images
	want "images" 0 "REPOSITORY * TAG * IMAGE ID * SIZE*ai/php * 1 *"
}

# balanced NAME ANSWERS: the balancer on port 5000 asks all three
balanced() {
	check "$1: the balancer answers" until_ok 20 fetch -f http://127.0.0.1:5000/
	local n
	for n in 1 2 3 4 5 6; do fetch http://127.0.0.1:5000/; done >answers
	check "$1: the balancer asks all three" test "$(sort -u answers)" = "$2"
}

web_servers() {
	docker network create lb >/dev/null
	local n
	for n in 1 2 3; do
		mkdir -p "web0$n"
		echo "server $n" >"web0$n/index.html"
		docker run -d --name "web0$n" --net lb -p "500$n:80" -v "$PWD/web0$n:/var/www/html:ro" debian:1 \
			nginx -g 'daemon off;' >/dev/null
		check "nginx $n on port 500$n" until_ok 20 fetch -f "http://127.0.0.1:500$n/"
	done
	docker run -d --name nginx-lb01 -h nginx-lb01 --net lb -p 5000:80 -v "$PWD/lb/nginx.conf:/etc/nginx/nginx.conf:ro" \
		debian:1 nginx -g 'daemon off;' >/dev/null
	balanced nginx $'server 1\nserver 2\nserver 3'
	echo "server 1 has changed" >web01/index.html
	try fetch http://127.0.0.1:5001/
	want "a page changed outside is served" 0 "server 1 has changed"
	remove nginx-lb01 web01 web02 web03
	for n in 1 2 3; do
		docker run -d --name "web0$n" -h "web0$n" --net lb -p "500$n:80" ai/php:1 >/dev/null
		check "php $n on port 500$n" until_ok 20 fetch -f "http://127.0.0.1:500$n/"
	done
	docker run -d --name nginx-lb01 --net lb -p 5000:80 ai/lb:1 >/dev/null
	balanced php $'php web01\nphp web02\nphp web03'
	try docker exec nginx-lb01 nginx -t
	want "exec nginx -t" 0 "" "*test is successful*"
	docker stop -t 5 web02 >/dev/null
	try fetch http://127.0.0.1:5000/
	want "without one of them" 0 "php web0[13]"
	docker start web02 >/dev/null
	balanced "after a restart of one" $'php web01\nphp web02\nphp web03'
	try docker logs web01
	want "logs of apache" 0 "" "*AH*configured*"
	try docker top nginx-lb01
	want "top of nginx" 0 "*master process*worker process*"
	try docker stop -t 20 nginx-lb01
	want "stop of nginx by SIGQUIT" 0
	check "it ended by itself" has nginx-lb01 .State.ExitCode 0
	remove nginx-lb01 web01 web02 web03
	docker network rm lb >/dev/null
}

# start_database [OPTION...]
start_database() {
	docker run --name=mariadb -d -e MYSQL_ROOT_PASSWORD=password -v dbdata:/var/lib/mysql "$@" ai/db:1 >/dev/null
	check "mariadb is healthy" until_ok 90 has mariadb .State.Health.Status healthy
}

database() {
	start_database -p 3306:3306
	check "its port is reachable" bash -c 'exec 3<>/dev/tcp/127.0.0.1/3306; head -c 5 <&3 | grep -q .'
	check "exec -it into its client" console 24x80 '
		expect MariaDB .*> 
		send create database d; create table d.t (n int); insert into d.t values (42);\n
		expect Query OK
		expect 1 row affected
		send select n+1 from d.t;\n
		expect 43
		send exit\n
		exit 0' docker exec -it mariadb mariadb -uroot -ppassword
	try docker stop -t 20 mariadb
	want "stop" 0 mariadb
	check "it ended by itself" has mariadb .State.ExitCode 0
	docker rm mariadb >/dev/null
	start_database
	local sql=(docker exec mariadb mariadb -uroot -ppassword -Ne)
	try "${sql[@]}" "select n from d.t"
	want "a new container on the volume has the data" 0 42
	echo "select n + 2 from d.t" >query
	try bash -c 'docker exec -i mariadb mariadb -uroot -ppassword -N <query'
	want "a query through exec -i" 0 44
	# Without a chance to write anything.
	docker kill mariadb >/dev/null
	docker start mariadb >/dev/null
	check "it recovers from a kill" until_ok 60 "${sql[@]}" "select 1"
	try "${sql[@]}" "select n from d.t"
	want "and has the data" 0 42
	remove mariadb
	try docker volume rm dbdata
	want "volume rm" 0 dbdata
}

cache() {
	docker run -d --name redis -p 6379:6379 ai/cache:1 >/dev/null
	check "redis answers" until_ok 20 bash -c 'docker exec redis redis-cli ping | grep -q PONG'
	docker exec redis redis-cli set k v >/dev/null
	try docker run --rm --link redis:store debian:1 redis-cli -h store get k
	want "from another container, by link" 0 v
	remove redis
}

archives() {
	docker run --name changed $box sh -c 'echo new >/etc/new; echo x >>/etc/passwd' >/dev/null
	try docker diff changed
	want "diff" 0 $'C /etc\n*/etc/*'
	try docker commit -a me -m "a change" -c 'CMD ["cat", "/etc/new"]' changed made/by-commit:1
	want "commit" 0 "sha256:*"
	try docker run --rm made/by-commit:1
	want "what was committed runs" 0 new
	try docker history made/by-commit:1
	want "history" 0 "IMAGE * CREATED * CREATED BY * SIZE*a change*"
	try docker save -o saved.tar made/by-commit:1 ai/php:1
	want "save" 0
	local id
	id=$(docker images -q --no-trunc made/by-commit:1)
	docker rmi made/by-commit:1 >/dev/null
	try docker load -i saved.tar
	want "load" 0 "*Loaded image: made/by-commit:1*"
	check "it is the same" test "$id" = "$(docker images -q --no-trunc made/by-commit:1)"
	rm saved.tar
	docker export changed | docker import -c 'CMD ["cat", "/etc/new"]' - made/by-import:1 >/dev/null
	try docker run --rm made/by-import:1
	want "export, import, run" 0 new
	echo outside >outside
	docker run -d --name running $box sleep 1000 >/dev/null
	try docker cp outside running:/tmp/inside
	want "cp in" 0
	try docker cp running:/tmp/inside back
	want "cp out" 0
	check "the same comes back" cmp outside back
	remove running changed
	umount "$SCRATCH"/root/overlay2/*/merged 2>/dev/null # Docker leaves that of export
}

# Pushed to a registry in a container; comes back when all is gone.
registry() {
	mkdir -p registry
	cat >registry/config.yml <<-'TEXT'
		version: 0.1
		storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
		http: {addr: ":5000"}
	TEXT
	dockerfile registry <<-'TEXT'
		FROM debian:1
		COPY config.yml /config.yml
		RUN install -d /var/lib/docker-registry
		VOLUME /var/lib/docker-registry
		EXPOSE 5000
		CMD ["docker-registry", "serve", "/config.yml"]
	TEXT
	try docker build -q -t registry:2 registry
	want "build of a registry" 0 "*sha256:*"
	docker run -d --name registry -p 5000:5000 registry:2 >/dev/null
	check "the registry answers" until_ok 20 fetch -f http://127.0.0.1:5000/v2/
	docker tag made/by-commit:1 localhost:5000/hello:1
	docker tag ai/php:1 localhost:5000/php:1
	try docker push localhost:5000/hello:1
	want "push" 0 "*1: digest: sha256:*"
	check "push of a large image" timeout $((300 * SLOW)) docker push localhost:5000/php:1
	try fetch http://127.0.0.1:5000/v2/_catalog
	want "what the registry has" 0 '*"hello","php"*'
	local id
	id=$(docker images -q --no-trunc localhost:5000/hello:1)
	docker image prune -af >/dev/null
	# debian:1 lives on in the registry's own image.
	check "nothing else is left" test "$(docker images --format '{{.Repository}}')" = registry
	try docker run --rm made/by-commit:1
	want "it is gone" 125
	try docker pull localhost:5000/hello:1
	want "pull" 0 "*Downloaded newer image*"
	check "it is the same image" test "$id" = "$(docker images -q --no-trunc localhost:5000/hello:1)"
	try docker run --rm localhost:5000/hello:1
	want "it runs" 0 new
	check "pull of a large image" timeout $((300 * SLOW)) docker pull localhost:5000/php:1
	try docker run --rm localhost:5000/php:1 apache2 -v
	want "it runs, too" 0 "*Apache/2*"
	remove registry
}

tidy() {
	try docker system prune -af --volumes
	want "system prune" 0 "*reclaimed space*"
	no_container
}

docker_config
start_docker
pass "dockerd $docker_version starts"
load_box
for part in ${PARTS:-first_steps images web_servers database cache archives registry tidy}; do "$part"; done
