# user.sh: the ordinary user of the tree, tester, and what he needs beyond lib.sh.
# shellcheck shell=bash disable=SC2154 # lib.sh's variables
user=4242 home=/home/tester

# make_home: a home directory, a place to work in, a runtime directory, and the command as-user, which
# starts a program as him, without a privilege and without a variable of root
make_home() {
	# Overlays do not go on an overlay.
	mount -t tmpfs -o mode=700,uid=$user,gid=$user tmpfs $home
	mkdir -p $home/here /run/user/$user
	chown $user:$user $home/here /run/user/$user
	chmod 700 /run/user/$user
	chmod 755 "$SCRATCH" "$SCRATCH/tmp"
	# As they are on a host with udev.
	local node
	for node in net/tun fuse; do
		[ -c /dev/$node ] || continue
		mknod "$SCRATCH/${node#*/}" c $((0x$(stat -c %t /dev/$node))) $((0x$(stat -c %T /dev/$node)))
		chmod 666 "$SCRATCH/${node#*/}"
		mount --bind "$SCRATCH/${node#*/}" /dev/$node
	done
	cat >bin/as-user <<-TEXT
		#!/bin/sh
		cd $home/here
		exec setpriv --reuid=$user --regid=$user --init-groups --inh-caps=-all env -i HOME=$home \
			USER=tester XDG_RUNTIME_DIR=/run/user/$user PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
			TERM=dumb PODMAN_IGNORE_CGROUPSV1_WARNING=1 "\$@"
	TEXT
	chmod 755 bin/as-user
}
