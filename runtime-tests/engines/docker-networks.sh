# docker-networks.sh: bridges, published ports and names; docker.sh calls these.
# shellcheck shell=bash disable=SC2016,SC2086,SC2154 # for shells inside; box, rc, out are docker.sh's

web='mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv'

networks() {
	try docker run --rm $box ip -4 addr show eth0
	want "the first bridge" 0 "*172.17.0.*/16*"
	docker run -d --name web1 -h web1 $box sh -c "$web" >/dev/null
	local address
	address=$(inspect web1 .NetworkSettings.IPAddress)
	try docker run --rm $box wget -qO- "http://$address/"
	want "one container reaches another" 0 web1
	try docker run --rm --network container:web1 $box wget -qO- http://127.0.0.1/
	want "--network container: has its loopback" 0 web1
	try docker run --rm --network none $box ip -o link
	want "--network none" 0 "1: lo*"
	check "--network none has nothing else" test "$(wc -l <"$SCRATCH/try.out")" = 1
	try docker run --rm --add-host other:1.2.3.4 --dns 5.6.7.8 --dns-search example.org -h me $box \
		sh -c 'grep other /etc/hosts; cat /etc/resolv.conf /etc/hostname'
	want "--add-host, --dns, --dns-search, -h" 0 $'1.2.3.4\tother*5.6.7.8*me'
	try docker run --rm --mac-address 02:42:ac:11:00:99 $box ip link show eth0
	want "--mac-address" 0 "*02:42:ac:11:00:99*"
	docker run -d --name late $box sh -c 'echo going; exec sleep 1000' >/dev/null
	try docker exec late ping -c 1 -W 5 "$address"
	want "ping" 0 "*, 0% packet loss*"
	docker network create --subnet 192.168.77.0/24 --gateway 192.168.77.254 second >/dev/null
	try docker network connect --ip 192.168.77.7 second late
	want "network connect" 0
	try docker exec late ip -4 addr show eth1
	want "network connect: an interface more in a running container" 0 "*192.168.77.7/24*"
	try docker network rm second
	want "a network in use stays" 1 "" "*active endpoints*"
	try docker network disconnect second late
	want "network disconnect" 0
	try docker exec late ls /sys/class/net
	want "network disconnect: the interface is gone" 0 $'eth0\nlo'
	docker network rm second >/dev/null
	remove web1 late
}

names() {
	docker network create front >/dev/null
	docker network create --internal back >/dev/null
	docker run -d --name web1 --network front --network-alias site $box sh -c "$web" >/dev/null
	docker run -d --name db1 --network back $box sleep 1000 >/dev/null
	# The static busybox looks up no names in libc's way, but its nslookup does in its own.
	try docker run --rm --network front $box nslookup -type=a web1
	want "a container is found by its name" 0 "*Name:*web1*Address: $(inspect web1 .NetworkSettings.Networks.front.IPAddress)*"
	try docker run --rm --network front $box nslookup -type=a site
	want "by its alias" 0 "*Name:*site*Address: $(inspect web1 .NetworkSettings.Networks.front.IPAddress)*"
	try docker run --rm --network front $box nslookup -type=a db1
	want "not from another network" 1
	try docker exec db1 ip route
	# It has one that leads nowhere, up to Docker 20.10.
	newer 23 || out=${out/default*eth0/}
	check "an internal network has no way out" test "$rc ${out/default/DEFAULT}" = "0 $out" -a -n "$out"
	# Loaded by `debian`, where one could be made.
	if docker image inspect localhost/debian:1 >/dev/null 2>&1; then
		try docker run --rm --network front localhost/debian:1 bash -c 'exec 3<>/dev/tcp/web1/80
			printf "GET /index.html HTTP/1.0\r\n\r\n" >&3; tail -n 1 <&3'
		want "a page by name" 0 "$(inspect web1 .Config.Hostname)"
	fi
	try docker run --rm --link db1:data --network back $box cat /etc/hosts
	want "--link" 0
	remove web1 db1
	try docker network rm front back
	want "network rm" 0 $'front\nback'
}

