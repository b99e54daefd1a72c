# docker-volumes.sh: volumes and the options of mounts; docker.sh calls these.
# shellcheck shell=bash disable=SC2016,SC2086,SC2154 # for shells inside; box, rc, out are docker.sh's

volumes() {
	docker volume create data >/dev/null
	new run -d --name one -v data:/shared $box sleep 1000 >/dev/null
	try new run --rm -v data:/other $box sh -c 'echo live >/other/word'
	want "a volume" 0
	try docker exec one cat /shared/word
	want "two containers share it" 0 live
	try new run --rm --volumes-from one:ro $box sh -c 'cat /shared/word; touch /shared/x'
	want "--volumes-from, read-only" 1 live "*Read-only file system*"
	try docker volume rm data
	want "a volume in use stays" 1 "" "*volume is in use*"
	try new run --rm --mount type=volume,src=data,dst=/m,readonly $box sh -c 'cat /m/word; touch /m/x'
	want "--mount type=volume,readonly" 1 live "*Read-only file system*"
	remove one
	try new run --rm -v data:/again $box cat /again/word
	want "it outlives its containers" 0 live
	try new run --rm -v seeded:/etc $box true
	want "a volume over files of the image" 0
	try new run --rm -v seeded:/mnt $box cat /mnt/group
	want "it gets the files of the image" 0 "*app:x:1000:*"
	try new run --rm -v /anonymous $box sh -c 'grep -c " /anonymous " /proc/mounts'
	want "a volume without name" 0 1
	try docker volume rm data seeded
	want "volume rm" 0 $'data\nseeded'
	try docker volume ls -q
	want "none is left" 0 ""
}

mounts() {
	local dir=$SCRATCH/mnt
	mkdir -p "$dir"
	mount --bind "$dir" "$dir" && mount --make-rshared "$dir"
	mkdir "$dir/below"
	mount -t tmpfs tmpfs "$dir/below"
	echo below >"$dir/below/word"
	try new run --rm -v "$dir:/m" $box cat /m/below/word
	want "a bind mount has the mounts below" 0 below
	if newer 25; then
		try new run --rm --mount "type=bind,src=$dir,dst=/m,readonly" $box sh -c 'touch /m/x; touch /m/below/x'
		want "readonly: and so is what is below" 1 "" "*/m/x: Read-only*/m/below/x: Read-only*"
		try new run --rm --mount "type=bind,src=$dir,dst=/m,readonly,bind-recursive=readonly,bind-propagation=rprivate" $box touch /m/below/x
		want "bind-recursive=readonly" 1 "" "*Read-only*"
		try new run --rm --mount "type=bind,src=$dir,dst=/m,readonly,bind-recursive=writable" $box sh -c 'touch /m/below/x && touch /m/x'
		want "bind-recursive=writable" 1 "" "*/m/x: Read-only*"
		try new run --rm --mount "type=bind,src=$dir,dst=/m,bind-recursive=disabled" $box ls /m/below
		want "bind-recursive=disabled" 0 ""
	else
		skip "bind-recursive" "since Docker 25"
		try new run --rm --mount "type=bind,src=$dir,dst=/m,readonly" $box sh -c 'touch /m/below/x && touch /m/x'
		want "readonly: the top alone" 1 "" "*/m/x: Read-only*"
		try new run --rm --mount "type=bind,src=$dir,dst=/m,bind-nonrecursive" $box ls /m/below
		want "bind-nonrecursive" 0 ""
	fi
	propagation
	try new run --rm --tmpfs /t:size=1m,mode=1770,noexec $box sh -c 'grep " /t " /proc/mounts; stat -c %a /t'
	want "--tmpfs with options" 0 "tmpfs /t tmpfs rw,*noexec,*size=1024k,mode=1770*1770"
	try new run --rm --mount type=tmpfs,dst=/t,tmpfs-size=2m $box grep " /t " /proc/mounts
	want "--mount type=tmpfs" 0 "tmpfs /t tmpfs *size=2048k*"
	try new run --rm --read-only -v "$dir:/m" --tmpfs /run $box sh -c 'touch /m/x /run/x && echo written; touch /x'
	want "--read-only leaves volumes and tmpfs" 1 written "*/x: Read-only*"
	echo "one file" >"$dir/file"
	try new run --rm -v "$dir/file:/etc/passwd:ro" $box cat /etc/passwd
	want "a file over a file" 0 "one file"
	try new run --rm --mount "type=bind,src=$SCRATCH/nothing,dst=/m" $box true
	want "--mount of nothing: 125" 125 "" "*bind source path does not exist*"
	try new run --rm -v "$dir:/etc/passwd" $box true
	# Whether the client makes a status of the text depends on its age.
	[ "$rc" = 125 ] && rc=127
	want "a directory over a file: a clear error" 127 "" "*not a directory*Are you trying to mount a directory onto a file*"
	umount -R "$dir"
}

# Which mounts made after the start go in or out.
propagation() {
	new run -d --name private -v "$dir:/m" $box sleep 1000 >/dev/null
	new run -d --name slave --mount "type=bind,src=$dir,dst=/m,bind-propagation=rslave" $box sleep 1000 >/dev/null
	new run -d --name shared --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
		--security-opt apparmor=unconfined -v "$dir:/m:rshared" $box sleep 1000 >/dev/null
	mkdir "$dir/new" "$dir/inner"
	mount -t tmpfs tmpfs "$dir/new"
	echo later >"$dir/new/word"
	try docker exec private ls /m/new
	want "rprivate: a later mount does not go in" 0 ""
	try docker exec slave cat /m/new/word
	want "rslave: it goes in" 0 later
	try docker exec shared cat /m/new/word
	want "rshared: it goes in" 0 later
	try docker exec shared sh -c 'mount -t tmpfs tmpfs /m/inner && echo made >/m/inner/word'
	want "rshared: a mount inside" 0
	check "rshared: it comes out" grep -qx made "$dir/inner/word"
	try docker exec slave cat /m/inner/word
	want "rshared: and into another container" 0 made
	docker kill private slave shared >/dev/null
	remove private slave shared
	umount "$dir/new" "$dir/inner"
}
