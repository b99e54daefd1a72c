# bundles-build.sh: the exercises that build images and move them; bundles.sh calls them.
# shellcheck shell=bash disable=SC2154,SC2016 # person, box, out, rootfs are bundles.sh's

dockerfile() { cat >"$1/Dockerfile"; }

builds() {
	mkdir -p hello
	dockerfile hello <<-TEXT
		FROM $box
		MAINTAINER me <me@example.org>
		LABEL version="1.0"
		ARG WHO=World
		ENV GREETING=Hello
		WORKDIR /app
		COPY hello.txt .
		RUN echo "\$GREETING \$WHO" >greeting
		RUN ["/bin/sh", "-c", "cat greeting hello.txt >both"]
		EXPOSE 8080
		VOLUME /data
		USER 1000
		ENTRYPOINT ["/bin/cat"]
		CMD ["both"]
	TEXT
	echo "from a file" >hello/hello.txt
	try docker build -t ai/hello:1
	want "build without the dot" 1 "" "*add .*"
	try docker build -t ai/hello:1 hello
	want "build" 0
	try docker build -q -t ai/hello:1 hello
	want "build again, quietly" 0 "sha256:*"
	if [ "$person" = root ] || [ "$person" = user ]; then
		try docker run --rm ai/hello:1
		want "what was built runs" 0 $'Hello World\nfrom a file'
		try docker run --rm ai/hello:1 greeting
		want "with another command" 0 "Hello World"
	fi
	try docker build --build-arg WHO=you --no-cache -t ai/hello:2 hello
	want "--build-arg --no-cache" 0
	try docker run --rm ai/hello:2 greeting
	want "the argument counts" 0 "Hello you"
	try docker history ai/hello:2
	want "history" 0 "IMAGE * CREATED * CREATED BY * SIZE*CMD*"
	mkdir -p stages
	dockerfile stages <<-TEXT
		FROM $box AS builder
		RUN echo made >/made
		FROM $box
		COPY --from=builder /made /made
		RUN <<END
		cat /made /made >/twice
		END
		CMD ["cat", "/twice"]
	TEXT
	mv stages/Dockerfile stages/dockerfile
	try docker build -t stages stages
	want "stages, a here-document, dockerfile in small letters" 0
	try docker run --rm stages
	want "a file of another stage" 0 $'made\nmade'
	try docker build --target builder -t builder stages
	want "--target" 0
	dockerfile stages <<-TEXT
		FROM $box
		RUNN true
	TEXT
	try docker build -f stages/Dockerfile stages
	want "a mistake has its place" 1 "" "*line 2, column 1: unknown instruction RUNN*did you mean RUN*"
}

# What a container has changed as an image; images and files as archives.
archives() {
	docker run --name changed "$box" sh -c 'echo new >/etc/new; echo x >>/etc/passwd; rm /data/* 2>/dev/null; true' >/dev/null
	try docker diff changed
	want "diff" 0 "*C /etc*A /etc/new*C /etc/passwd*"
	try docker commit -a me -m "a change" -c 'CMD ["cat", "/etc/new"]' changed made/by-commit:1
	want "commit" 0 "sha256:*"
	try docker run --rm made/by-commit:1
	want "what was committed runs" 0 new
	try docker save -o saved.tar made/by-commit:1 ai/hello:1
	want "save" 0
	local id
	id=$(docker images -q --no-trunc made/by-commit:1)
	docker rmi made/by-commit:1 >/dev/null
	try docker load -i saved.tar
	want "load what was saved" 0 "*Loaded image: made/by-commit:1*"
	check "it is the same" test "$id" = "$(docker images -q --no-trunc made/by-commit:1)"
	try docker export -o files.tar changed
	want "export" 0
	try docker import -c 'CMD ["cat", "/etc/new"]' files.tar made/by-import:1
	want "import" 0 "sha256:*"
	try docker run --rm made/by-import:1
	want "what was imported runs" 0 new
	docker export changed | docker import - piped:1 >/dev/null
	try docker run --rm piped:1 cat /etc/new
	want "export and import by a pipe" 0 new
	echo outside >outside
	docker run -d --name running "$box" sleep 1000 >/dev/null
	try docker cp outside running:/tmp/inside
	want "cp into a running container" 0
	try docker exec running cat /tmp/inside
	want "it is there" 0 outside
	try docker cp running:/tmp/inside back
	want "cp out of it" 0
	check "the same comes back" cmp outside back
	docker rm -f running changed >/dev/null
}

