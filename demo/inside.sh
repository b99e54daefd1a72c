# Runs as pid 1 of the demo's container and tells what it sees. Only the shell is sure to be there.
say() { printf '\n%s\n' "--- $1"; }
have() { command -v "$1" >/dev/null; }

say "host name and pid 1"
cat /proc/sys/kernel/hostname
echo "this shell is pid $$"
! have ps || ps -e -o pid,args

say "ids"
! have id || id
cat /proc/self/uid_map

say "capabilities (2 of them, and no way to more)"
grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status

say "mounts"
if have mount; then mount; else cat /proc/self/mounts; fi

say "files: the root is read-only, /tmp is not"
ls /
if (: >/new) 2>/dev/null; then echo "/ can be written"; else echo "/ cannot be written"; fi
if (: >/tmp/new) 2>/dev/null; then echo "/tmp can be written"; else echo "/tmp cannot be written"; fi

say "network: nothing but a loopback interface"
sed -n '3,$s/:.*//p' /proc/net/dev

say "limits"
echo "open files: $(ulimit -n), core size: $(ulimit -c)"
for file in memory.max pids.max; do
	[ ! -r "/sys/fs/cgroup/$file" ] || echo "$file: $(cat "/sys/fs/cgroup/$file")"
done