ports() {
	docker run -d --name web1 -h web1 -p 127.0.0.1:8080:80 -p 8081:80 $box sh -c "$web" >/dev/null
	check "-p on loopback" until_ok 5 fetch http://127.0.0.1:8080/
	try fetch http://127.0.0.1:8080/
	want "what it serves" 0 web1
	try fetch http://127.0.0.1:8081/
	want "-p on all addresses, through loopback" 0 web1
	# Not through the proxy but by the rules of the firewall.
	try fetch http://172.17.0.1:8081/
	want "-p on all addresses, through the bridge" 0 web1
	try docker port web1 80
	want "port" 0 "*127.0.0.1:8080*"
	check "a rule of the firewall" bash -c 'iptables -t nat -S | grep -q "dport 8081 -j DNAT"'
	try docker run --rm -p 8081:80 $box true
	want "a port in use: 125" 125 "" "*port is already allocated*"
	docker restart -t 0 web1 >/dev/null
	check "after a restart" until_ok 5 fetch http://127.0.0.1:8080/
	remove web1
	try fetch http://127.0.0.1:8080/
	want "freed with the container" 7
	docker run -d --name web2 -P --expose 80 $box sh -c "$web" >/dev/null
	local port
	port=$(docker port web2 80 | sed -n '1s/.*://p')
	check "-P" until_ok 5 fetch "http://127.0.0.1:$port/"
	remove web2
	try docker ps -aq
	want "nothing is left" 0 ""
}

# Before Docker had compose as a plugin, there was a program of its own.
docker_compose() {
	if docker compose version >/dev/null 2>&1; then
		docker compose "$@"
	else
		docker-compose "$@"
	fi
}

services() { docker ps -q --filter "label=com.docker.compose.service=$1" | wc -l; }
# shellcheck disable=SC2317 # called by until_ok
running() { [ "$(services "$1")" = "$2" ]; }

compose() {
	mkdir -p project
	cat >project/docker-compose.yml <<-TEXT
		version: "3"
		services:
		  web:
		    image: $box
		    command: sh -c "echo web starts; mkdir /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv"
		    depends_on: [db]
		  db:
		    image: $box
		    command: sh -c "echo stored >/data/word; exec sleep 1000"
		    environment: {ROLE: database}
		    volumes: ["store:/data"]
		  front:
		    image: $box
		    command: sh -c "exec sleep 1000"
		    ports: ["127.0.0.1:8090:80"]
		    volumes: ["store:/data:ro", "./docker-compose.yml:/its/own:ro"]
		volumes:
		  store:
	TEXT
	cd project || return
	export -f docker_compose
	try bash -c 'docker_compose up -d'
	want "compose up" 0
	check "three services" until_ok 10 bash -c '[ "$(docker ps -q | wc -l)" = 3 ]'
	try bash -c 'docker_compose ps'
	want "compose ps" 0 "*project?db?1*project?front?1*project?web?1*"
	check "compose logs" until_ok 10 bash -c 'docker_compose logs web | grep -q "web starts"'
	try bash -c 'docker_compose exec -T front sh -c "cat /data/word; grep -c services: /its/own; touch /data/x"'
	want "compose exec, volumes" 1 $'stored\n1' "*Read-only file system*"
	try bash -c 'docker_compose exec -T front nslookup -type=a web'
	want "the name of a service" 0 "*Address: 172.*"
	try bash -c 'docker_compose up -d --scale web=3'
	want "compose scale" 0
	check "three of one" until_ok 10 running web 3
	check "the name has three addresses" until_ok 10 bash -c \
		'[ "$(docker_compose exec -T front nslookup -type=a web 127.0.0.11 | grep -c "Address: 172")" = 3 ]'
	try bash -c 'docker_compose up -d --scale web=1'
	want "compose scale down" 0
	check "one of it" until_ok 10 running web 1
	try bash -c 'docker_compose restart -t 0 db'
	want "compose restart" 0
	try bash -c 'docker_compose down -v -t 0'
	want "compose down" 0
	cd ..
	try docker ps -aq
	want "nothing is left of it" 0 ""
	try docker volume ls -q --filter name=store
	want "nor its volume" 0 ""
}