# Debian by import; four services built on it.
composed() {
	if [ -z "$rootfs" ]; then
		skip "services that are built" "no Debian root file system: mmdebstrap and a Debian mirror are needed"
		return
	fi
	tar -C "$rootfs" --numeric-owner -c . | docker import - debian:1 >imported
	check "Debian is imported" grep -q sha256: imported
	mkdir -p db php lb cache
	cat >db/start <<-'TEXT'
		#!/bin/sh
		set -e
		[ -d /var/lib/mysql/mysql ] || mariadb-install-db --user=mysql >/dev/null
		echo "ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';" >/tmp/init.sql
		chmod 644 /tmp/init.sql
		exec mariadbd --user=mysql --init-file=/tmp/init.sql --bind-address=0.0.0.0
	TEXT
	dockerfile db <<-'TEXT'
		FROM debian:1
		MAINTAINER me
		RUN mkdir -p /run/mysqld && chown mysql /run/mysqld && rm -rf /var/lib/mysql && install -d -o mysql /var/lib/mysql
		COPY --chmod=755 start /start
		ENV MYSQL_ROOT_PASSWORD=changeme
		EXPOSE 3306
		VOLUME /var/lib/mysql
		HEALTHCHECK --interval=1s --timeout=3s --retries=30 CMD mariadb -uroot -p$MYSQL_ROOT_PASSWORD -Ne 'select 1'
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
			upstream all { server web01; server web02; server web03; }
			server { listen 80; location / { proxy_pass http://all; } }
		}
	TEXT
	dockerfile cache <<-'TEXT'
		FROM debian:1
		EXPOSE 6379
		USER redis
		WORKDIR /tmp
		CMD ["redis-server", "--protected-mode", "no"]
	TEXT
	local name n
	for name in db php lb cache; do
		try docker build -q -t "ai/$name:1" "$name"
		want "build of $name" 0 "sha256:*"
	done

	docker network create web >/dev/null
	for n in 1 2 3; do
		docker run -d --name "web0$n" -h "web0$n" --net web -p "500$n:80" ai/php:1 >/dev/null
	done
	for n in 1 2 3; do
		check "php of server $n" until_ok 20 fetch "http://127.0.0.1:500$n/"
	done
	docker run -d --name nginx-lb01 -h nginx-lb01 --net web -p 5000:80 ai/lb:1 >/dev/null
	until_ok 10 fetch http://127.0.0.1:5000/
	for n in 1 2 3 4 5 6; do fetch http://127.0.0.1:5000/; done >answers
	check "the balancer asks all three" test "$(sort -u answers)" = $'php web01\nphp web02\nphp web03'
	docker rm -f nginx-lb01 web01 web02 web03 >/dev/null
	docker network rm web >/dev/null

	docker run --name=mariadb -d -p 3306:3306 -e MYSQL_ROOT_PASSWORD=password -v built:/var/lib/mysql ai/db:1 >/dev/null
	check "mariadb is well" until_ok 60 healthy mariadb
	check "exec -it into its client" console 24x80 '
		expect MariaDB .*> 
		send create database d; create table d.t (n int); insert into d.t values (42);\n
		expect Query OK
		send select n+1 from d.t;\n
		expect 43
		send exit\n
		exit 0' docker exec -it mariadb mariadb -uroot -ppassword
	docker rm -f mariadb >/dev/null
	docker run --name=mariadb -d -e MYSQL_ROOT_PASSWORD=password -v built:/var/lib/mysql ai/db:1 >/dev/null
	until_ok 60 healthy mariadb
	try docker exec mariadb mariadb -uroot -ppassword -Ne "select n from d.t"
	want "the volume has the data" 0 42
	docker rm -f mariadb >/dev/null

	docker run -d --name redis -p 6379:6379 ai/cache:1 >/dev/null
	check "redis answers" until_ok 20 docker exec redis redis-cli ping
	docker exec redis redis-cli set k v >/dev/null
	try docker exec redis redis-cli get k
	want "redis keeps a value" 0 v
	docker rm -f redis >/dev/null
}

healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$1")" = healthy ]; }

# A registry in a container: what is pushed to it comes back into an empty store.
registry() {
	[ -n "$rootfs" ] || return 0
	mkdir -p registry
	dockerfile registry <<-'TEXT'
		FROM debian:1
		VOLUME /var/lib/docker-registry
		EXPOSE 5000
		RUN <<END
		cat >/config.yml <<CONFIG
		version: 0.1
		storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
		http: {addr: ":5000"}
		CONFIG
		END
		CMD ["docker-registry", "serve", "/config.yml"]
	TEXT
	try docker build -q -t registry:2 registry
	want "build of a registry" 0 "sha256:*"
	docker run -d --name registry -p 5000:5000 registry:2 >/dev/null
	check "the registry answers" until_ok 20 fetch http://127.0.0.1:5000/v2/
	try docker tag ai/hello:1 localhost:5000/hello:1
	want "tag" 0
	docker tag ai/hello:1 hello:1
	try docker push hello:1
	want "push without a registry says what to type" 1 "" "*tag*push*"
	try docker push localhost:5000/hello:1
	want "push" 0 "*1: digest: sha256:*"
	try docker push localhost:5000/hello:1
	want "push again" 0
	docker rmi localhost:5000/hello:1 >/dev/null
	try bundles --root empty pull localhost:5000/hello:1
	want "pull into an empty store" 0
	check "it is the same image" test "$(docker images -q ai/hello:1)" = "$(bundles --root empty images -q)"
	try docker run --rm localhost:5000/hello:1
	want "run pulls it" 0 $'Hello World\nfrom a file'
	docker rm -f registry >/dev/null
	# Hundreds of megabytes, which a busy disk may not give back in the time of one line.
	bundles --root empty system prune -af >/dev/null
	docker image prune -af >/dev/null
}
